"""The list of procedures, runs that wait for a person, and what other rooms do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual import events

from backends.engine import Mode
from backends.journal.drills import RECORDS, DrillBook
from backends.model.alarm import Priority
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.procedure import RiskClass, Run, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from backends.procedures.trader_latch import RESUMED
from tests.pilot import platform, world
from tests.pilot.rooms import Scene, make_room, opened
from tui.app import ControlRoom
from tui.commands.room import left_undone
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.stage import Stage
from tui.presenters.procedures import rows
from tui.presenters.words import clock
from tui.screens.main import MainScreen
from tui.screens.procedures import ProcedureScreen
from widgets.row import Row


def room(scene: str = "trading", mode: Mode = Mode.ARMED) -> ControlRoom:
    return make_room(getattr(platform, scene), stack=platform.STACK, mode=mode)


def run_of(name: str, now: Instant, *states: StepState, **changes: object) -> Run:
    """A run of that procedure with its first steps in these states."""
    procedure = platform.STACK.procedures[name]
    given = [*states, *[StepState.PENDING] * (len(procedure.steps) - len(states))]
    steps = tuple(StepResult(s.id, s.title, state) for s, state in zip(procedure.steps, given, strict=True))
    run = Run("op-1", platform.STACK.id, name, procedure.title, now, steps, risk=procedure.risk)
    return replace(run, **changes)  # type: ignore[arg-type]  # fields by name


async def test_every_procedure_is_listed_under_its_class_with_what_stands_against_it() -> None:
    async with opened(room(), (160, 50)) as it:
        await it.press("e")
        text = it.text()
        moment = it.app.moment()
        listed = rows(moment.stack, moment.board, moment.now, DrillBook(None))
        assert [row.key for row in listed if isinstance(row, Row)] == [
            each.id for risk in RiskClass for each in platform.STACK.procedures.values() if each.risk is risk
        ]
        assert text.index("STOP: two keys") < text.index("MARKET: moves") < text.index("DEGRADE: loses")
        assert "Trading is not halted (+1)" in text
        assert "nothing: never kept back" in text
        assert it.engine.submitted == []


def test_what_stands_against_it_is_its_first_sentence_and_no_dot_in_a_name_ends_it() -> None:
    now = Instant(1000.0, 1_790_000_000.0)
    why = "The switch is not in .env yet. Set it there."
    condition = Condition("flag", "orders.open", why, equals=("9",))
    procedure = replace(world.HALT, risk=RiskClass.ROUTINE, requires=(condition,))
    stack = replace(world.STACK, procedures={"halt": procedure})
    (row,) = [row for row in rows(stack, world.fresh(now), now, DrillBook(None)) if isinstance(row, Row)]
    assert "The switch is not in .env yet" in [cell.text for cell in row.cells]


async def test_the_mouse_opens_no_dialog_from_the_list_and_none_starts_from_the_palette() -> None:
    async with opened(room()) as it:
        await it.press("e")
        for y in range(4, 18):
            await it.pilot.click(offset=(12, y), times=2)
        assert isinstance(it.app.screen, ProcedureScreen)
        await it.press("escape", "ctrl+p", *"procedures")
        await it.settle()
        await it.press("enter")
        await it.settle()
        assert not isinstance(it.app.screen, ProcedureDialog)
        assert it.engine.submitted == []


async def test_a_stop_from_the_list_takes_its_own_second_key() -> None:
    async with opened(room()) as it:
        await it.choose("cancel-all")
        assert "C  CANCEL ALL OPEN ORDERS" in it.text()
        await it.press("enter", "h", "y", "a")
        assert it.engine.submitted == []
        await it.press("c")
        assert [intent.procedure for intent in it.engine.submitted] == ["cancel-all"]


async def test_in_watch_mode_the_list_can_be_read_and_opens_nothing() -> None:
    async with opened(room(mode=Mode.WATCH)) as it:
        await it.press("e", "enter")
        assert isinstance(it.app.screen, ProcedureScreen)
        assert it.engine.recorded[-1][:2] == ("refused", "trading-platform")
        await it.press("escape")
        await it.settle()
        assert "WATCH – READ ONLY: Halt trading" in it.text()


async def test_when_it_was_last_drilled_is_told_in_list_and_dialog(tmp_path: Path) -> None:
    app = room()
    at = app.clock.now().wall - 3 * 86_400
    drill = {
        "at": Instant(0.0, at).iso(),
        "stack": "trading-platform",
        "procedure": "cancel-all",
        "verdict": "VERIFIED",
        "seconds": 2.25,
    }
    (tmp_path / RECORDS).write_text("not a record\n" + json.dumps(drill) + "\n")
    drills = DrillBook(tmp_path)
    drills.load()
    engine, clock = app.engine, app.clock
    async with opened(ControlRoom(engine, clock=clock, pulse=0, drills=drills)) as it:
        await it.press("e")
        assert "3d" in next(line for line in it.text().splitlines() if "Cancel all open" in line)
        await it.choose("cancel-all")
        assert "drilled 3d ago, VERIFIED in 2.2 s" in it.text()


async def waiting(it: Scene) -> None:
    """A shutdown that waits for a person, on the screen."""
    run = run_of("shutdown", it.clock.now(), StepState.SENT, awaits="positions")
    it.engine.put_run(run)
    await it.settle()
    assert "WAITING FOR YOU" in it.text()
    await it.press("p")
    await it.settle()


async def test_a_step_that_waits_for_a_person_says_for_what_and_takes_one_key() -> None:
    async with opened(room("halted")) as it:
        early = events.Key("c", "c")  # read before there was anything to see
        await waiting(it)
        assert "The open positions were flattened, or somebody has decided" in it.text()
        it.app.post_message(early)
        await it.settle()
        assert it.engine.attested == []
        await it.until(lambda: it.dialog.is_listening)
        await it.press("enter", "y", "space")
        assert it.engine.attested == []
        await it.press("c")
        assert it.engine.attested == [("op-1", "positions")]


async def test_a_run_that_is_no_stop_can_be_told_to_send_nothing_more() -> None:
    async with opened(room("halted")) as it:
        await waiting(it)
        await it.pass_time(1)
        await it.press("x")
        assert it.engine.interrupted == ["op-1"]


async def test_no_key_interrupts_a_stop() -> None:
    async with opened(room()) as it:
        await it.choose("cancel-all")
        await it.press("c")
        it.engine.put_run(run_of("cancel-all", it.clock.now(), StepState.SENT))
        await it.pass_time(2)
        assert "send nothing more" not in it.text()
        await it.press("x")
        assert it.engine.interrupted == []


async def test_a_refusal_says_why_and_not_to_do_it_by_hand() -> None:
    async with opened(room("halted")) as it:
        await it.choose("restart", "signal_service")
        await it.press("tab")
        await it.type("signal_service")
        await it.press("enter", "enter")
        why = (SafeText("halt is running; wait for its end"),)
        run = run_of("restart", it.clock.now(), verdict=Verdict.REFUSED, blockers=why)
        it.engine.put_run(run)
        await it.settle()
        text = it.text()
        assert "REFUSED: NOTHING WAS SENT" in text
        assert "halt is running; wait for its end" in text
        assert "BY HAND" not in text
        await it.press("escape", "enter")
        assert it.dialog.stage is Stage.NOT_PROVED
        await it.press("a")
        assert not isinstance(it.app.screen, ProcedureDialog)


async def test_what_another_room_does_is_told_with_who_and_how_far_and_can_be_read() -> None:
    async with opened(room(), (120, 40)) as it:
        states = (StepState.VERIFIED, StepState.SENT)
        title = "kim: Flatten all positions, one after the other"
        far = run_of("flatten-all", it.clock.now(), *states, room="kim on /dev/pts/3", title=title)
        it.engine.put_run(far)
        await it.settle()
        assert "ELSEWHERE RUNNING" in it.text()
        assert "Flatten all positions, one after the other by kim on /dev/pts/3: step 2 of 2" in it.text()
        await it.press("p")
        await it.settle()
        assert "this is another room's: kim on /dev/pts/3" in it.text()
        await it.pass_time(2)
        await it.press("x")
        assert it.engine.interrupted == []


async def test_what_another_room_did_is_told_with_its_time_and_the_key_that_clears_it() -> None:
    async with opened(room(), (120, 40)) as it:
        now = it.clock.now()
        title = "kim: Cancel all open orders"
        done = run_of("cancel-all", now, room="kim on /dev/pts/3", title=title)
        it.engine.put_run(done)
        await it.settle()
        assert f"by kim on /dev/pts/3, since {clock(now.wall)}Z" in it.text()
        it.engine.put_run(replace(done, verdict=Verdict.VERIFIED, ended=now))
        await it.settle()
        assert f"by kim on /dev/pts/3 at {clock(now.wall)}Z" in it.text()
        assert "a takes note" in it.text()
        await it.press("a")
        await it.settle()
        assert "ELSEWHERE" not in it.text()


async def test_watch_mode_offers_no_dialog_and_says_why_even_in_a_narrow_list() -> None:
    async with opened(room(mode=Mode.WATCH), (80, 24)) as it:
        await it.press("e")
        assert "open its dialog" not in it.text()
        assert "o runbook" in it.text()
        await it.press("enter")
        await it.settle()
        assert "WATCH – READ ONLY: " in it.text()
        assert "is not possible here" in it.text()


async def test_a_halt_of_another_room_keeps_nobody_from_halting_here() -> None:
    async with opened(room()) as it:
        it.engine.put_run(run_of("halt", it.clock.now(), StepState.SENT, room="kim on /dev/pts/3"))
        await it.settle()
        await it.open_dialog()
        await it.press("h")
        assert [intent.procedure for intent in it.engine.submitted] == ["halt"]


@pytest.mark.parametrize("alarm", sorted(RESUMED))
@pytest.mark.parametrize("where", ["alerts", "containers"])
async def test_an_unexplained_resume_is_acknowledged_where_it_is_read(where: str, alarm: str) -> None:
    def resumed(now: Instant) -> world.Board:
        told = world.alarm(alarm, now, Priority.CRITICAL, "UNEXPLAINED RESUME", subject="trading")
        return replace(platform.trading(now), alarms=(told,))

    async with opened(make_room(resumed, stack=platform.STACK)) as it:
        await it.press("3" if where == "alerts" else "1", "a")
        assert it.engine.acknowledged == (["trading-platform"] if where == "alerts" else [])
        assert isinstance(it.app.screen, MainScreen)


async def test_another_order_can_be_cancelled_while_one_is_being_cancelled() -> None:
    async with opened(room()) as it:
        it.engine.put_run(run_of("cancel-one", it.clock.now(), StepState.SENT))
        await it.settle()
        await it.choose("cancel-one", "ac6b2161aedb5a17")
        assert it.dialog.stage is Stage.QUESTION


async def test_leaving_names_each_stop_that_was_not_proved_whatever_was_proved_since() -> None:
    async with opened(room()) as it:
        now = it.clock.now()
        runs = (
            run_of("cancel-all", now, operation="op-4", verdict=Verdict.VERIFIED),
            run_of("halt", now, operation="op-3", verdict=Verdict.UNCONFIRMED),
            run_of("breaker-trip", now, operation="op-2", verdict=Verdict.VERIFIED),
            run_of("breaker-trip", now, operation="op-1", verdict=Verdict.FAILED),
            replace(run_of("halt", now, verdict=Verdict.FAILED), operation="op-0", procedure="no-more"),
        )
        it.engine.put(replace(it.engine.board(platform.STACK.id), runs=runs))
        await it.settle()
        said = left_undone(it.engine)  # type: ignore[arg-type]  # what it asks of an engine is there
    halt = platform.STACK.procedures["halt"]
    assert said == [f"trading-platform: {halt.title} was not proved.", halt.fallback]


async def test_a_room_that_is_left_while_a_dialog_comes_up_ends_in_good_order() -> None:
    async with opened(room()) as it:
        it.engine.put_run(run_of("halt", it.clock.now(), verdict=Verdict.FAILED))
