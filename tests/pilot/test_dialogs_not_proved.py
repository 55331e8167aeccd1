"""A stop that was not proved: what fills the screen, and what leads on from there."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.model.procedure import Verdict
from tests.pilot import scenes, world
from tests.pilot.rooms import make_room, opened
from tui.dialogs.procedure_dialog import Stage
from tui.screens.main import MainScreen

FAILURES = [it for it in Verdict if it not in (Verdict.VERIFIED, Verdict.ALREADY, Verdict.WRITTEN)]


@pytest.mark.parametrize("verdict", FAILURES)
async def test_every_other_verdict_fills_the_screen_and_never_leaves_by_itself(verdict: Verdict) -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        room.engine.put_run(scenes.run(room.clock.now(), verdict))
        await room.settle()
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
        await room.open_dialog()
        await room.press("h")
        room.engine.put_run(scenes.run(room.clock.now()))
        await room.settle()
        await room.press("escape", "question_mark")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        assert "NOT STOPPED" in room.text()


async def test_the_same_key_tries_again_from_there() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        await room.open_dialog()
        assert room.dialog.stage is Stage.QUESTION
        await room.press("h")
        assert [intent.id for intent in room.engine.submitted] == ["op-1", "op-2"]


async def test_where_a_stop_was_not_proved_one_key_asks_about_the_one_that_goes_further() -> None:
    harder = replace(world.HALT, id="harder", title="Stop the senders")
    halt = replace(world.HALT, further="harder")
    both = replace(world.STACK, procedures={"halt": halt, "harder": harder})
    async with opened(make_room(stack=both)) as room:
        await room.open_dialog()
        await room.press("n", "h", "n")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        assert "go further" in room.text()
        assert "I have taken over by hand" in room.text()
        await room.press("n")
        await room.settle()
        assert (room.dialog.procedure.id, room.dialog.stage) == ("harder", Stage.QUESTION)
        assert [intent.procedure for intent in room.engine.submitted] == ["halt"]
        await room.until(lambda: room.dialog.is_listening)
        await room.press(room.dialog.way.confirm)
        assert [intent.procedure for intent in room.engine.submitted] == ["halt", "harder"]


async def test_an_engine_that_does_not_answer_is_not_a_stop() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        await room.pass_time(1)
        assert "has not answered yet" in room.text()
        await room.pass_time(5)
        assert "NOT STOPPED" in room.text()
        assert "the engine did not take it up" in room.text()
