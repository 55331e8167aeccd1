"""The trading platform's demo through a room: what goes wrong there stands as an alarm, is found by the
doctor, and is never called done when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from backends.model.examination import Answer, Examined
from backends.model.procedure import Verdict
from backends.model.stack import Stack
from backends.model.weigh import word_of
from backends.procedures import climb
from tests.contract.armed_room import ArmedRoom, looking_patiently
from tests.contract.looking_room import LONGEST
from tests.servers.demo import DemoWorld, resume, start_demo, switch

ID = "trading-platform"


class PlatformRoom(ArmedRoom):
    """An armed room on a demo of the platform."""

    def __init__(self, world: DemoWorld) -> None:
        self.world = world
        super().__init__(world.config, world.env, world.home / "journal", _for_tests)

    def examined(self, *diagnoses: str) -> dict[str, Examined]:
        """Those, looked for by the doctor."""
        asked = self.engine.checks(ID).examine([self.stack.diagnoses[name] for name in diagnoses])
        return asked.result(LONGEST)

    def found(self) -> set[str]:
        """Of the failures this demo can be given, those the doctor finds."""
        looked_for = sorted({found for _, _, found, _ in FAULTS.values() if found is not None})
        told = self.examined(*looked_for)
        return {name.removeprefix("diagnosis:") for name, it in told.items() if it.answer is Answer.YES}

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


FAULTS = {
    "unhealthy": ("service:model_registry", "model_registry is unhealthy", "registry-unhealthy", "restart"),
    "gateway-down": (
        "service:execution_gateway", "execution_gateway has exited with code 137", "gateway-down",
        "start-applications",
    ),
    "postgres-down": (
        "source:postgres", "PostgreSQL does not answer", "postgres-down", "start-infrastructure",
    ),
    "drawdown": ("daily-loss", "The daily loss limit is passed (-", None, None),
    "stale-prices": ("feed-down", "The price stream is cut", "feed-cut", "restart"),
    "quarantine": ("quarantine", "Symbols are in quarantine (1)", None, None),
    "kill-key-missing": ("kill-expires", "The kill switch's key will vanish or is gone", "kill-key-missing",
                         "recover-safety"),
    # The last one of them: its alarm stands for ten minutes after.
    "crash-loop": ("service:signal_service", "signal_service is in a crash loop", "signal-loops", "restart"),
}  # fmt: skip
"""Fault of the demo: the alarm that stands and how its words begin, what the doctor finds, and the procedure
that names; None where nothing is to be found out, for the alarm says it all."""


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_stands_as_an_alarm_and_the_doctor_names_what_mends_it(
    room: PlatformRoom, fault: str
) -> None:
    alarm, words, found, procedure = FAULTS[fault]
    room.until(lambda: alarm not in room.alarms(), f"nothing is wrong before {fault}", 20)
    with room.fault(fault):
        room.until(lambda: room.alarms().get(alarm, "").startswith(words), f"the alarm of {fault}", 20)
        if found is not None:
            assert room.stack.diagnoses[found].procedure == procedure
            room.until(lambda: room.answer(found) is Answer.YES, f"the doctor finds {found}", 20)
        room.until(lambda: room.found() == {found} - {None}, "that it finds nothing else")


def test_a_gateway_that_cannot_trade_is_an_alarm_although_docker_calls_it_healthy(room: PlatformRoom) -> None:
    """T1, T2."""
    with room.fault("postgres-down"):
        words = "The gateway is not healthy (unhealthy)"
        room.until(lambda: room.alarms().get("gateway-unwell") == words, "the alarm of the gateway")
        assert word_of(room.board.readings["service:execution_gateway"].value) == "healthy"
        assert "service:execution_gateway" not in room.alarms()


def test_the_alerts_that_always_fire_are_listed_and_not_counted(room: PlatformRoom) -> None:
    """T26."""
    always = {"CBMetricMissing", "SignalServiceRedisDisconnected"}

    def listed() -> str:
        return str(room.board.readings["prometheus.alerts"].value)

    room.until(lambda: all(name in listed() for name in always), "the list of what fires")
    assert word_of(room.board.readings["prometheus.firing"].value) == "0"
    assert "rules-firing" not in room.alarms()
    # Nor the two targets that serve no metrics and are down for ever.
    room.until(lambda: word_of(room.board.readings["prometheus.down"].value) == "0", "the targets")
    assert "targets-down" not in room.alarms()


def test_a_kill_switch_that_the_whole_network_can_release_is_told(room: PlatformRoom) -> None:
    """T20: the demo publishes 8003 as the platform does."""
    assert room.answer("kill-switch-local") is Answer.NO
    read = room.engine.checks(ID).examine([room.stack.checks["kill-switch-local"]]).result(LONGEST)
    assert "reads 1: 8003" in " ".join(str(it.sentence) for each in read.values() for it in each.weighed)


def test_a_service_that_loops_is_found_with_the_error_its_log_ends_with(room: PlatformRoom) -> None:
    with room.fault("crash-loop"):
        room.until(lambda: room.answer("signal-loops") is Answer.YES, "the doctor finds it", 20)
        (examined,) = room.examined("signal-loops").values()
        said = " ".join(str(each.sentence) for each in examined.weighed)
        assert "lightgbm.basic.LightGBMError: Model format error" in said


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
    room.until(lambda: room.engine.run(run.operation).verdict is Verdict.VERIFIED, "nothing lives there now")
    resume(room.world)
