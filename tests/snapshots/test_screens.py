"""How the room looks in every state it must be able to show, at the sizes it is used in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from textual.pilot import Pilot

from backends.engine import Mode
from backends.model.logline import LogLevel
from backends.model.procedure import StepState, Verdict
from tests.pilot import scenes
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import make_room
from tui.app import ControlRoom
from tui.dialogs.procedure_dialog import ProcedureDialog

Compare = Callable[..., bool]
Before = Callable[[Pilot[None]], Coroutine[Any, Any, None]]

LEVELS = (LogLevel.INFO, LogLevel.WARNING, LogLevel.INFO, LogLevel.ERROR, LogLevel.DEBUG, LogLevel.UNKNOWN)
SERVICES = ("execution_gateway", "signal_service", "market_data_service", "orchestrator")


def room(scene: str, **options: Any) -> ControlRoom:
    """A room whose log says a little of everything."""
    app = make_room(scene, **options)
    assert isinstance(app.engine, FakeEngine)
    for number in range(40):
        text = f"order {number} accepted symbol=AAPL qty=100" if scene != "hostile" else scenes.HOSTILE
        app.engine._logs.say(text, SERVICES[number % 4], LEVELS[number % 6])
    return app


def after(*keys: str, run: Verdict | None = None) -> Before:
    """Settle, press these keys one by one, let a run end so, and settle again."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ControlRoom)
        assert isinstance(app.engine, FakeEngine)
        await _settle(pilot)
        for key in keys:
            if key == "h":
                await _until_listening(pilot)
            await pilot.press(key)
            await _settle(pilot)
            if key == "f9" and not app.is_watch:  # one picture, however long it took to make
                await _until_listening(pilot)
                await _settle(pilot)
        if run is not None:
            states = {
                Verdict.VERIFIED: (StepState.VERIFIED, StepState.SKIPPED),
                Verdict.FAILED: (StepState.FAILED, StepState.UNKNOWN),
            }[run]
            app.engine.put_run(scenes.run(app.clock.now(), run, states=states))
            await _settle(pilot)

    return before


async def _settle(pilot: Pilot[None]) -> None:
    await pilot.pause()
    pilot.app.redraw()  # type: ignore[attr-defined]  # it is a ControlRoom
    await pilot.pause()
    await pilot.pause()


async def _until_listening(pilot: Pilot[None]) -> None:
    async with asyncio.timeout(20):
        while not (isinstance(pilot.app.screen, ProcedureDialog) and pilot.app.screen.is_listening):
            await pilot.pause(0.01)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", sorted(scenes.SCENES))
def test_the_room(snap_compare: Compare, scene: str, size: tuple[int, int]) -> None:
    assert snap_compare(room(scene), terminal_size=size, run_before=after())


@pytest.mark.parametrize("theme", ["light", "contrast", "mono"])
def test_the_room_in_other_themes(snap_compare: Compare, theme: str) -> None:
    assert snap_compare(room("failed", theme=theme), terminal_size=(120, 40), run_before=after())


def test_the_room_on_a_very_wide_screen(snap_compare: Compare) -> None:
    assert snap_compare(room("failed"), terminal_size=(250, 70), run_before=after())


def test_the_room_on_a_small_light_screen(snap_compare: Compare) -> None:
    assert snap_compare(room("failed", theme="light"), terminal_size=(80, 24), run_before=after())


def test_the_room_on_the_wall(snap_compare: Compare) -> None:
    app = room("fresh", mode=Mode.WATCH)
    assert snap_compare(app, terminal_size=(120, 40), run_before=after("f9"))


def test_a_terminal_too_small(snap_compare: Compare) -> None:
    assert snap_compare(room("halted"), terminal_size=(79, 23), run_before=after())


@pytest.mark.parametrize("scene", ["fresh", "failed", "never"])
def test_the_stop_dialog_asks(snap_compare: Compare, scene: str) -> None:
    assert snap_compare(room(scene), terminal_size=(80, 24), run_before=after("f9"))


def test_the_stop_dialog_on_a_wide_screen(snap_compare: Compare) -> None:
    assert snap_compare(room("fresh"), terminal_size=(200, 60), run_before=after("f9"))


def test_the_stop_dialog_in_a_tiny_terminal(snap_compare: Compare) -> None:
    assert snap_compare(room("fresh"), terminal_size=(30, 8), run_before=after("f9"))


@pytest.mark.parametrize("verdict", [Verdict.VERIFIED, Verdict.FAILED], ids=lambda it: it.name)
def test_the_verdict(snap_compare: Compare, verdict: Verdict) -> None:
    app = room("halted")
    assert snap_compare(app, terminal_size=(80, 24), run_before=after("f9", "h", run=verdict))


def test_a_verdict_that_waits_for_its_note(snap_compare: Compare) -> None:
    app = room("halted")
    assert snap_compare(app, terminal_size=(120, 40), run_before=after(run=Verdict.VERIFIED))


@pytest.mark.parametrize("keys", [("1", "enter"), ("2", "enter"), ("3", "enter")], ids=lambda keys: keys[0])
def test_everything_about_a_row(snap_compare: Compare, keys: tuple[str, ...]) -> None:
    assert snap_compare(room("failed"), terminal_size=(120, 40), run_before=after(*keys))


def test_the_keys(snap_compare: Compare) -> None:
    assert snap_compare(room("fresh"), terminal_size=(120, 50), run_before=after("question_mark"))


def test_a_pane_on_the_whole_screen(snap_compare: Compare) -> None:
    assert snap_compare(room("failed"), terminal_size=(160, 30), run_before=after("1", "z"))
