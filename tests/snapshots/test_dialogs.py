"""How each class of procedure asks, at the sizes the room is used in, on a dark and on a light screen."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from textual.pilot import Pilot

from backends.model.procedure import Run, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from tests.pilot import platform
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import Scene, make_room
from tui.app import ControlRoom
from tui.dialogs.ask_screen import AskScreen

Compare = Callable[..., bool]
Before = Callable[[Pilot[None]], Coroutine[Any, Any, None]]
Steps = Callable[[Scene], Coroutine[Any, Any, None]]

SIZES = pytest.mark.parametrize(
    "size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}"
)
THEMES = pytest.mark.parametrize("theme", ["dark", "light"])

ASKED = {
    "stop": ("cancel-one", ("ac6b2161aedb5a17",)),
    "market": ("flatten-all", ()),
    "degrade": ("shutdown", ()),
    "restore": ("resume", ()),
}


def room(scene: str = "halted", theme: str = "dark") -> ControlRoom:
    return make_room(getattr(platform, scene), stack=platform.STACK, theme=theme)


def after(steps: Steps) -> Before:
    """Do this in the room before the picture is taken."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ControlRoom)
        assert isinstance(app.engine, FakeEngine)
        app.engine.held_seconds = 12.0
        scene = Scene(app, app.engine, app.clock, pilot)  # type: ignore[arg-type]  # it is a FakeClock
        await scene.settle()
        await steps(scene)
        await scene.settle()

    return before


@SIZES
@THEMES
@pytest.mark.parametrize("risk", sorted(ASKED))
def test_each_class_asks(snap_compare: Compare, risk: str, theme: str, size: tuple[int, int]) -> None:
    async def steps(scene: Scene) -> None:
        name, values = ASKED[risk]
        await scene.choose(name, *values)

    assert snap_compare(room(theme=theme), terminal_size=size, run_before=after(steps))


@SIZES
def test_the_list_of_procedures(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(scene: Scene) -> None:
        await scene.press("e")

    assert snap_compare(room("trading"), terminal_size=size, run_before=after(steps))


def test_a_value_is_chosen(snap_compare: Compare) -> None:
    async def steps(scene: Scene) -> None:
        await scene.press("e", *["down"] * 3, "enter")
        await scene.until(lambda: isinstance(scene.app.screen, AskScreen) and scene.app.screen.is_listening)

    assert snap_compare(room(), terminal_size=(80, 24), run_before=after(steps))


def test_what_stands_against_it_is_named(snap_compare: Compare) -> None:
    async def steps(scene: Scene) -> None:
        await scene.choose("resume")
        await scene.press("tab", *"RESUME")

    assert snap_compare(room("trading"), terminal_size=(120, 40), run_before=after(steps))


def test_nothing_was_ever_read(snap_compare: Compare) -> None:
    async def steps(scene: Scene) -> None:
        await scene.choose("flatten-all")

    assert snap_compare(room("unread"), terminal_size=(80, 24), run_before=after(steps))


@pytest.mark.parametrize("how", ["waits", "refused", "failed"])
def test_a_run_that_is_no_stop(snap_compare: Compare, how: str) -> None:
    async def steps(scene: Scene) -> None:
        procedure = platform.STACK.procedures["shutdown"]
        states = {0: StepState.SENT} if how == "waits" else {0: StepState.ACKNOWLEDGED, 1: StepState.FAILED}
        results = tuple(
            StepResult(step.id, step.title, states.get(number, StepState.PENDING))
            for number, step in enumerate(procedure.steps)
        )
        why = (SafeText("Orders are open: without the gateway nobody could cancel them from here (reads 2)"),)
        now = scene.clock.now()
        run = {
            "waits": Run("op-1", "trading-platform", "shutdown", procedure.title, now, results,
                         risk=procedure.risk, awaits="positions"),
            "refused": Run("op-1", "trading-platform", "shutdown", procedure.title, now, (),
                           Verdict.REFUSED, why[0], now, risk=procedure.risk, blockers=why),
            "failed": Run("op-1", "trading-platform", "shutdown", procedure.title, now, results,
                          Verdict.FAILED, SafeText("NOT SHUT DOWN. Step 2 of 9: refused"), now,
                          risk=procedure.risk),
        }[how]  # fmt: skip
        scene.engine.put_run(run)
        await scene.press("p")
        if how == "waits":
            await scene.until(lambda: scene.dialog.is_listening)

    assert snap_compare(room(), terminal_size=(80, 24), run_before=after(steps))
