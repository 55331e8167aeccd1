"""Units of systemd: facts about them, and those of them that are services of the stack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from backends.model.clock import Clock
from backends.model.fact import Absent, Broken, Fact, Finding, Found, ValueType
from backends.model.port import LogSink
from backends.model.query import SystemdQuery
from backends.model.safetext import NAME_LIMIT, SafeText
from backends.model.service import Health, RunState, Runtime, Service, Usage
from backends.model.stack import ServiceSpec, Source
from backends.program import NotStartedError, program_at, run
from backends.readers.extract import broken, extract
from backends.readers.failure import silence
from backends.readers.journal import JournalFollower, lines_of
from backends.readers.log_match import matching_lines
from backends.readers.systemctl import NOT_SET, Shown, Systemctl, to_number, to_time

_PROPERTIES: Final = (
    "ActiveState", "SubState", "Result", "NRestarts", "ExecMainCode", "ExecMainStatus", "MemoryCurrent",
    "MemoryMax", "ActiveEnterTimestamp", "ExecMainExitTimestamp", "InactiveEnterTimestamp", "Description",
)  # fmt: skip

_PRINTED: Final = (
    "--no-pager", "--quiet", "--output=json", "--output-fields=MESSAGE", "--lines=100",
)  # fmt: skip
"""Few lines: what a program prints is kept up to a limit."""

_STARTS: Final = ("InactiveExitTimestamp", "ActiveEnterTimestamp")
"""When it began to start the last time, which a start that failed has too; and when it had started."""

_BEFORE: Final = 600.0
"""Seconds before the last start from which lines are looked at: a unit that keeps crashing tells why in the
runs before its present one."""

_SHARE: Final = 0.9
"""Of the source's deadline, for all of a read."""

_NEVER_ENDED: Final = "0"
_BY_SIGNAL: Final = ("2", "3")
"""How the main process ended, as waitid(2) numbers it: killed, or with a core dumped."""

_ENDED: Final = {"inactive": RunState.EXITED, "failed": RunState.DEAD, "maintenance": RunState.PAUSED}


class SystemdFactReader:
    """A FactReader over ``systemctl show``, all of a poll in one call, and over ``journalctl``.

    Of a unit's journal the last 100 lines are looked at, as far as they are no older than ten minutes before
    its last start: what an earlier run said explains nothing now.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._systemctl = Systemctl(source)
        self._seconds = source.deadline * _SHARE

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact, within the source's deadline. Raises SourceError when systemd did not answer; a
        journal that did not breaks the facts that ask for its lines alone.
        """
        until = asyncio.get_running_loop().time() + self._seconds
        queries = [fact.query for fact in facts if isinstance(fact.query, SystemdQuery)]
        units = list(dict.fromkeys(query.unit for query in queries))
        logged = dict.fromkeys(query.unit for query in queries if query.pattern is not None)
        properties = [*(query.show for query in queries), *(_STARTS if logged else ())]
        shown = await self._systemctl.show(units, properties) if units else {}
        journal = {
            name: _unclear_start(unit) or await self._journal(name, _first_time(unit, *_STARTS), until)
            for name in logged
            if (unit := shown[name]) is not None
        }
        return {fact.id: _finding(fact, shown, journal) for fact in facts}

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _journal(self, unit: str, started: float | None, until: float) -> list[bytes] | Broken:
        """The unit's newest lines since shortly before it started, stamped."""
        match = "--user-unit" if self._systemctl.is_users else "--unit"
        since = "--boot" if started is None else f"--since=@{int(started - _BEFORE)}"
        argv = [program_at(self._source.url, "journalctl"), *_PRINTED, since, f"{match}={unit}"]
        try:
            async with asyncio.timeout_at(until):
                ended = await run(argv, self._seconds, "/", self._systemctl.environment)
        except NotStartedError as error:
            return broken(f"the journal cannot be asked: {error}")
        except TimeoutError:
            # Of the whole read: what was answered before counts, and the others must not wait for this one.
            return broken(f"the journal gave {silence(self._seconds)}")
        if ended.code != 0:
            return broken(f"journalctl ended with {ended.code}: {' '.join(ended.output.split())[:120]}")
        lines = lines_of(ended.output)
        if not lines and started is not None:
            # systemd itself logs each start, but journalctl ends well for who may read no line of it.
            return broken("its journal shows this user no line since its last start")
        return lines


