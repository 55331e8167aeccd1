"""The trading platform's demo through a room: what goes wrong there stands as an alarm, is found by the
doctor, and is never called done when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from backends.model.procedure import Verdict
from backends.model.stack import Stack
from backends.procedures import climb
from tests.contract.armed_room import ArmedRoom, looking_patiently
from tests.servers.demo import DemoWorld, resume, start_demo, switch

ID = "trading-platform"


class PlatformRoom(ArmedRoom):
    """An armed room on a demo of the platform."""

    def __init__(self, world: DemoWorld) -> None:
        self.world = world
        super().__init__(world.config, world.env, world.home / "journal", _for_tests)

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """The fault is on inside, and off again after."""
        switch(self.world, name, is_on=True)
        try:
            yield
        finally:
            switch(self.world, name, is_on=False)


@pytest.fixture(scope="module")
def room() -> Iterator[PlatformRoom]:
    world = start_demo()
    made = PlatformRoom(world)
    yield made
    made.close()
    world.stop()


def _for_tests(stack: Stack) -> Stack:
    """Whose closings do not wait half a minute for their fills."""
    patient = looking_patiently(stack)
    one = patient.procedures["flatten-symbol"]
    close = replace(one.steps[0], proof=tuple(replace(each, within=1.0) for each in one.steps[0].proof))
    return replace(patient, procedures={**patient.procedures, one.id: replace(one, steps=(close,))})


def test_orders_cancelled_after_a_closing_are_not_called_cancelled_while_it_lives_at_the_broker(
    room: PlatformRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T4: the database calls the closing order canceled, and the broker was never asked."""
    assert room.perform("halt").verdict is Verdict.VERIFIED
    cancelled = room.perform("cancel-all")
    assert cancelled.verdict in (Verdict.VERIFIED, Verdict.ALREADY), cancelled.sentence
    with room.fault("market-closed"):
        closing = room.perform("flatten-symbol", symbol="AAPL")
        assert closing.verdict is Verdict.CONTRADICTED, closing.sentence
        monkeypatch.setattr(climb, "LIMIT", 3.0)
        run = room.perform("cancel-all")
        assert run.verdict is Verdict.CONTRADICTED, run.sentence
        assert str(run.sentence).startswith("ORDERS LEFT OPEN")
        assert "Canceled here only reads 1: " in run.sentence
        assert "cancel these in the broker's dashboard" in run.sentence
        room.until(lambda: "orders-unsent" in room.alarms(), "the alarm of the closing order")
    room.until(lambda: "orders-unsent" not in room.alarms(), "what filled after all is no longer one")
    resume(room.world)
