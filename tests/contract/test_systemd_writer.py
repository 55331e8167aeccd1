"""Orders to systemd, given through a ``systemctl`` found on the PATH.

No systemd runs where these tests do: the demo's ``systemctl`` stands for it and tells how it was called.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.demo.systemd.units import Units
from backends.model.action import HttpCall, SystemdVerb
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.writers.systemd import SystemdEffector
from tests.contract.docker_place import spec

DONE, FAILED, UNKNOWN = ReceiptKind.DONE, ReceiptKind.FAILED, ReceiptKind.UNKNOWN

UNITS: dict[str, dict[str, str]] = {
    "desk.service": {},
    "desk@eu.service": {},
    "slow.service": {"takes": "60"},
    "broken.service": {"breaks": "yes"},
    "locked.service": {"refuses": "Access denied"},
}


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Units:
    units = Units(tmp_path / "systemd")
    units.record_calls()
    for unit, how in UNITS.items():
        units.started(unit, 1.8e9, **how)
    # Nothing else is on it: the machine's own systemctl must not be found.
    monkeypatch.setenv("PATH", str(units.programs))
    monkeypatch.setenv("DESK_SECRET", "canary-4711")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    return units


def state(units: Units, unit: str = "desk.service") -> str | None:
    return (units.read(unit) or {}).get("ActiveState")


async def act(verb: str, unit: str, scope: str = "", deadline: float = 3.0, **values: Any) -> Receipt:
    options = {"scope": scope} if scope else {}
    source = Source("host", SourceKind.SYSTEMD, "systemd", "", 1.0, 1.0, options=options)
    specs = [
        replace(spec("desk", "desk.service"), source="host"),
        ServiceSpec("other", ("locked.service",), "elsewhere", "other-host"),
    ]
    effector = SystemdEffector(source, specs)
    action = SystemdVerb("host", verb, unit)
    step = Step("s", "Do it", action, (), connect=0.25, deadline=deadline)
    return await effector.act(action, values, step)


@pytest.mark.parametrize(("verb", "ends"), [("stop", "inactive"), ("restart", "active")])
async def test_a_unit_is_stopped_or_restarted(systemd: Units, verb: str, ends: str) -> None:
    receipt = await act(verb, "desk.service")
    assert (receipt.kind, receipt.text) == (DONE, f"{verb} desk.service: exit 0")
    assert state(systemd) == ends
    assert (systemd.read("desk.service") or {})["job"].startswith(verb)
    ((argv, env),) = systemd.calls()
    assert "--system" in argv
    assert "DESK_SECRET" not in env
    assert env["LC_ALL"] == "C"


async def test_a_service_of_the_stack_is_found_by_its_name(systemd: Units) -> None:
    assert (await act("stop", "$service", service="desk")).kind is DONE
    assert state(systemd) == "inactive"


async def test_the_users_own_units_are_reached_when_the_source_says_so(systemd: Units) -> None:
    assert (await act("start", "desk@eu.service", scope="user")).kind is DONE
    ((argv, env),) = systemd.calls()
    assert "--user" in argv
    assert "--system" not in argv
    assert env["XDG_RUNTIME_DIR"] == "/run/user/1"


@pytest.mark.parametrize(
    "service", ["locked.service", "other", "*", "desk.service slow.service", "--force", "$(id)", ""]
)
async def test_a_value_that_is_no_service_of_the_stack_is_not_asked_for(systemd: Units, service: str) -> None:
    receipt = await act("stop", "$service", service=service)
    assert receipt.kind is FAILED
    assert "is no service of this stack" in receipt.text
    assert systemd.calls() == []


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
    systemd: Units, verb: str, unit: str
) -> None:
    assert (await act(verb, unit)).kind is FAILED
    assert systemd.calls() == []


@pytest.mark.parametrize(
    ("unit", "kind", "words"),
    [
        (
            "absent.service",
            FAILED,
            "exit 5: Failed to restart absent.service: Unit absent.service not found.",
        ),
        ("locked.service", FAILED, "exit 4: Failed to restart locked.service: Access denied"),
        ("broken.service", UNKNOWN, "exit 1: Job for broken.service failed"),
    ],
)
async def test_a_refusal_is_a_failure_and_a_failed_job_is_not(
    systemd: Units, unit: str, kind: ReceiptKind, words: str
) -> None:
    """A restart that failed has stopped the unit."""
    receipt = await act("restart", unit)
    assert receipt.kind is kind
    assert words in receipt.text


async def test_no_bus_means_nothing_happened(systemd: Units) -> None:
    (systemd.home / "no-bus").touch()
    receipt = await act("stop", "desk.service")
    assert receipt.kind is FAILED
    assert "Failed to connect to bus" in receipt.text


async def test_a_slow_job_is_unknown_in_time(systemd: Units) -> None:
    began = time.monotonic()
    receipt = await act("stop", "slow.service", deadline=0.75)
    assert time.monotonic() - began < 2.5
    assert (receipt.kind, receipt.text) == (UNKNOWN, "no answer within 1000 ms")


async def test_a_host_without_systemd_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    receipt = await act("stop", "desk.service")
    assert receipt.kind is FAILED
    assert "systemctl: no such file" in receipt.text


async def test_a_step_of_another_kind_is_refused(systemd: Units) -> None:
    effector = SystemdEffector(Source("host", SourceKind.SYSTEMD, "systemd", "", 1.0, 1.0), [])
    call = HttpCall("host", "POST", "/")
    assert (await effector.act(call, {}, Step("s", "s", call, ()))).kind is FAILED
