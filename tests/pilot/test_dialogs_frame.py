"""The frame of a stop dialog: the room it takes, the remark at its foot, and that it closes by itself."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from textual.geometry import Size

from backends.model.procedure import Verdict
from tests.pilot import scenes, world
from tests.pilot.rooms import make_room, opened
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.stage import Stage
from tui.screens.main import MainScreen
from widgets.text_panel import TextPanel


async def test_thirty_seconds_without_a_key_close_it_and_the_journal_knows() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.pass_time(29)
        assert "closes in 1 s" in room.text()
        await room.press("up")
        await room.pass_time(29)
        assert room.dialog.stage is Stage.QUESTION
        await room.pass_time(1.1)
        await room.until(lambda: isinstance(room.app.screen, MainScreen))
        assert [event for event, *_ in room.engine.recorded] == ["abandoned"]


async def test_whoever_looks_up_after_it_closed_reads_that_nothing_was_sent() -> None:
    missed = "HALT TRADING dialog closed after 30 s: nothing was sent; F9 opens it again"
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.pass_time(30.1)
        assert missed in room.text()
        await room.pass_time(50)
        assert missed in room.text()
        await room.press("f9", "escape")
        await room.settle()
        assert missed not in room.text()


async def test_the_key_that_confirms_is_answered_after_the_dialog_closed_by_itself() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.pass_time(30.1)
        await room.press("t")
        await room.settle()
        assert "nothing was sent" not in room.text()
        await room.press("h")
        await room.settle()
        assert "nothing was sent; F9 opens it again" in room.text()
        assert room.engine.submitted == []
        await room.pass_time(60)
        await room.press("h")
        await room.settle()
        assert "nothing was sent" not in room.text()


async def test_what_was_said_about_a_key_goes_when_the_run_goes_on() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        await room.press("escape")
        assert "Esc does nothing here" in room.text()
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.VERIFIED))
        await room.settle()
        assert "Esc  close; its line stays" in room.text()
        assert "does nothing here" not in room.text()


async def test_a_large_terminal_is_used_for_the_whole_text() -> None:
    command = " ".join(f"container_{n}" for n in range(9))
    long = replace(world.HALT, fallback="\n".join([command, *(f"command {n}" for n in range(1, 31))]))
    stack = replace(world.STACK, procedures={"halt": long})
    async with opened(make_room(stack=stack), (200, 60)) as room:
        await room.open_dialog()
        assert "command 30" in room.text()
        assert command in room.text()
        assert room.dialog.query_one("#box").size.width == 138


async def test_the_first_frame_of_a_dialog_has_everything_in_it() -> None:
    app = make_room()
    async with opened(app, (120, 40)) as room:
        laid_out: list[tuple[Size, ...]] = []
        reflow = ProcedureDialog._refresh_layout

        def watched(screen: ProcedureDialog, *size: Any, **options: Any) -> None:
            reflow(screen, *size, **options)
            if screen.is_attached:
                texts.append(room.text())
                laid_out.append(tuple(panel.size for panel in screen.query(TextPanel)))

        texts: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ProcedureDialog, "_refresh_layout", watched)
            await room.open_dialog()
        assert texts[0].splitlines()[:-3] == room.text().splitlines()[:-3]
        assert "TRADING" in texts[0].splitlines()[0]
        assert "Know that" in texts[0]
        assert set(laid_out) == {laid_out[0]}
