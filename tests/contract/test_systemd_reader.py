"""Units as ``systemctl show`` tells of them: of a real systemd, and of the demo's stand-in for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from msgspec.structs import replace

from backends.demo.systemd.units import Units, stamp
from backends.model.clock import SystemClock
from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, ValueType
from backends.model.query import SystemdQuery
from backends.model.service import Health, RunState, Service
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.readers.systemd import SystemdFactReader, SystemdServiceReader
from tests.contract.systemd_place import DUE, KINDS, Place, place, source


@pytest.fixture(scope="module", params=KINDS)
def systemd(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(str(request.param)) as it:
        yield it


@pytest.fixture
def units(tmp_path: Path) -> Units:
    """For what no real systemd can be brought to."""
    return Units(tmp_path)


def of(units: Units, **options: str) -> Source:
    return Source("systemd", SourceKind.SYSTEMD, "systemd", units.url, 1.0, 5.0, options=options)


async def read(asked: Source, unit: str, show: str, kind: ValueType = ValueType.TEXT) -> Finding:
    fact = Fact("f", "F", "g", "systemd", SystemdQuery(unit, show), kind)
    return (await SystemdFactReader(asked).read([fact]))["f"]


async def services(asked: Source, *units: str) -> list[Service | None]:
    specs = [ServiceSpec(unit, (unit,), "a part", "systemd") for unit in units]
    found = await SystemdServiceReader(asked, specs, SystemClock()).services()
    return [found[unit] for unit in units]


@pytest.mark.parametrize(
    ("unit", "show", "kind", "expected"),
    [
        ("bot.service", "ActiveState", ValueType.TEXT, "active"),
        ("bot.service", "NRestarts", ValueType.INT, 3),
        ("bot.service", "Environment", ValueType.TEXT, "DRY_RUN=1"),
        ("watch.timer", "NextElapseUSecRealtime", ValueType.TIME, DUE),
        ("bad.service", "Result", ValueType.TEXT, "exit-code"),
        ("bad.service", "ExecMainStatus", ValueType.INT, 7),
        ("masked.service", "LoadState", ValueType.TEXT, "masked"),
        ("wrong.service", "LoadState", ValueType.TEXT, "bad-setting"),
    ],
)
async def test_a_property_is_read(
    systemd: Place, unit: str, show: str, kind: ValueType, expected: Any
) -> None:
    found = await read(source(systemd), unit, show, kind)
    assert isinstance(found, Found)
    assert found.value == expected


@pytest.mark.parametrize(
    ("unit", "show"), [("bot.service", "ActiveEnterTimestamp"), ("watch.timer", "LastTriggerUSec")]
)
async def test_a_time_is_read_as_the_moment_it_was(systemd: Place, unit: str, show: str) -> None:
    found = await read(source(systemd), unit, show, ValueType.TIME)
    assert isinstance(found, Found)
    assert systemd.began <= found.value <= systemd.ready


async def test_a_start_is_told_to_the_fraction_of_a_second() -> None:
    with place("real") as it:
        found = await read(source(it), "bot.service", "ActiveEnterTimestamp", ValueType.TIME)
    assert isinstance(found, Found)
    assert found.value % 1 > 0


async def test_a_systemd_too_old_for_fractions_is_read_all_the_same(tmp_path: Path) -> None:
    program = tmp_path / "systemctl"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--timestamp*) echo "systemctl: unrecognized option" >&2; exit 1;; esac\n'
        'printf "Id=bot.service\\nLoadState=loaded\\nActiveState=active\\n"\n'
    )
    program.chmod(0o755)
    asked = Source("systemd", SourceKind.SYSTEMD, "systemd", f"systemd://localhost{tmp_path}", 1.0, 5.0)
    found = await read(asked, "bot.service", "ActiveState")
    assert isinstance(found, Found)
    assert found.value == "active"


async def test_the_main_process_is_one_that_lives(systemd: Place) -> None:
    found = await read(source(systemd), "bot.service", "MainPID", ValueType.INT)
    assert isinstance(found, Found)
    assert found.value > 0
    ended = await read(source(systemd), "bad.service", "MainPID", ValueType.INT)
    assert isinstance(ended, Found)
    assert ended.value == 0


@pytest.mark.parametrize(
    ("unit", "show"),
    [
        ("absent.service", "ActiveState"),
        ("once.service", "MemoryCurrent"),
        ("never.service", "ActiveEnterTimestamp"),
        ("never.service", "ExecMainExitTimestamp"),
    ],
)
async def test_no_such_unit_or_no_value_is_missing(systemd: Place, unit: str, show: str) -> None:
    assert await read(source(systemd), unit, show, ValueType.INT) == Absent()


@pytest.mark.parametrize(("unit", "show"), [("bot.service", "NRestart"), ("watch.timer", "NRestarts")])
async def test_a_property_the_unit_does_not_have_is_broken_and_not_missing(
    systemd: Place, unit: str, show: str
) -> None:
    assert isinstance(await read(source(systemd), unit, show), Broken)


@pytest.mark.parametrize(
    ("unit", "state", "health", "exit_code"),
    [
        ("bot.service", RunState.RUNNING, Health.NO_CHECK, None),
        ("watch.timer", RunState.RUNNING, Health.NO_CHECK, None),
        ("once.service", RunState.EXITED, Health.UNKNOWN, 0),
        ("never.service", RunState.EXITED, Health.UNKNOWN, None),
        ("bad.service", RunState.DEAD, Health.UNKNOWN, 7),
        ("killed.service", RunState.DEAD, Health.UNKNOWN, 137),
        ("loop.service", RunState.RESTARTING, Health.UNKNOWN, 1),
        ("starting.service", RunState.RUNNING, Health.STARTING, None),
        ("slow.service", RunState.RUNNING, Health.STARTING, None),
        ("masked.service", RunState.EXITED, Health.UNKNOWN, None),
        ("wrong.service", RunState.EXITED, Health.UNKNOWN, None),
    ],
)
async def test_a_unit_is_a_service(
    systemd: Place, unit: str, state: RunState, health: Health, exit_code: int | None
) -> None:
    """One that is still stopping has not stopped; what never ran has no exit code."""
    (found,) = await services(source(systemd), unit)
    assert found is not None
    assert (found.state, found.health, found.exit_code) == (state, health, exit_code)
    assert (found.ident, found.title) == (unit, unit)


async def test_what_systemd_counts_of_a_service_is_told(systemd: Place) -> None:
    bot, once, gone = await services(source(systemd), "bot.service", "once.service", "absent.service")
    assert bot is not None
    assert once is not None
    assert (bot.restarts, bot.oom_killed) == (3, False)
    assert bot.started_wall is not None
    assert systemd.began <= bot.started_wall <= systemd.ready
    assert once.finished_wall is not None
    assert systemd.began <= once.finished_wall <= systemd.ready
    assert (once.usage.memory, once.usage.memory_limit) == (None, None)
    memory = await read(source(systemd), "bot.service", "MemoryCurrent", ValueType.INT)
    assert (bot.usage.memory is None) == (memory == Absent()), "counted where the kernel lets it"
    assert gone is None


async def test_the_users_own_units_are_others(systemd: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    units = ("blue.service", "green.service", "bot.service")
    blue, green, bot = await services(source(systemd, "user"), *units)
    assert blue is not None
    assert green is not None
    assert (blue.state, green.state, bot) == (RunState.RUNNING, RunState.EXITED, None)
    assert await services(source(systemd), "blue.service") == [None]


@pytest.mark.parametrize("systemd", ["real"], indirect=True)
async def test_a_user_whose_systemd_does_not_run_is_told_so(
    systemd: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/4711")
    with pytest.raises(SourceError, match="no systemd answers"):
        await services(source(systemd, "user"), "blue.service")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(SourceError, match="no systemd answers"):
        await services(source(systemd, "user"), "blue.service")


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
    assert len(await SystemdFactReader(of(units, scope="user")).read(facts)) == 4
    ((argv, env),) = units.calls()
    assert argv[0] == "--user"
    assert argv[3:5] == ["--timestamp=us", "show"]
    assert env["TZ"] == "UTC"
    assert "DESK_SECRET" not in env


async def test_a_word_nobody_knows_is_not_a_good_one(units: Units) -> None:
    units.add("odd.service", ActiveState="hibernating", SubState="curled-up")
    (found,) = await services(of(units), "odd.service")
    assert found is not None
    assert (found.state, found.health) == (RunState.UNKNOWN, Health.UNKNOWN)


async def test_what_the_kernel_ended_for_its_memory_is_told_as_that(units: Units) -> None:
    killed = {"Result": "oom-kill", "ExecMainCode": "2", "ExecMainStatus": "9"}
    units.add("bot.service", ActiveState="failed", SubState="failed", **killed)
    (found,) = await services(of(units), "bot.service")
    assert found is not None
    assert (found.exit_code, found.oom_killed) == (137, True)


async def test_a_host_without_systemd_and_one_without_a_bus_say_so(units: Units, tmp_path: Path) -> None:
    (units.home / "no-bus").touch()
    with pytest.raises(SourceError, match="no systemd answers"):
        await read(of(units), "bot.service", "ActiveState")
    units.programs = tmp_path / "nowhere"
    with pytest.raises(SourceError, match="there is no systemd to ask"):
        await read(of(units), "bot.service", "ActiveState")


async def test_the_newest_lines_of_a_unit_s_journal_are_searched(systemd: Place) -> None:
    systemd.say("bot.service", "Traceback (most recent call last):\n  …\nModuleNotFoundError: first", 3)
    query = SystemdQuery("bot.service", pattern=r"^(?P<what>\w+Error): (?P<why>.*)")
    rows = Fact("rows", "F", "g", "systemd", query, ValueType.COUNT)
    last = Fact("last", "F", "g", "systemd", query, ValueType.TEXT, "-1.what")
    none = Fact("none", "F", "g", "systemd", SystemdQuery("bot.service", pattern="no such"), ValueType.COUNT)
    gone = Fact("gone", "F", "g", "systemd", SystemdQuery("gone.service", pattern="."), ValueType.COUNT)
    reader = SystemdFactReader(source(systemd))

    async def until(count: int) -> dict[str, Finding]:
        ends = monotonic() + 10
        while (found := await reader.read([rows, last, none, gone]))["rows"] != Found(count):
            assert monotonic() < ends, found
            await asyncio.sleep(0.1)
        return dict(found)

    await until(1)  # journald keeps no order between its sockets
    systemd.say("bot.service", b"KeyError: '\x1b[2J'", 3)
    systemd.say("bot.service", "all is well")
    found = await until(2)
    assert found == {"rows": Found(2), "last": Found("KeyError"), "none": Found(0), "gone": Absent()}


LINES = Fact("lines", "F", "g", "systemd", SystemdQuery("bot.service", pattern="Error"), ValueType.COUNT)
STATE = Fact("state", "F", "g", "systemd", SystemdQuery("bot.service"), ValueType.TEXT)


async def lines(units: Units) -> Finding:
    return (await SystemdFactReader(of(units)).read([LINES]))["lines"]


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("echo no journal >&2; exit 1", "journalctl ended with 1: no journal"),
        ("exit 0", "its journal shows this user no line since its last start"),
        ("exec sleep 60", "the journal gave no answer within 3.6 s"),
        (None, "the journal cannot be asked: "),
    ],
)
async def test_a_journal_that_cannot_be_read_is_no_quiet_one_and_hides_nothing_else(
    units: Units, does: str | None, why: str
) -> None:
    units.started("bot.service", 0.0)
    program = units.programs / "journalctl"
    if does is None:
        program.unlink()
    else:
        program.write_text(f"#!/bin/sh\n{does}\n")
    hasty = replace(of(units), deadline=4.0) if does and "sleep" in does else of(units)
    async with asyncio.timeout(30):
        found = await SystemdFactReader(hasty).read([LINES, STATE])
    broken = found["lines"]
    assert isinstance(broken, Broken)
    assert broken.why.startswith(why)
    assert found["state"] == Found("active")


async def test_a_unit_that_never_started_may_have_said_nothing(systemd: Place) -> None:
    never = replace(LINES, query=SystemdQuery("never.service", pattern="Error"))
    assert await SystemdFactReader(source(systemd)).read([never]) == {"lines": Found(0)}


async def test_what_a_run_of_last_week_said_is_no_cause_of_today(units: Units) -> None:
    units.started("bot.service", time.time())
    units.say("bot.service", "KeyError: 'x'")
    assert await lines(units) == Found(1)
    units.change("bot.service", ActiveEnterTimestamp=stamp(time.time() + 300))
    assert await lines(units) == Found(1), "of the run before, in a loop of crashes"
    week = stamp(time.time() + 7 * 86_400)
    units.change("bot.service", ActiveEnterTimestamp=week, InactiveExitTimestamp=week)
    assert isinstance(await lines(units), Broken)
