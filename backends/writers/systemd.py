"""Starting and stopping systemd units through ``systemctl``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from backends.model.action import Action, SystemdVerb
from backends.model.procedure import Receipt, Step
from backends.model.stack import ServiceSpec, Source
from backends.model.substitution import fill, names_in
from backends.program import USER_BUS, Ended, NotStartedError, environment, program_at, run
from backends.writers.answer import done, failed, unknown

VERBS: Final = ("start", "stop", "restart")
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]{0,254}")
"""No option, no path, and no pattern, which systemctl would match against all units."""

_REFUSED: Final = frozenset({3, 4, 5, 6})
"""Exit codes of systemctl: no unit of this kind can, not allowed, no such unit, unit not configured."""
_NO_JOB: Final = re.compile(r"^Failed to [a-z]+ \S+: Unit ", re.MULTILINE)
"""What it says of a unit that cannot be had a job for, masked or badly written, before there is one."""
_NOT_SENT: Final = ("Failed to connect to bus", "Access denied", "Interactive authentication required")


class SystemdEffector:
    """Acts on units of this host's systemd, or of the user's own (option ``scope = "user"``).

    ``systemctl`` waits for the job. When the deadline passes first the job goes on, which is UNKNOWN.
    """

    def __init__(self, source: Source, services: Sequence[ServiceSpec]) -> None:
        """``services`` are the stack's; those of other sources are left out."""
        self._source = source
        self._names = {spec.name: spec.match[0] for spec in services if spec.source == source.id}

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Ask once. FAILED means that nothing was done; UNKNOWN that something may have been."""
        if not isinstance(action, SystemdVerb):
            return failed("does not take this kind of step")
        limit = step.connect + step.deadline
        try:
            unit = self._unit(action, values)
            env = environment(USER_BUS if self._is_users else ()) | {"LC_ALL": "C"}
            ended = await run(self._argv(action.verb, unit), limit, "/", env)
        except (ValueError, NotStartedError) as error:
            return failed(f"{error}; nothing was sent")
        if ended.code is None:
            return unknown(f"no answer within {limit * 1000:.0f} ms")
        return _receipt(action.verb, unit, ended)

    async def warm(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nothing is kept open."""

    @property
    def _is_users(self) -> bool:
        return self._source.options.get("scope") == "user"

    def _argv(self, verb: str, unit: str) -> list[str]:
        scope = ["--user"] if self._is_users else ["--system"]
        return [
            program_at(self._source.url, "systemctl"),
            *scope,
            "--no-ask-password",
            "--no-pager",
            verb,
            "--",
            unit,
        ]

    def _unit(self, action: SystemdVerb, values: Mapping[str, Any]) -> str:
        """Raises ValueError for what the stack file does not name."""
        if action.verb not in VERBS:
            raise ValueError(f"cannot {action.verb} a unit")
        asked = str(fill(action.unit, values))
        unit = self._names.get(asked, asked)
        if names_in(action.unit) and asked not in self._names:
            raise ValueError(f"{asked!r} is no service of this stack here")
        if not _UNIT.fullmatch(unit):
            raise ValueError(f"{unit!r} is not the name of a unit")
        return unit


def _receipt(verb: str, unit: str, ended: Ended) -> Receipt:
    words = " ".join(ended.output.split())[:200]
    said = f": {words}" if words else ""
    if ended.code == 0:
        return done(f"{verb} {unit}: exit 0")
    is_refused = ended.code in _REFUSED or _NO_JOB.search(ended.output)
    if is_refused or any(mark in ended.output for mark in _NOT_SENT):
        return failed(f"refused to {verb} {unit}: exit {ended.code}{said}")
    # The job ran and failed: a restart may have stopped the unit and not started it again.
    return unknown(f"{verb} {unit}: exit {ended.code}{said}")
