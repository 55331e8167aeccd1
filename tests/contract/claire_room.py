"""A room on a demo of Claire de Binare, with nothing between the test and the engine."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import redis
from msgspec.structs import replace

from backends.config import load
from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.intent import Intent
from backends.model.procedure import Run
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.confirm import seen_on
from tests.contract.armed_room import patient
from tests.contract.hurry import hurried
from tests.contract.looking_room import LookingRoom
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.servers.process import wait_until

ID = "claire-de-binare"


class ClaireRoom(LookingRoom):
    """The engine of an armed room, and clients of the demo's own."""

    def __init__(self, world: DemoWorld, folder: Path, config: Path | None = None) -> None:
        self.world = world
        stack = load(config or world.config, env=os.environ).stacks[0]
        self.stack = _for_tests(stack)
        self.engine = Engine([self.stack], Mode.ARMED, folder, identify())
        self.engine.start()
        wait_until(lambda: self.engine.wait_asked(ID, 0.1), 30, "a first look at everything")
        passwords = {name: self._password(name) for name in ("redis", "postgres")}
        self.redis = redis.Redis.from_url(world["redis"], password=passwords["redis"], decode_responses=True)
        self.postgres = f"{world['postgres']}?password={passwords['postgres']}"
        self.docker = docker.APIClient(base_url=world["docker"], version="1.41", timeout=10)

    def close(self) -> None:
        self.docker.close()
        self.redis.close()
        self.engine.stop(grace=0.0)

    def _password(self, source: str) -> str:
        held = self.stack.sources[source].password
        assert held is not None
        return held.reveal()

    def value(self, fact: str) -> Any:
        """What the board has of it, as text; None when it has no value."""
        reading = self.board.readings[fact]
        return None if reading.value is None else str(reading.value).lower()

    def fault(self, name: str, *, is_on: bool) -> None:
        switch(self.world, name, is_on=is_on)

    def run(
        self,
        procedure: str,
        phrase: str | None = None,
        *,
        by_hand: Callable[[], object] = lambda: None,
        **params: str,
    ) -> Run:
        """The finished run; what is no stop goes by the plan of a dry run. Attests whatever waits, after it
        did ``by_hand``."""
        plan = None
        if procedure not in ("halt", "halt-hard", "pause"):
            plan = self._dry_run(procedure, phrase, params).plan
        return self._submit(procedure, phrase, params, plan, by_hand, is_dry=False)

    def refusal(self, procedure: str, phrase: str | None = None, **params: str) -> str:
        """Why a dry run says that it would be refused."""
        return " ".join(map(str, self._dry_run(procedure, phrase, params).blockers))

    def _dry_run(self, procedure: str, phrase: str | None, params: Mapping[str, str]) -> Run:
        """Asked again until the one before has let go, which is after its verdict."""

        def answered() -> Run | None:
            run = self._submit(procedure, phrase, params, None, is_dry=True)
            return None if any("wait for its end" in each for each in run.blockers) else run

        found = wait_until(answered, 15, "the procedure before to end", every=0.05)
        assert found is not None
        return found

    def _submit(
        self,
        procedure: str,
        phrase: str | None,
        params: Mapping[str, str],
        plan: str | None,
        by_hand: Callable[[], object] = lambda: None,
        *,
        is_dry: bool,
    ) -> Run:
        described = self.stack.procedures[procedure]
        intent = Intent(
            str(uuid.uuid4()), ID, procedure, self.engine.operator, SafeText("the cause was found"),
            self.board.seq, "cli", params, phrase=phrase, plan=plan, is_dry=is_dry,
            shown=seen_on(described, self.stack, self.board.readings),
        )  # fmt: skip
        self.engine.submit(intent)

        def ended() -> Run | None:
            run = self.engine.run(intent.id)
            if run is not None and run.awaits is not None:
                by_hand()
                self.engine.attest(ID, run.operation, run.awaits)
            return run if run is not None and run.verdict is not None else None

        with suppress(TimeoutError):
            wait_until(ended, 120, f"{procedure} to end", every=0.05)
        found = self.engine.run(intent.id)
        assert found is not None, procedure
        assert found.verdict is not None, [
            (step.step, step.state, str(step.evidence)) for step in found.steps
        ]
        return found


def _for_tests(stack: Stack) -> Stack:
    """Without the minutes that a person waits before resuming, and with time for a busy machine; what is done
    and proved is the same."""
    procedures = {name: hurried(patient(each)) for name, each in stack.procedures.items()}
    procedures["resume"] = replace(procedures["resume"], needs_approval=False)
    sources = {
        name: replace(each, every=max(each.every, 2.0), deadline=max(each.deadline, 2.0))
        for name, each in stack.sources.items()
    }
    return replace(stack, procedures=procedures, sources=sources)


@contextmanager
def on_demo(state: Path) -> Iterator[ClaireRoom]:
    """A room on a demo of its own."""
    world = start_demo(ID)
    made = ClaireRoom(world, state)
    try:
        yield made
    finally:
        made.close()
        world.stop()
