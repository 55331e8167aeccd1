"""A stop asked for right after another one's verdict is a new stop: somebody may have resumed in between.

A slow second way of the stop before may land after the resume: then the next finds it halted already, and
what it says must still be what the switch reads.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from pathlib import Path

import redis

from backends.config import load
from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.intent import Intent
from backends.model.procedure import Run, Verdict
from backends.model.safetext import SafeText
from backends.procedures.stop_runner import HELD
from tests.servers.demo import DemoWorld, resume, start_demo
from tests.servers.process import wait_until

STACK = "trading-platform"
ROUNDS = 15


def halt(engine: Engine, changed: threading.Event) -> Run | None:
    """The run of one halt as soon as it has its verdict; None when it got none within twenty seconds."""
    ident = str(uuid.uuid4())
    engine.submit(Intent(ident, STACK, "halt", engine.operator, SafeText("again"), 0, "cli"))
    ends = time.monotonic() + 20.0
    while time.monotonic() < ends:
        run = engine.run(ident)
        if run is not None and run.verdict is not None:
            return run
        changed.wait(0.005)
        changed.clear()
    return None


def start(world: DemoWorld, folder: Path) -> tuple[Engine, threading.Event]:
    config = load(world.config, env=os.environ)
    engine = Engine(config.stacks, Mode.ARMED, folder, identify())
    changed = threading.Event()
    engine.subscribe(changed.set)
    engine.start()
    wait_until(lambda: engine.wait_asked(STACK, 0.1), 20, "a first look at everything")
    return engine, changed


def wrong(ends: list[tuple[Verdict | None, str]]) -> list[tuple[Verdict | None, str]]:
    """The ends that are no stop which stands, or which the switch belies. Whether a service that must obey
    says so in time as well is not the subject."""
    return [each for each in ends if each[0] not in HELD or each[1] != "ENGAGED"]


def test_a_stop_pressed_right_after_a_verdict_stops_again(tmp_path: Path) -> None:
    world = start_demo()
    try:
        engine, changed = start(world, tmp_path)
        ends: list[tuple[Verdict | None, str]] = []
        with redis.Redis.from_url(world["redis"], decode_responses=True) as client:
            while len(ends) < ROUNDS and not wrong(ends):
                run = halt(engine, changed)
                state = json.loads(str(client.get("kill_switch:state")))["state"]
                ends.append((run and run.verdict, state))
                if run is not None:
                    resume(world)
        engine.stop()
    finally:
        world.stop()
    assert not wrong(ends)
    assert (Verdict.VERIFIED, "ENGAGED") in ends
