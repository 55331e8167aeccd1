"""Orders to systemd, given through a ``systemctl`` found on the PATH.

No systemd runs where these tests do. ``FAKE`` stands for its ``systemctl``: it takes the same arguments
(and ends with 64 for any it does not know), keeps the state of units in files, and answers with the exit
codes and words of the real one (5 for a unit that is not loaded, 4 for one that may not be touched, 1 for a
job that failed or no bus).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.model.action import HttpCall, SystemdVerb
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.writers.systemd import SystemdEffector
from tests.contract.docker_place import spec

DONE, FAILED, UNKNOWN = ReceiptKind.DONE, ReceiptKind.FAILED, ReceiptKind.UNKNOWN

FAKE = """#!{python}
import json, os, pathlib, sys, time
home = pathlib.Path({home!r})
with open(home / "calls", "a") as calls:
    env = {{name: os.environ[name] for name in sorted(os.environ)}}
    calls.write(json.dumps([sys.argv[1:], env]) + "\\n")
known = {{"--user", "--system", "--no-ask-password", "--no-pager"}}
options = [word for word in sys.argv[1:] if word.startswith("--") and word != "--"]
words = [word for word in sys.argv[1:] if word not in options]
if set(options) - known or len(words) != 3 or words[1] != "--":
    sys.exit(64)
verb, _, unit = words
if (home / "no-bus").exists():
    sys.exit("Failed to connect to bus: No such file or directory")
state = home / unit
if not state.exists():
    sys.stderr.write(f"Failed to {{verb}} {{unit}}: Unit {{unit}} not found.\\n")
    sys.exit(5)
if unit.startswith("locked"):
    sys.stderr.write(f"Failed to {{verb}} {{unit}}: Access denied\\n")
    sys.exit(4)
if unit.startswith("slow"):
    time.sleep(60)
if unit.startswith("broken"):
    state.write_text("failed")
    sys.exit(f"Job for {{unit}} failed because the control process exited with error code.")
state.write_text({{"start": "active", "stop": "inactive", "restart": "active again"}}[verb])
"""


class Systemd:
    """The fake's files: the units, and what it was called with."""

    def __init__(self, home: Path, programs: Path) -> None:
        self.home = home
        program = programs / "systemctl"
        program.write_text(FAKE.format(python=sys.executable, home=str(home)))
        program.chmod(0o755)
        for unit in ("desk.service", "desk@eu.service", "slow.service", "broken.service", "locked.service"):
            (home / unit).write_text("active")

    def state(self, unit: str = "desk.service") -> str:
        return (self.home / unit).read_text()

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        path = self.home / "calls"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    for name in ("units", "bin"):
        (tmp_path / name).mkdir()
    # Nothing else is on it: the machine's own systemctl must not be found.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("DESK_SECRET", "canary-4711")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    return Systemd(tmp_path / "units", tmp_path / "bin")


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


@pytest.mark.parametrize(("verb", "state"), [("stop", "inactive"), ("restart", "active again")])
async def test_a_unit_is_stopped_or_restarted(systemd: Systemd, verb: str, state: str) -> None:
    receipt = await act(verb, "desk.service")
    assert (receipt.kind, receipt.text) == (DONE, f"{verb} desk.service: exit 0")
    assert systemd.state() == state
    ((argv, env),) = systemd.calls()
    assert "--system" in argv
    assert "DESK_SECRET" not in env
    assert env["LC_ALL"] == "C"


async def test_a_service_of_the_stack_is_found_by_its_name(systemd: Systemd) -> None:
    assert (await act("stop", "$service", service="desk")).kind is DONE
    assert systemd.state() == "inactive"


async def test_the_users_own_units_are_reached_when_the_source_says_so(systemd: Systemd) -> None:
    assert (await act("start", "desk@eu.service", scope="user")).kind is DONE
    ((argv, env),) = systemd.calls()
    assert "--user" in argv
    assert "--system" not in argv
    assert env["XDG_RUNTIME_DIR"] == "/run/user/1"


@pytest.mark.parametrize(
    "service", ["locked.service", "other", "*", "desk.service slow.service", "--force", "$(id)", ""]
)
async def test_a_value_that_is_no_service_of_the_stack_is_not_asked_for(
    systemd: Systemd, service: str
) -> None:
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
    systemd: Systemd, verb: str, unit: str
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
    systemd: Systemd, unit: str, kind: ReceiptKind, words: str
) -> None:
    """A restart that failed has stopped the unit."""
    receipt = await act("restart", unit)
    assert receipt.kind is kind
    assert words in receipt.text


async def test_no_bus_means_nothing_happened(systemd: Systemd) -> None:
    (systemd.home / "no-bus").touch()
    receipt = await act("stop", "desk.service")
    assert receipt.kind is FAILED
    assert "Failed to connect to bus" in receipt.text


async def test_a_slow_job_is_unknown_in_time(systemd: Systemd) -> None:
    began = time.monotonic()
    receipt = await act("stop", "slow.service", deadline=0.75)
    assert time.monotonic() - began < 2.5
    assert (receipt.kind, receipt.text) == (UNKNOWN, "no answer within 1000 ms")


async def test_a_host_without_systemd_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    receipt = await act("stop", "desk.service")
    assert receipt.kind is FAILED
    assert "systemctl: no such file" in receipt.text


async def test_a_step_of_another_kind_is_refused(systemd: Systemd) -> None:
    effector = SystemdEffector(Source("host", SourceKind.SYSTEMD, "systemd", "", 1.0, 1.0), [])
    call = HttpCall("host", "POST", "/")
    assert (await effector.act(call, {}, Step("s", "s", call, ()))).kind is FAILED
