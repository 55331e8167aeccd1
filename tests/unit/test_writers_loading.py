"""When the code that writes is loaded: never in watch mode, and otherwise only what a stack's steps need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

WORLD = """
import json, pathlib, sys, tempfile, time
from msgspec.structs import replace
from backends.model.action import *
from backends.model.procedure import Procedure, RiskClass, Step
from backends.model.stack import Source, SourceKind
from tests.sim.world import KIM, intent, tiny_stack

ALL = (
    RedisTransition("redis", "k", "state", ("A",), "B"), RedisWrite("redis", "set", "k", "v"),
    RedisUnit("redis", (RedisWrite("redis", "set", "k", "v"),)), HttpCall("web", "POST", "/"),
    DockerVerb("docker", "stop", "one"), SystemdVerb("systemd", "stop", "one.service"),
    SqlStatement("postgres", "SELECT 1"), Command("", ("true",)),
    ProcessSignal("host", "bot", "$pid"), Wait(1.0), Observe(), Attest("seen"),
)

def stack_of(*actions):
    steps = tuple(Step(f"s{n}", "Do it", action, ()) for n, action in enumerate(actions))
    procedure = Procedure("all", "All", RiskClass.STOP, "It does all", (), "By hand", steps)
    kinds = {"redis": SourceKind.REDIS, "web": SourceKind.HTTP, "docker": SourceKind.DOCKER,
             "systemd": SourceKind.SYSTEMD, "host": SourceKind.HOST, "postgres": SourceKind.POSTGRES}
    urls = {"redis": "redis://127.0.0.1:1/0", "web": "http://127.0.0.1:1", "docker": "unix:///nowhere",
            "postgres": "postgresql://127.0.0.1:1/x"}
    sources = {name: Source(name, kind, name, urls.get(name, ""), 1.0, 0.5) for name, kind in kinds.items()}
    return replace(tiny_stack(procedure), sources=sources, facts={}, alarms=())

def loaded(*names):
    there = [name for name, module in sys.modules.items() if module is not None]
    return sorted(name for name in there if name.split(".")[0] in names or name.startswith(names))
"""

LIBRARIES = ("httpx", "docker", "requests", "psycopg", "jwt")


def told(program: str) -> Any:
    """What a program prints that starts in an interpreter of its own."""
    found = subprocess.run(
        [sys.executable, "-c", WORLD + program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.parametrize("mode", ["WATCH", "ARMED"])
def test_watch_mode_never_holds_a_writer_whatever_the_stack_can_do(mode: str) -> None:
    """The same run, armed, does hold them: the look for them finds what there is."""
    found = told(f"""
from backends.engine import Engine, Mode
stack = stack_of(*ALL)
engine = Engine([stack], Mode.{mode}, pathlib.Path(tempfile.mkdtemp()), KIM, observe=False)
engine.start()
engine.submit(intent(procedure="all"))
until = time.monotonic() + 20
while not (run := engine.run("op-1")) or (run.verdict is None and Mode.{mode} is Mode.WATCH):
    assert time.monotonic() < until
    time.sleep(0.02)
engine.stop(0.0)
print(json.dumps([run.verdict.name if run.verdict else "", loaded("backends.writers")]))
""")
    if mode == "WATCH":
        assert found == ["REFUSED", []]
    else:
        assert "backends.writers.redis" in found[1]


def test_the_engine_alone_loads_no_writer() -> None:
    assert told("import backends.engine; print(json.dumps(loaded('backends.writers')))") == []


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("ALL[:1]", {"redis"}),
        ("ALL[3:4]", {"http"}),
        ("ALL[4:5]", {"docker"}),
        ("ALL[5:6]", {"systemd"}),
        ("ALL[6:7]", {"postgres"}),
        ("ALL[7:8]", {"command"}),
        ("ALL[8:9]", {"process"}),
        ("ALL[9:]", set()),
    ],
)
def test_a_stack_loads_the_writers_of_its_own_steps_only(actions: str, expected: set[str]) -> None:
    found = told(f"""
from backends.arming import make_effectors
from backends.journal.redact import Redactor
from backends.procedures.permit import arm
made = make_effectors(arm(KIM, is_watch=False), stack_of(*{actions}), Redactor().text)
print(json.dumps([len(made), loaded("backends.writers")]))
""")
    kinds = {"redis", "http", "docker", "systemd", "postgres", "command", "process"}
    assert {name.rpartition(".")[2] for name in found[1]} & kinds == expected
    assert found[0] == len(expected)


def test_every_kind_of_step_has_a_writer_that_takes_it_and_no_library_loads_before_it_is_needed() -> None:
    before, answers = told(f"""
import asyncio
from backends.arming import make_effectors
from backends.journal.redact import Redactor
from backends.procedures.permit import arm
stack = stack_of(*ALL)
made = make_effectors(arm(KIM, is_watch=False), stack, Redactor().text)
before = loaded(*{LIBRARIES})

async def act():
    steps = stack.procedures["all"].steps
    return [
        await made[step.action.source].act(step.action, {{}}, step)
        for step in steps if not isinstance(step.action, (Wait, Observe, Attest))
    ]

print(json.dumps([before, [[each.kind.value, each.text] for each in asyncio.run(act())]]))
""")
    assert before == []
    assert len(answers) == 9
    *others, (command, _), process = answers
    others.append(process)
    assert command == "done"
    for kind, text in others:
        assert kind == "failed", text
        assert "does not take" not in text
        assert "fault in this program" not in text
        assert "could not be made" not in text
