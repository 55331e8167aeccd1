"""A container as the engine's list and inspect describe it, understood as a ``Service``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from backends.model.fact import SourceError
from backends.model.safetext import LINE_LIMIT, NAME_LIMIT, SafeText
from backends.model.service import Health, RunState, Runtime, Service, Usage
from backends.readers.coerce import MisfitError, list_in
from backends.readers.docker_view import all_of

_PROJECT: Final = "com.docker.compose.project"
_HEALTH_IN_STATUS: Final = re.compile(r"\((healthy|unhealthy|health: starting)\)")
_HEALTH: Final = {
    "healthy": Health.HEALTHY,
    "unhealthy": Health.UNHEALTHY,
    "starting": Health.STARTING,  # by inspecting
    "health: starting": Health.STARTING,
    "none": Health.NO_CHECK,
    "": Health.NO_CHECK,
}
_STATES: Final = {state.value: state for state in RunState if state is not RunState.UNKNOWN}


class Entry(Struct, frozen=True):
    """One line of the container list; text is raw as it came."""

    ident: str
    names: tuple[str, ...]
    image: str
    image_id: str | None
    project: str | None
    state: RunState
    health: Health
    """UNKNOWN when it does not run, because then nothing is checked."""
    status: str
    """The engine's own sentence: ``Up 3 hours (healthy)``. It changes with every restart."""

    @property
    def name(self) -> str:
        return self.names[0] if self.names else self.ident[:12]


class LastRun(Struct, frozen=True):
    """How a container's last run ended."""

    exit_code: int
    oom_killed: bool
    finished: float
    """Epoch seconds by the engine's clock; 0 when it does not say."""


class Detail(Struct, frozen=True):
    """What inspecting a container tells. All None for a container that could not be inspected."""

    state: RunState | None = None
    health: Health | None = None
    restarts: int | None = None
    ended: LastRun | None = None
    """Of a container that does not run now."""
    started: float | None = None
    finished: float | None = None
    has_check: bool | None = None
    """None when it is not known."""
    health_output: SafeText | None = None


def entries(listed: Any) -> list[Entry]:
    """The container list. Raises SourceError for an answer that is not one."""
    try:
        return [_entry(item) for item in list_in(listed)]
    except (MisfitError, TypeError, KeyError, AttributeError) as error:
        raise SourceError("Docker's container list cannot be understood") from error


def _entry(item: Mapping[str, Any]) -> Entry:
    # "/a/b" is the name under which a knows b, not a name of its own.
    names = [name.removeprefix("/") for name in all_of(item.get("Names"))]
    labels = item.get("Labels") or {}
    state = _STATES.get(str(item["State"]), RunState.UNKNOWN)
    status = str(item.get("Status", ""))
    checked = _HEALTH_IN_STATUS.search(status)
    return Entry(
        ident=str(item["Id"]),
        names=tuple(name for name in names if name and "/" not in name),
        image=str(item.get("Image", "")),
        image_id=str(SafeText(item["ImageID"], NAME_LIMIT * 2)) if item.get("ImageID") else None,
        project=labels.get(_PROJECT),
        state=state,
        health=_health(state, checked[1] if checked else "none"),
        status=status,
    )


def detail(inspected: Any) -> Detail:
    """What inspecting said. Raises SourceError for an answer that is not one."""
    try:
        return _detail(inspected, inspected["State"])
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise SourceError("what Docker says of a container cannot be understood") from error


def _detail(inspected: Mapping[str, Any], state: Mapping[str, Any]) -> Detail:
    check = state.get("Health") or {}
    log = check.get("Log") or []
    printed = str(log[-1].get("Output", ""))[:LINE_LIMIT] if log else ""
    word = str(check.get("Status", "none"))
    status = _STATES.get(str(state["Status"]), RunState.UNKNOWN)
    finished = time_of(state.get("FinishedAt"))
    ended = None
    if status in (RunState.EXITED, RunState.DEAD, RunState.RESTARTING):
        ended = LastRun(int(state["ExitCode"]), bool(state.get("OOMKilled")), finished or 0.0)
    return Detail(
        state=status,
        health=_health(status, word),
        restarts=_whole(inspected.get("RestartCount")),
        ended=ended,
        started=time_of(state.get("StartedAt")),
        finished=finished,
        has_check=word not in ("none", ""),
        health_output=SafeText(" ".join(printed.split())) if log else None,
    )


def _health(state: RunState, word: str) -> Health:
    return _HEALTH.get(word, Health.UNKNOWN) if state is RunState.RUNNING else Health.UNKNOWN


def service(
    name: str, entry: Entry, known: Detail, last_run: LastRun | None, usage: Usage, is_expected: bool
) -> Service:
    """The two answers as one ``Service``."""
    health = entry.health
    if health is Health.UNKNOWN and known.has_check is False:
        health = Health.NO_CHECK
    return Service(
        name=name,
        runtime=Runtime.DOCKER,
        ident=entry.ident,
        title=SafeText(entry.name, NAME_LIMIT),
        state=entry.state,
        health=health,
        image=SafeText(entry.image),
        digest=entry.image_id,
        restarts=known.restarts,
        exit_code=last_run.exit_code if last_run else None,
        oom_killed=last_run.oom_killed if last_run else False,
        started_wall=known.started,
        finished_wall=known.finished,
        usage=usage,
        health_output=known.health_output,
        is_expected=is_expected,
    )


def _whole(raw: Any) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0 else None


def time_of(raw: Any) -> float | None:
    """Epoch seconds of a time the engine gives; None for its zero time and for what is not a time."""
    text = str(raw or "")
    if not text or text.startswith("0001"):
        return None
    match = re.fullmatch(r"(.{19})(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    try:
        at = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        return None
    return at.timestamp() + float(fraction or 0)
