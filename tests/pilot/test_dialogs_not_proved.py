"""A stop that was not proved: what fills the screen, and what leads on from there."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.engine import Mode
from backends.model.procedure import Verdict
from backends.stacks.loader import built_in, load_stack
from tests.pilot import scenes, world
from tests.pilot.rooms import Scene, make_room, opened
from tui.actions import EMERGENCIES, way_from_list, way_of
from tui.dialogs.stage import Stage
from tui.screens.main import MainScreen

FAILURES = [it for it in Verdict if it not in (Verdict.VERIFIED, Verdict.ALREADY, Verdict.WRITTEN)]


async def halted(room: Scene, verdict: Verdict | None = None) -> None:
    """The stop is asked for and confirmed, and has come to this; None while it runs."""
    await room.open_dialog()
    await room.press("h")
    room.engine.put_run(scenes.run(room.clock.now(), verdict))
    await room.settle()


@pytest.mark.parametrize("verdict", FAILURES)
async def test_every_other_verdict_fills_the_screen_and_never_leaves_by_itself(verdict: Verdict) -> None:
    async with opened(make_room()) as room:
        await halted(room, verdict)
        text = room.text()
        assert "NOT STOPPED" in text
        assert verdict.value in text
        assert "curl -X POST http://127.0.0.1:8003/api/v1/kill-switch/engage" in text
        await room.press("escape", "enter", "q", "space", "h")
        await room.pass_time(7200)
        assert room.dialog.stage is Stage.NOT_PROVED
        await room.press("a")
        await room.settle()
        assert isinstance(room.app.screen, MainScreen)
        assert room.engine.recorded[-1][0] == "noted"


async def test_a_failure_comes_forward_although_the_dialog_was_closed() -> None:
    async with opened(make_room()) as room:
        await halted(room)
        await room.press("escape", "question_mark")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        assert "NOT STOPPED" in room.text()


async def test_the_same_key_tries_again_from_there() -> None:
    async with opened(make_room()) as room:
        await halted(room, Verdict.FAILED)
        await room.open_dialog()
        assert room.dialog.stage is Stage.QUESTION
        await room.press("h")
        assert [intent.id for intent in room.engine.submitted] == ["op-1", "op-2"]


@pytest.mark.parametrize("leaves", ["escape", "idle"])
async def test_a_failure_that_is_not_tried_again_after_all_stands_again(leaves: str) -> None:
    async with opened(make_room()) as room:
        await halted(room, Verdict.FAILED)
        await room.open_dialog()
        assert room.dialog.stage is Stage.QUESTION
        if leaves == "escape":
            await room.press("escape")
        else:
            await room.pass_time(31)
        await room.settle()
        assert "NOT STOPPED" in room.text()
        await room.open_dialog()
        await room.press("h")
        second = replace(scenes.run(room.clock.now(), Verdict.VERIFIED), operation="op-2")
        room.engine.put_run(second)
        await room.settle()
        assert room.dialog.stage is Stage.PROVED
        await room.press("a")
        await room.settle()
        assert isinstance(room.app.screen, MainScreen)
        assert "NOT STOPPED" not in room.text()


HARDER = replace(world.HALT, id="harder", title="Halt the senders")
TWO = replace(world.STACK, procedures={"halt": replace(world.HALT, further="harder"), "harder": HARDER})


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.WRITTEN])
async def test_where_a_stop_was_not_proved_one_key_asks_about_the_one_that_goes_further(
    verdict: Verdict,
) -> None:
    async with opened(make_room(stack=TWO)) as room:
        await room.open_dialog()
        await room.press("n", "h", "n")
        room.engine.put_run(scenes.run(room.clock.now(), verdict))
        await room.settle()
        await room.press("h")
        assert "stop harder" in room.text()
        await room.press("n")
        await room.until(lambda: room.dialog.is_listening)
        assert (room.dialog.procedure.id, room.dialog.stage) == ("harder", Stage.QUESTION)
        await room.press("h", "h")
        assert [intent.procedure for intent in room.engine.submitted] == ["halt"]
        await room.press(room.dialog.way.confirm)
        assert [intent.procedure for intent in room.engine.submitted] == ["halt", "harder"]


async def test_what_was_not_proved_stands_again_when_the_question_over_it_closes() -> None:
    async with opened(make_room(stack=TWO)) as room:
        await halted(room, Verdict.FAILED)
        await room.press("n")
        await room.pass_time(31)
        assert room.dialog.procedure.id == "halt"
        assert "NOT STOPPED" in room.text()
        assert "noted" not in [record[0] for record in room.engine.recorded]


async def test_the_wall_is_not_asked_to_go_further() -> None:
    async with opened(make_room(stack=TWO, mode=Mode.WATCH)) as room:
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        assert "NOT STOPPED" in room.text()
        assert "stop harder" not in room.text()
        await room.press("n")
        await room.settle()
        assert room.dialog.procedure.id == "halt"


@pytest.mark.parametrize("name", ["trading-platform", "claire-de-binare", "trading-bot"])
def test_the_key_that_goes_further_is_not_the_one_that_confirmed(name: str) -> None:
    procedures = load_stack(built_in()[name]).procedures
    further = procedures[procedures["halt"].further or ""]
    (halt,) = (it for it in EMERGENCIES if it.id == "halt")
    assert way_from_list(further.title, taken=way_of(halt).confirm).confirm != way_of(halt).confirm


async def test_an_engine_that_does_not_answer_is_not_a_stop() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        await room.pass_time(1)
        assert "has not answered yet" in room.text()
        await room.pass_time(5)
        assert "NOT STOPPED" in room.text()
        assert "the engine did not take it up" in room.text()


@pytest.mark.parametrize("key", ["a", "escape"])
async def test_a_verdict_that_is_taken_back_comes_forward_although_it_was_seen_before(key: str) -> None:
    async with opened(make_room()) as room:
        await halted(room, Verdict.VERIFIED)
        await room.press(key)
        await room.settle()
        assert isinstance(room.app.screen, MainScreen)
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.CONTRADICTED))
        await room.settle()
        assert "NOT STOPPED" in room.text()


async def test_a_stop_taken_up_after_it_was_given_up_still_tells_that_it_failed() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        await room.pass_time(6)
        await room.press("a")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        assert "NOT STOPPED" in room.text()
        assert "Redis refused the connection" in room.text()


async def test_a_key_on_its_way_to_the_room_takes_no_note_of_what_has_just_come_forward() -> None:
    async with opened(make_room()) as room:
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        room.app.redraw()
        assert room.dialog.stage is Stage.NOT_PROVED
        await room.press("a")
        assert "NOT STOPPED" in room.text()
        assert "noted" not in [record[0] for record in room.engine.recorded]
        await room.until(lambda: room.dialog.is_listening)
        await room.press("a")
        assert isinstance(room.app.screen, MainScreen)


async def test_what_was_being_typed_asks_for_nothing_that_has_just_come_forward() -> None:
    async with opened(make_room(stack=TWO)) as room:
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        room.app.redraw()
        await room.press("n")
        assert room.dialog.procedure.id == "halt"
        await room.until(lambda: room.dialog.is_listening)
        await room.press("n")
        assert room.dialog.procedure.id == "harder"


async def test_a_proof_left_on_the_screen_hides_no_later_failure() -> None:
    async with opened(make_room()) as room:
        await halted(room, Verdict.VERIFIED)
        assert room.dialog.stage is Stage.PROVED
        room.engine.put_run(replace(scenes.run(room.clock.now(), Verdict.FAILED), operation="by-the-room"))
        await room.settle()
        assert "NOT STOPPED" in room.text()
        await room.press("escape")
        assert "NOT STOPPED" in room.text()


async def test_note_is_taken_only_of_the_verdict_that_stands_on_the_screen() -> None:
    async with opened(make_room("halted"), (120, 40)) as room:
        verified = scenes.run(room.clock.now(), Verdict.VERIFIED)
        room.engine.put_run(verified)
        await room.settle()
        taken_back = replace(verified, verdict=Verdict.CONTRADICTED)
        # On the board already, and not yet drawn.
        room.engine._board = replace(room.engine.board(verified.stack), runs=(taken_back,))
        await room.press("a")
        await room.settle()
        assert "NOT STOPPED" in room.text()


async def test_no_note_is_taken_of_a_verdict_behind_a_run_that_is_under_way() -> None:
    async with opened(make_room("halted"), (120, 40)) as room:
        verified = scenes.run(room.clock.now(), Verdict.VERIFIED)
        room.engine.put_run(verified)
        room.engine.put_run(replace(scenes.run(room.clock.now()), operation="op-2"))
        await room.settle()
        assert "RUNNING" in room.text() and "VERIFIED" not in room.text()
        await room.press("a")
        await room.settle()
        assert "it can be noted when it has ended" in room.text()
        await room.put(replace(room.engine.board(verified.stack), runs=(verified,)))
        assert "noted" not in [event for event, *_ in room.engine.recorded]
