"""Orders to systemd, given through a ``systemctl`` on the PATH: to a real one, and to the demo's stand-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.demo.systemd.units import Units
from backends.model.action import HttpCall, SystemdVerb
from backends.model.clock import SystemClock
from backends.model.fact import Fact, Found, ValueType
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.query import SystemdQuery
from backends.model.service import RunState, Service
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.readers.systemd import SystemdFactReader, SystemdServiceReader
from backends.writers.systemd import SystemdEffector
from tests.contract.docker_place import spec
from tests.contract.systemd_place import KINDS, Place, place, source

DONE, FAILED, UNKNOWN = ReceiptKind.DONE, ReceiptKind.FAILED, ReceiptKind.UNKNOWN


@pytest.fixture(scope="module", params=KINDS)
def machine(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(str(request.param)) as it:
        yield it


@pytest.fixture
def systemd(machine: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Found on the PATH, where nothing else is: the machine's own systemctl must not be."""
    monkeypatch.setenv("PATH", str(machine.programs))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    return machine


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Units:
    """The stand-in, which tells how it was called."""
    units = Units(tmp_path / "systemd")
    units.record_calls()
    units.started("desk.service", 1.8e9)
    units.started("closed.service", 1.8e9, refuses="Access denied")
    monkeypatch.setenv("PATH", str(units.programs))
    monkeypatch.setenv("DESK_SECRET", "canary-4711")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    return units


async def looked(systemd: Place, unit: str, scope: str = "") -> Service:
    """The unit, read back."""
    specs = [ServiceSpec("it", (unit,), "a part", "systemd")]
    found = (await SystemdServiceReader(source(systemd, scope), specs, SystemClock()).services())["it"]
    assert found is not None
    return found


async def main_process(systemd: Place, unit: str) -> int:
    fact = Fact("f", "F", "g", "systemd", SystemdQuery(unit, "MainPID"), ValueType.INT)
    found = (await SystemdFactReader(source(systemd)).read([fact]))["f"]
    assert isinstance(found, Found)
    return int(found.value)


async def act(
    verb: str, unit: str, scope: str = "", url: str = "", deadline: float = 20.0, **values: Any
) -> Receipt:
    options = {"scope": scope} if scope else {}
    host = Source("host", SourceKind.SYSTEMD, "systemd", url, 1.0, 1.0, options=options)
    specs = [
        replace(spec("desk", "desk.service"), source="host"),
        ServiceSpec("other", ("locked.service",), "elsewhere", "other-host"),
    ]
    effector = SystemdEffector(host, specs)
    action = SystemdVerb("host", verb, unit)
    step = Step("s", "Do it", action, (), connect=0.25, deadline=deadline)
    return await effector.act(action, values, step)


async def test_a_unit_is_stopped_and_started_and_restarted(systemd: Place) -> None:
    running = await looked(systemd, "desk.service")
    assert (running.state, running.exit_code) == (RunState.RUNNING, None)

    receipt = await act("stop", "desk.service")
    assert (receipt.kind, receipt.text) == (DONE, "stop desk.service: exit 0")
    stopped = await looked(systemd, "desk.service")
    assert (stopped.state, stopped.exit_code) == (RunState.EXITED, 143)
    assert (await act("stop", "desk.service")).kind is DONE, "it is what was wanted"

    assert (await act("start", "desk.service")).kind is DONE
    again = await looked(systemd, "desk.service")
    assert (again.state, again.restarts) == (RunState.RUNNING, 0)
    assert again.started_wall is not None
    assert (await act("start", "desk.service")).kind is DONE
    assert (await looked(systemd, "desk.service")).started_wall == again.started_wall, "one start is enough"

    before = await main_process(systemd, "desk.service")
    receipt = await act("restart", "desk.service")
    assert (receipt.kind, receipt.text) == (DONE, "restart desk.service: exit 0")
    assert (await looked(systemd, "desk.service")).state is RunState.RUNNING
    assert await main_process(systemd, "desk.service") != before


async def test_a_service_of_the_stack_is_found_by_its_name(systemd: Place) -> None:
    assert (await act("restart", "$service", service="desk")).kind is DONE
    assert (await looked(systemd, "desk.service")).state is RunState.RUNNING


async def test_one_of_several_of_a_kind_is_started(systemd: Place) -> None:
    assert (await act("stop", "desk@eu.service")).kind is DONE
    assert (await looked(systemd, "desk@eu.service")).state is RunState.EXITED
    assert (await looked(systemd, "desk.service")).state is RunState.RUNNING
    assert (await act("start", "desk@eu.service")).kind is DONE
    assert (await looked(systemd, "desk@eu.service")).state is RunState.RUNNING


