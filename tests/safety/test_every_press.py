"""No press is lost and none passes in silence: it acts, or the screen says why it does not."""

from __future__ import annotations

import threading

import pytest
from textual import events
from textual.widgets import Input

from backends.engine import Mode
from backends.model.procedure import StepState, Verdict
from tests.pilot import scenes
from tests.pilot.rooms import Scene, make_room, opened
from tui.dialogs.arming import DEAF_SECONDS
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.stage import Stage
from tui.screens.main import MainScreen

EVERY_SCREEN = {
    "the room": (),
    "help": ("question_mark",),
    "a detail": ("enter",),
    "the palette": ("ctrl+p",),
    "the filter": ("slash",),
    "the fault menu": ("x",),
    "the dialog": ("f9",),
}

PROVED = (StepState.VERIFIED, StepState.SKIPPED)


async def burst(room: Scene, *keys: str) -> None:
    """Keys that are read in one go, so that none has had its effect when the next is handled."""
    for key in keys:
        room.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await room.pilot.pause()
    await room.settle()


@pytest.mark.parametrize("where", EVERY_SCREEN)
async def test_the_emergency_key_right_after_escape_opens_the_dialog(where: str) -> None:
    async with opened(make_room(is_demo=True)) as room:
        await room.press(*EVERY_SCREEN[where])
        await burst(room, "escape", "f9")
        assert room.dialog.stage is Stage.QUESTION
        await room.until(lambda: room.dialog.is_listening)
        await room.press("h")
        assert len(room.engine.submitted) == 1


@pytest.mark.parametrize("where", EVERY_SCREEN)
async def test_escape_pressed_too_often_closes_what_is_on_top_and_not_the_room(where: str) -> None:
    async with opened(make_room(is_demo=True)) as room:
        await room.press(*EVERY_SCREEN[where])
        await burst(room, "escape", "escape", "escape")
        assert room.app.return_code is None
        assert isinstance(room.app.screen, MainScreen)


async def test_a_verdict_is_noted_once_and_closes_one_screen() -> None:
    async with opened(make_room(), (120, 40)) as room:
        await room.press("question_mark")
        underneath = room.app.screen
        await room.open_dialog()
        await room.press("h")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.VERIFIED, states=PROVED))
        await room.settle()
        await burst(room, "a", "a", "a")
        assert room.app.screen is underneath
        assert [event for event, *_ in room.engine.recorded] == ["noted"]


@pytest.mark.parametrize("size", [(80, 24), (44, 10)])
async def test_an_early_confirm_key_is_told_so_and_the_next_one_counts(size: tuple[int, int]) -> None:
    async with opened(make_room(), size) as room:
        await burst(room, "f9", "h")
        assert "h came too early: press it again" in " ".join(room.text().split())
        assert room.engine.submitted == []
        await room.until(lambda: room.dialog.is_listening)
        await room.press("h")
        assert len(room.engine.submitted) == 1
        assert "too early" not in room.text()


async def test_the_confirm_key_shows_whether_it_counts_yet() -> None:
    async with opened(make_room()) as room:
        styles: list[object] = []
        draw = room.app.drawn

        def drawn(screen: object) -> None:
            draw(screen)  # type: ignore[arg-type]  # a Screen, as Textual gives it
            styles.append(_style_of_confirm_key(room))

        room.app.drawn = drawn  # type: ignore[method-assign]  # what each frame showed
        await room.press("f9")
        await room.until(lambda: room.dialog.is_listening and len({*styles} - {None}) > 1)
        first = next(style for style in styles if style is not None)
        assert first != styles[-1], "before it counts it looks as if it did"
        await room.press("h")
        assert len(room.engine.submitted) == 1


async def test_a_busy_screen_does_not_make_the_dialog_deaf_for_longer() -> None:
    """The quarter second counts from the frame that showed the question, whatever the loop does next."""
    async with opened(make_room()) as room:
        shown: list[float] = []
        draw = room.app.drawn

        def drawn(screen: object) -> None:
            draw(screen)  # type: ignore[arg-type]  # a Screen, as Textual gives it
            if isinstance(screen, ProcedureDialog) and not shown:
                shown.append(events.Event().time)
                threading.Event().wait(1.5 * DEAF_SECONDS)

        room.app.drawn = drawn  # type: ignore[method-assign]  # the loop is held up right after the frame
        room.app.post_message(events.Key("f9", None))
        await room.until(lambda: bool(shown))
        read = events.Key("h", "h")
        read.time = shown[0] + 1.05 * DEAF_SECONDS
        room.app.post_message(read)
        await room.settle()
        assert len(room.engine.submitted) == 1


async def test_other_keys_are_answered_on_the_screen() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        for key, answer in (
            ("f9", "it is open already"),
            ("y", "y does nothing here"),
            ("enter", "Enter does nothing here"),
        ):
            await room.press(key)
            assert answer in room.text()
            assert "H  HALT TRADING" in room.text()
        await room.press("down")
        assert "does nothing" not in room.text()
        room.app.post_message(events.Paste("h"))
        await room.settle()
        assert "pasted text counts for nothing here" in room.text()
        await room.press("h")
        assert len(room.engine.submitted) == 1
        for key in ("h", "f9"):
            await room.press(key)
            assert "it is running; nothing is sent twice" in room.text()
        assert len(room.engine.submitted) == 1


@pytest.mark.parametrize("where", [it for it in EVERY_SCREEN if it not in ("the dialog", "the fault menu")])
async def test_the_wall_says_everywhere_why_the_emergency_key_does_nothing(where: str) -> None:
    async with opened(make_room(mode=Mode.WATCH), (120, 40)) as room:
        await room.press(*EVERY_SCREEN[where])
        await burst(room, "f9")
        assert "F9 HALT is not possible here" in room.text()


async def test_the_emergency_key_does_not_depend_on_the_focus() -> None:
    async with opened(make_room()) as room:
        await room.press("slash")
        field = room.app.focused
        assert field is not None
        parent = field._parent
        field._detach()  # as a widget is for a moment while it is being removed
        await burst(room, "f9")
        assert room.dialog.stage is Stage.QUESTION
        assert isinstance(field, Input)
        assert not field.cursor_blink, "it asks for its screen twice a second, and now there is none"
        assert parent is not None
        field._attach(parent)


def _style_of_confirm_key(room: Scene) -> object:
    for line in room.app.screen._compositor.render_strips():
        for segment in line:
            if segment.text.strip() == "H" or segment.text.lstrip().startswith("H  HALT"):
                return segment.style
    return None