class SystemdServiceReader:
    """The units a stack expects; follows their journal once the first poll was answered."""

    def __init__(
        self, source: Source, services: Sequence[ServiceSpec], clock: Clock, logs: LogSink | None = None
    ) -> None:
        """``logs`` takes the lines of the followed units; None follows nothing."""
        self._source = source
        self._specs = services
        self._clock = clock
        self._logs = logs
        self._systemctl = Systemctl(source)
        self._follower: JournalFollower | None = None

    async def services(self) -> Mapping[str, Service | None]:
        """As ``ServiceReader.services``; what is not in the stack file is not looked for."""
        units = [spec.match[0] for spec in self._specs]
        shown = await self._systemctl.show(units, _PROPERTIES)
        self._follow()
        return {
            spec.name: None if (unit := shown[spec.match[0]]) is None else _service(spec, unit)
            for spec in self._specs
        }

    async def clock(self) -> float:
        """As ``ServiceReader.clock``: it runs on this host, whose clock is the room's."""
        return time.time()

    async def close(self) -> None:
        """End the follower and its journalctl; a second at most."""
        if self._follower is not None:
            await self._follower.stop()

    def _follow(self) -> None:
        followed = {spec.match[0]: spec.name for spec in self._specs if spec.is_followed}
        if self._logs is None or self._follower is not None or not followed:
            return
        program = program_at(self._source.url, "journalctl")
        match = "--user-unit" if self._systemctl.is_users else "--unit"
        self._follower = JournalFollower(
            (program, match), self._systemctl.environment, followed, self._logs, self._clock
        )
        self._follower.start()


def _unclear_start(unit: Shown) -> Broken | None:
    """Of a start whose time is told, but not as a time, nobody knows whether the journal should tell."""
    told = [value for name in _STARTS if (value := unit.get(name, "")) not in NOT_SET]
    odd = next((value for value in told if to_time(value) is None), None)
    return None if odd is None else broken(f"{odd!r} is no time of a start")


def _finding(
    fact: Fact, shown: Mapping[str, Shown | None], journal: Mapping[str, list[bytes] | Broken]
) -> Finding:
    if not isinstance(fact.query, SystemdQuery):
        return broken("asks systemd something that is no property")
    unit = shown[fact.query.unit]
    if unit is None:
        return Absent()
    if fact.query.pattern is not None:
        lines = journal[fact.query.unit]
        return (
            lines if isinstance(lines, Broken) else extract(fact, matching_lines(fact.query.pattern, lines))
        )
    return _property(fact, fact.query.show, unit)


def _property(fact: Fact, name: str, unit: Shown) -> Finding:
    value = unit.get(name)
    if value is None:
        return broken(f"units of its kind have no {name}")
    if value in NOT_SET:
        return Absent()
    if fact.type is ValueType.TIME:
        at = to_time(value)
        return broken(f"{value!r} is no time") if at is None else Found(at, at if fact.max_age else None)
    return extract(fact, value.encode())


def _service(spec: ServiceSpec, unit: Shown) -> Service:
    word, sub = unit.get("ActiveState", ""), unit.get("SubState", "")
    state = _state(word, sub)
    return Service(
        name=spec.name,
        runtime=Runtime.SYSTEMD,
        ident=spec.match[0],
        title=SafeText(unit.get("Description") or spec.match[0], NAME_LIMIT),
        state=state,
        health=_health(word, state),
        image=SafeText(f"{word} ({sub})", NAME_LIMIT),
        restarts=to_number(unit.get("NRestarts")),
        exit_code=None if word in ("active", "reloading") else _exit_code(unit),
        oom_killed=unit.get("Result") == "oom-kill",
        started_wall=to_time(unit.get("ActiveEnterTimestamp", "")),
        finished_wall=_first_time(unit, "ExecMainExitTimestamp", "InactiveEnterTimestamp"),
        usage=Usage(
            memory=to_number(unit.get("MemoryCurrent")), memory_limit=to_number(unit.get("MemoryMax"))
        ),
    )


def _state(word: str, sub: str) -> RunState:
    if sub.startswith("auto-restart"):
        return RunState.RESTARTING
    if word in ("active", "reloading", "activating", "deactivating"):
        # Until it has ended it may still act: a unit that is being stopped is not a stopped one.
        return RunState.RUNNING
    return _ENDED.get(word, RunState.UNKNOWN)


def _health(word: str, state: RunState) -> Health:
    if state is not RunState.RUNNING:
        return Health.UNKNOWN
    return Health.NO_CHECK if word == "active" else Health.STARTING


def _exit_code(unit: Shown) -> int | None:
    """As a shell tells it, 128 more for a signal; None for a process that never ended or never was."""
    status, how = to_number(unit.get("ExecMainStatus")), unit.get("ExecMainCode")
    if status is None or how == _NEVER_ENDED:
        return None
    return 128 + status if how in _BY_SIGNAL else status


def _first_time(unit: Shown, *names: str) -> float | None:
    return next((at for name in names if (at := to_time(unit.get(name, ""))) is not None), None)