async def test_the_users_own_units_are_reached_when_the_source_says_so(systemd: Place) -> None:
    for verb, ends in (("start", RunState.RUNNING), ("stop", RunState.EXITED)):
        assert (await act(verb, "green.service", "user", systemd.url("user"))).kind is DONE
        assert (await looked(systemd, "green.service", "user")).state is ends
    absent = await act("start", "green.service")
    assert absent.kind is FAILED, "the system has no such unit"


async def test_the_users_systemd_is_asked_by_the_variables_that_lead_to_it(recorded: Units) -> None:
    await act("start", "desk.service", scope="user")
    ((argv, env),) = recorded.calls()
    assert "--user" in argv
    assert "--system" not in argv
    assert env["XDG_RUNTIME_DIR"] == "/run/user/1"


async def test_the_systems_is_asked_without_the_rooms_secrets(recorded: Units) -> None:
    await act("stop", "desk.service")
    ((argv, env),) = recorded.calls()
    assert "--system" in argv
    assert "DESK_SECRET" not in env
    assert env["LC_ALL"] == "C"


@pytest.mark.parametrize(
    "service", ["locked.service", "other", "*", "desk.service slow.service", "--force", "$(id)", ""]
)
async def test_a_value_that_is_no_service_of_the_stack_is_not_asked_for(
    recorded: Units, service: str
) -> None:
    receipt = await act("stop", "$service", service=service)
    assert receipt.kind is FAILED
    assert "is no service of this stack" in receipt.text
    assert recorded.calls() == []


@pytest.mark.parametrize(
    ("verb", "unit"),
    [
        ("stop", "*.service"),
        ("stop", "--all"),
        ("stop", "desk.service\n"),
        ("stop", "../x"),
        ("mask", "desk.service"),
    ],
)
async def test_a_pattern_an_option_or_another_verb_is_not_passed_on(
    recorded: Units, verb: str, unit: str
) -> None:
    assert (await act(verb, unit)).kind is FAILED
    assert recorded.calls() == []


@pytest.mark.parametrize(
    ("verb", "unit", "words"),
    [
        (
            "restart",
            "absent.service",
            "exit 5: Failed to restart absent.service: Unit absent.service not found.",
        ),
        ("stop", "absent.service", "exit 5: Failed to stop absent.service: Unit absent.service not loaded."),
        ("restart", "locked.service", "exit 4: Failed to restart locked.service: Operation refused"),
        ("start", "masked.service", "exit 1: Failed to start masked.service: Unit masked.service is masked."),
        (
            "start",
            "wrong.service",
            "exit 1: Failed to start wrong.service: Unit wrong.service has a bad unit file setting.",
        ),
    ],
)
async def test_what_systemd_never_tried_is_a_failure(
    systemd: Place, verb: str, unit: str, words: str
) -> None:
    receipt = await act(verb, unit)
    assert receipt.kind is FAILED
    assert words in receipt.text


async def test_a_job_that_failed_is_not_known_to_have_done_nothing(systemd: Place) -> None:
    """A restart that failed has stopped the unit."""
    receipt = await act("restart", "broken.service")
    assert receipt.kind is UNKNOWN
    assert "exit 1: Job for broken.service failed" in receipt.text
    assert (await looked(systemd, "broken.service")).state is RunState.DEAD


async def test_what_is_not_allowed_was_not_done(recorded: Units) -> None:
    receipt = await act("restart", "closed.service")
    assert receipt.kind is FAILED
    assert "exit 4: Failed to restart closed.service: Access denied" in receipt.text


async def test_no_bus_means_nothing_happened(recorded: Units) -> None:
    (recorded.home / "no-bus").touch()
    receipt = await act("stop", "desk.service")
    assert receipt.kind is FAILED
    assert "Failed to connect to bus" in receipt.text


@pytest.mark.parametrize("machine", ["real"], indirect=True)
async def test_a_user_whose_systemd_does_not_run_is_told_that_nothing_happened(
    systemd: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/4711")
    receipt = await act("start", "green.service", scope="user")
    assert receipt.kind is FAILED
    assert "Failed to connect to bus" in receipt.text


async def test_a_slow_job_is_unknown_in_time(systemd: Place) -> None:
    began = time.monotonic()
    receipt = await act("stop", "tough.service", deadline=0.75)
    assert time.monotonic() - began < 15
    assert (receipt.kind, receipt.text) == (UNKNOWN, "no answer within 1000 ms")


async def test_a_host_without_systemd_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    receipt = await act("stop", "desk.service")
    assert receipt.kind is FAILED
    assert "systemctl: no such file" in receipt.text


async def test_a_step_of_another_kind_is_refused() -> None:
    effector = SystemdEffector(Source("host", SourceKind.SYSTEMD, "systemd", "", 1.0, 1.0), [])
    call = HttpCall("host", "POST", "/")
    assert (await effector.act(call, {}, Step("s", "s", call, ()))).kind is FAILED
