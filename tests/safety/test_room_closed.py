"""What becomes of a run when its room is closed: by its operator, by a lost line, or by the host."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends import engine
from backends.journal.verify import read
from backends.model.action import Attest, Wait
from backends.model.intent import Intent
from backends.model.procedure import RiskClass, Run, StepState, Verdict
from backends.model.safetext import SafeText
from tests.safety.dying_room import TRIP, redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.desk import RESTART, Office, asked, office
from tests.sim.virtual import simulate
from tests.sim.world import KIM, now
from tui.commands.planned import heed_signals
from tui.commands.room import let_end

FIRST, SECOND = (replace(RESTART.steps[3], id=name) for name in ("first", "second"))
MINUTES = replace(FIRST, id="minutes", action=Wait(300.0), proof=())
PERSON = replace(RESTART.steps[1], id="person", action=Attest("The desk knows"), deadline=3600.0)


def degrade(*steps: str) -> Office:
    known = {each.id: each for each in (FIRST, SECOND, MINUTES, PERSON)}
    return office(procedures={"restart": replace(RESTART, steps=tuple(known[name] for name in steps))})


def closed(made: Office, procedure: str = "restart", grace: float = 12.0, at: float = 0.2) -> Run:
    """The run, whose room is closed ``at`` seconds after its start."""

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked(procedure)))
        await asyncio.sleep(at)
        assert not task.done()
        await made.procedures.close(grace)
        return made.runs[-1] if task.cancelled() else await task

    return simulate(go())


def test_what_was_confirmed_goes_on_to_its_end_however_long_its_steps_take() -> None:
    made = degrade("first", "minutes", "second")
    run = closed(made)
    assert run.verdict is Verdict.VERIFIED
    assert [path for _, _, path in made.desk.sent] == ["/reset", "/reset"]


def test_half_a_flatten_is_finished() -> None:
    made = office(wire={"/close": "slow"})
    run = closed(made, "flatten", at=0.1)
    assert run.verdict is Verdict.VERIFIED
    assert not any(made.desk.positions.values())


def test_a_restore_stays_where_it_is_and_halted() -> None:
    made = office(wire={"/reset": "slow"})
    run = closed(made, "resume", at=0.1)
    assert made.desk.kill == "ENGAGED"
    assert "the room was closed" in run.sentence
    assert run.steps[1].state is StepState.SKIPPED


@pytest.mark.parametrize("steps", [("person", "second"), ("first", "minutes", "person", "second")])
def test_what_needs_a_person_ends_there_for_nobody_is_left(steps: tuple[str, ...]) -> None:
    made = degrade(*steps)
    run = closed(made)
    assert run.verdict in (Verdict.FAILED, Verdict.PARTIAL)
    assert "the room was closed" in run.sentence
    assert [step.state for step in run.steps[-2:]] == [StepState.FAILED, StepState.SKIPPED]
    assert len(made.desk.sent) == len(steps) // 4


def test_who_gives_no_time_ends_everything_at_once() -> None:
    made = degrade("first", "minutes", "second")

    async def go() -> None:
        task = asyncio.create_task(made.procedures.execute(asked("restart")))
        await asyncio.sleep(5.0)
        await made.procedures.close(0.0)
        assert task.cancelled() or task.done()
        assert now() == pytest.approx(5.0)

    simulate(go())
    assert len(made.desk.sent) == 1


RISKS = [(RiskClass.RESTORE, True), (RiskClass.DEGRADE, False), (RiskClass.MARKET, False)]


@pytest.mark.parametrize(("risk", "ends"), RISKS, ids=lambda it: getattr(it, "value", str(it)))
@pytest.mark.parametrize("is_spared", [False, True], ids=["in a shell", "by nohup"])
def test_a_lost_line_ends_no_command_but_a_restore(risk: RiskClass, ends: bool, is_spared: bool) -> None:
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    kept, leave = [signal.getsignal(each) for each in numbers], threading.Event()
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if is_spared else signal.SIG_DFL)
        heed_signals(risk, leave)
        os.kill(os.getpid(), signal.SIGHUP)
        assert leave.is_set() is (ends and not is_spared)
        os.kill(os.getpid(), signal.SIGTERM)
        assert leave.is_set()
    finally:
        for number, handler in zip(numbers, kept, strict=True):
            signal.signal(number, handler)


@pytest.fixture
def at_work(tmp_path: Path, redis_db: RedisServer, request: pytest.FixtureRequest) -> Iterator[engine.Engine]:
    """An engine that waits some seconds before it trips the breaker."""
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    redis_db.command("SET", "circuit_breaker:state", '{"state": "OPEN"}')
    plain = redis_stack(redis_db.url)
    pause = replace(TRIP, id="pause", action=Wait(request.param), proof=())
    both = replace(plain.procedures["routine"], risk=RiskClass.DEGRADE, steps=(pause, TRIP))
    room = engine.Engine([replace(plain, procedures={"routine": both})], engine.Mode.ARMED, tmp_path, KIM)
    room.start()
    assert room.wait_asked("tiny", 20.0)
    room.submit(Intent("op-1", "tiny", "routine", KIM, SafeText("worn out"), 0, "screen", phrase="tiny"))
    wait_until(lambda: [run.operation for run in room.at_work()] == ["op-1"], 20.0)
    yield room
    room.stop(grace=0.0)


@pytest.mark.parametrize("at_work", [2.0], indirect=True)
def test_the_engine_is_not_left_before_what_was_confirmed_is_done(
    at_work: engine.Engine, tmp_path: Path, redis_db: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "TIDY", 0.5)  # Twice that and the grace is not enough.
    at_work.stop(grace=0.1)
    run = at_work.run("op-1")
    assert run is not None
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert "TRIPPED" in str(redis_db.command("GET", "circuit_breaker:state"))
    assert [each["kind"] for each in read(tmp_path / "journal")][-1] == "outcome"
    assert at_work.at_work() == ()


@pytest.mark.parametrize("at_work", [600.0], indirect=True)
def test_who_waits_for_it_at_the_prompt_is_told_and_ends_it_with_ctrl_c(
    at_work: engine.Engine,
    redis_db: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop, keys = at_work.stop, [KeyboardInterrupt()]

    def interrupted() -> None:
        if keys:
            raise keys.pop()
        stop()

    monkeypatch.setattr(at_work, "stop", interrupted)
    (said,) = let_end(at_work)
    told = "tiny: Halt trading is running and goes on to its end (Ctrl+C: send nothing more)\n"
    assert capsys.readouterr().out == told
    assert said.startswith("tiny: Halt trading: ")
    assert "kim ended it" in said
    assert "OPEN" in str(redis_db.command("GET", "circuit_breaker:state"))
