"""The room on a real engine and a running demo, operated key by key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from backends.engine import Engine
from backends.model.board import Board
from backends.model.clock import SystemClock
from backends.model.procedure import Procedure, RiskClass
from backends.model.stack import Stack
from backends.model.weigh import word_of
from backends.procedures.confirm import phrase_of
from tests.clock import FakeClock
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import Scene
from tests.servers.demo import DemoWorld
from tui.app import ControlRoom
from tui.commands.session import Session, engine_of
from tui.dialogs.procedure_dialog import Stage

REASON = "the quarterly exercise"

PATIENCE = 12_000
"""Looks, a hundredth of a second and more apart, for what takes its time in a demo on a busy machine."""


@dataclass
class Face:
    """An operator before the room."""

    scene: Scene
    engine: Engine

    @property
    def stack(self) -> Stack:
        return self.engine.stacks[0]

    @property
    def board(self) -> Board:
        return self.engine.board(self.stack.id)

    async def perform(self, name: str, values: list[str], ends: Stage = Stage.PROVED, says: str = "") -> None:
        """Run one procedure from the list to its verdict, see that it ``says`` so, and take note of that."""
        scene, procedure = self.scene, self.stack.procedures[name]
        await scene.choose(name, *values)
        await self._confirm(procedure)
        for _ in range(PATIENCE):
            dialog = scene.dialog
            if dialog.stage in (Stage.PROVED, Stage.NOT_PROVED):
                break
            if dialog.is_listening:
                await scene.press("c")  # it waits for a person
            await scene.pilot.pause(0.01)
        assert scene.dialog.stage is ends, scene.text()
        assert says in " ".join(scene.text().split()), scene.text()
        await scene.press("a", "escape", "escape")

    async def _confirm(self, procedure: Procedure) -> None:
        scene, dialog = self.scene, self.scene.dialog
        if procedure.risk in (RiskClass.STOP, RiskClass.ROUTINE):
            await scene.press(dialog.way.confirm)
            return
        for _ in range(PATIENCE):
            if not dialog.checks().objections:
                break
            # Whoever waits before an open dialog has to show that somebody is there.
            await scene.press("up")
        word = phrase_of(procedure, self.stack, dialog.shown_params)
        if procedure.challenge is not None:
            word = word_of(self.board.readings[procedure.challenge].value)
        lines = [word] if word is not None else []
        lines += [REASON] if procedure.risk in (RiskClass.MARKET, RiskClass.RESTORE) else []
        await scene.press("tab")
        for text in lines:
            await scene.type(text)
            await scene.press("enter")
        await scene.press("enter")
        assert dialog.stage is not Stage.QUESTION, scene.text()


@asynccontextmanager
async def opened_on(world: DemoWorld) -> AsyncIterator[Face]:
    """The room on this demo, when every source has answered."""
    config = Session(world.config, is_demo=True).config()
    engine = engine_of(config, config.stacks)
    engine.start()
    app = ControlRoom(engine, pulse=0)
    try:
        async with app.run_test(size=(120, 50)) as pilot:
            scene = Scene(app, cast(FakeEngine, engine), cast(FakeClock, SystemClock()), pilot)
            await scene.until(lambda: engine.wait_asked(engine.stacks[0].id, 0.0), PATIENCE)
            yield Face(scene, engine)
    finally:
        engine.stop()
