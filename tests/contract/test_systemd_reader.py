"""Units as ``systemctl show`` tells of them, and their journal. The demo's programs stand for systemd's."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.demo.systemd.units import Units, stamp
from backends.logs.ring import LogRing
from backends.model.clock import SystemClock
from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, ValueType
from backends.model.logline import LogLevel
from backends.model.query import SystemdQuery
from backends.model.service import Health, RunState
from backends.model.stack import LogGrammar, ServiceSpec, Source, SourceKind
from backends.readers.systemd import SystemdFactReader, SystemdServiceReader

BEGAN = 1_790_000_000.0


@pytest.fixture
def units(tmp_path: Path) -> Units:
    made = Units(tmp_path)
    made.started("bot.service", BEGAN, NRestarts="3", MemoryCurrent="1048576", Environment="DRY_RUN=1")
    made.started("watch.timer", BEGAN, SubState="waiting", LastTriggerUSec=stamp(BEGAN))
    made.add("once.service", ExecMainExitTimestamp=stamp(BEGAN))
    made.add("bad.service", ActiveState="failed", SubState="failed", Result="oom-kill", ExecMainStatus="137")
    made.add("loop.service", ActiveState="activating", SubState="auto-restart", NRestarts="41")
    made.add("slow.service", ActiveState="deactivating", SubState="stop-sigterm")
    made.add("odd.service", ActiveState="hibernating", SubState="curled-up")
    return made


def source(units: Units, **options: str) -> Source:
    return Source("systemd", SourceKind.SYSTEMD, "systemd", units.url, 1.0, 5.0, options=options)


async def read(units: Units, unit: str, show: str, kind: ValueType = ValueType.TEXT) -> Finding:
    fact = Fact("f", "F", "g", "systemd", SystemdQuery(unit, show), kind)
    return (await SystemdFactReader(source(units)).read([fact]))["f"]


@pytest.mark.parametrize(
    ("unit", "show", "kind", "expected"),
    [
        ("bot.service", "ActiveState", ValueType.TEXT, "active"),
        ("bot.service", "NRestarts", ValueType.INT, 3),
        ("bot.service", "ActiveEnterTimestamp", ValueType.TIME, BEGAN),
        ("watch.timer", "LastTriggerUSec", ValueType.TIME, BEGAN),
        ("bad.service", "Result", ValueType.TEXT, "oom-kill"),
    ],
)
async def test_a_property_is_read(units: Units, unit: str, show: str, kind: ValueType, expected: Any) -> None:
    found = await read(units, unit, show, kind)
    assert isinstance(found, Found)
    assert found.value == expected


@pytest.mark.parametrize(
    ("unit", "show"),
    [("absent.service", "ActiveState"), ("once.service", "MemoryCurrent"), ("once.service", "FragmentPath")],
)
async def test_no_such_unit_or_no_value_is_missing(units: Units, unit: str, show: str) -> None:
    assert await read(units, unit, show, ValueType.INT) == Absent()


async def test_a_property_nobody_knows_is_broken_and_not_missing(units: Units) -> None:
    assert isinstance(await read(units, "bot.service", "NRestart"), Broken)


async def test_all_of_a_poll_is_one_call_that_only_shows(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_SECRET", "canary-4711")
    units.record_calls()
    facts = [
        Fact(f"{unit}-{show}", "F", "g", "systemd", SystemdQuery(unit, show), ValueType.TEXT)
        for unit in ("bot.service", "once.service")
        for show in ("ActiveState", "SubState")
    ]
    assert len(await SystemdFactReader(source(units, scope="user")).read(facts)) == 4
    ((argv, env),) = units.calls()
    assert argv[0] == "--user"
    assert argv[3] == "show"
    assert env["TZ"] == "UTC"
    assert "DESK_SECRET" not in env


async def test_a_host_without_systemd_and_one_without_a_bus_say_so(units: Units, tmp_path: Path) -> None:
    (units.home / "no-bus").touch()
    with pytest.raises(SourceError, match="no systemd answers"):
        await read(units, "bot.service", "ActiveState")
    units.programs = tmp_path / "nowhere"
    with pytest.raises(SourceError, match="there is no systemd to ask"):
        await read(units, "bot.service", "ActiveState")


@pytest.mark.parametrize(
    ("unit", "state", "health"),
    [
        ("bot.service", RunState.RUNNING, Health.NO_CHECK),
        ("watch.timer", RunState.RUNNING, Health.NO_CHECK),
        ("once.service", RunState.EXITED, Health.UNKNOWN),
        ("bad.service", RunState.DEAD, Health.UNKNOWN),
        ("loop.service", RunState.RESTARTING, Health.UNKNOWN),
        ("slow.service", RunState.RUNNING, Health.STARTING),
        ("odd.service", RunState.UNKNOWN, Health.UNKNOWN),
    ],
)
async def test_a_unit_is_a_service(units: Units, unit: str, state: RunState, health: Health) -> None:
    """One that is still stopping has not stopped; a word nobody knows is not a good one."""
    reader = SystemdServiceReader(source(units), [spec("it", unit)], SystemClock())
    found = (await reader.services())["it"]
    assert found is not None
    assert (found.state, found.health, found.ident) == (state, health, unit)


async def test_what_systemd_counts_of_a_service_is_told(units: Units) -> None:
    specs = [spec("bot", "bot.service"), spec("bad", "bad.service"), spec("gone", "absent.service")]
    found = await SystemdServiceReader(source(units), specs, SystemClock()).services()
    bot, bad = found["bot"], found["bad"]
    assert bot is not None
    assert bad is not None
    assert (bot.restarts, bot.started_wall, bot.usage.memory) == (3, BEGAN, 1048576)
    assert (bad.exit_code, bad.oom_killed) == (137, True)
    assert found["gone"] is None


def spec(name: str, unit: str) -> ServiceSpec:
    return ServiceSpec(name, (unit,), "a part", "systemd")


class Followed:
    """A reader that follows, and the rows it has brought."""

    def __init__(self, units: Units) -> None:
        self.ring = LogRing(LogGrammar(()), patience=0.0)
        specs = [spec("bot", "bot.service"), spec("once", "once.service")]
        self.reader = SystemdServiceReader(source(units), specs, SystemClock(), self.ring)

    async def rows(self, is_enough: Callable[[list[str]], bool]) -> list[tuple[str, LogLevel, str]]:
        until = time.monotonic() + 10
        while True:
            rows = self.ring.window(self.ring.first, 1000)
            if is_enough([str(row.text) for row in rows]):
                return [(row.service, row.level, str(row.text)) for row in rows]
            assert time.monotonic() < until, rows
            await asyncio.sleep(0.02)


async def test_the_journal_is_followed_line_by_line_and_goes_on_where_it_broke(units: Units) -> None:
    units.say("bot.service", "before the room")
    units.say("other.service", "not of this stack")
    units.say("bot.service", list("🛑 halted".encode()), priority=2)
    followed = Followed(units)
    await followed.reader.services()
    rows = await followed.rows(lambda texts: len(texts) == 2)
    assert rows[0][0::2] == ("bot", "before the room")
    assert rows[1] == ("bot", LogLevel.CRITICAL, "<crit> 🛑 halted")
    units.say("once.service", "first\nsecond")
    await followed.rows(lambda texts: texts[-2:] == ["first", "second"])

    end_programs_of(units)
    units.say("bot.service", "while nobody followed")
    rows = await followed.rows(lambda texts: texts[-1] == "while nobody followed")
    assert len(rows) == 5, "nothing is read twice"
    await followed.reader.close()
    assert not programs_of(units)


def programs_of(units: Units) -> list[int]:
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdecimal() and str(units.programs).encode() in _command(folder)
    ]


def end_programs_of(units: Units) -> None:
    for pid in programs_of(units):
        os.kill(pid, signal.SIGKILL)


def _command(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""
