"""The room on a real engine and a running demo, operated key by key."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from backends.engine import Engine
from backends.model.board import Board
from backends.model.clock import SystemClock
from backends.model.procedure import Procedure, RiskClass
from backends.model.stack import Stack
from backends.model.weigh import word_of
from backends.procedures.confirm import phrase_of
from backends.procedures.stop_runner import QUIET, RELOOK
from tests.clock import FakeClock
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import Scene
from tests.terminal.planned import CHANGED, LOOKS
from tui.app import ControlRoom
from tui.commands.session import Session, engine_of
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.stage import Stage

REASON = "the quarterly exercise"

PATIENCE = 120.0
"""Seconds for what takes its time in a demo on a busy machine."""

LONGEST = 360.0
"""Seconds a run may take there."""

_AGAIN = 2.0
"""Seconds until a list is looked at again that could not be read at one moment."""
_APART = 0.03
"""Seconds between two looks at a run under way: each costs, and most runs take seconds."""


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

    async def perform(
        self, name: str, values: Sequence[str], ends: Stage = Stage.PROVED, says: str = ""
    ) -> None:
        """Run one procedure from the list to its verdict, see that it ``says`` so, and take note of that."""
        with self.scene.app._context():  # a pause may draw a frame, and what follows one asks for its app
            await self._perform(name, values, ends, says)

    async def see(self, fact: str, words: str) -> None:
        """Ask every source anew, and wait until that fact has these words in it."""
        with self.scene.app._context():
            await self.scene.press("r")
            await self.scene.until(lambda: words in str(self.board.readings[fact].value), PATIENCE)

    async def _perform(self, name: str, values: Sequence[str], ends: Stage, says: str) -> None:
        scene = self.scene
        await self._decide(name, values)
        for _ in range(LOOKS - 1):
            if CHANGED not in " ".join(scene.text().split()):
                break
            await scene.press("a", "escape")
            await self._decide(name, values)
        assert scene.dialog.stage is ends, scene.text()
        assert says in " ".join(scene.text().split()), scene.text()
        await scene.until(lambda: scene.dialog.is_listening)
        await scene.press("a", "escape", "escape")
        if self.stack.procedures[name].risk is RiskClass.STOP:
            # No hand is so fast: what is sent while a proved stop is still watched counts against it.
            await scene.pilot.pause(QUIET + RELOOK)

    async def _decide(self, name: str, values: Sequence[str]) -> None:
        """Choose it, confirm it and see it through to its verdict."""
        scene = self.scene
        await scene.choose(name, *values)
        await self._confirm(self.stack.procedures[name])
        ends = time.monotonic() + LONGEST
        while (dialog := scene.dialog).stage not in (Stage.PROVED, Stage.NOT_PROVED):
            assert time.monotonic() < ends, scene.text()
            if dialog.is_listening:
                await scene.press("c")  # it waits for a person
            await scene.pilot.pause(_APART)

    async def _confirm(self, procedure: Procedure) -> None:
        scene, dialog = self.scene, self.scene.dialog
        if procedure.risk in (RiskClass.STOP, RiskClass.ROUTINE):
            await scene.press(dialog.way.confirm)
            return
        await self._until_nothing_is_against(dialog)
        word = phrase_of(procedure, self.stack, dialog.shown_params)
        if procedure.challenge is not None:
            word = word_of(self.board.readings[procedure.challenge].value)
        lines = [word] if word is not None else []
        lines += [REASON] if procedure.risk in (RiskClass.MARKET, RiskClass.RESTORE) else []
        await scene.press("tab")
        for text in lines:
            await scene.type(text)
            await scene.press("enter")
        for _ in range(LOOKS):
            await self._until_nothing_is_against(dialog)  # again: what could not be read begins the wait anew
            await scene.press("enter")
            if dialog.stage is not Stage.QUESTION:
                return
            await scene.pilot.pause(_AGAIN)
        raise AssertionError(scene.text())

    async def _until_nothing_is_against(self, dialog: ProcedureDialog) -> None:
        ends = time.monotonic() + PATIENCE
        while dialog.checks().objections:
            assert time.monotonic() < ends, self.scene.text()
            # Whoever waits before an open dialog has to show that somebody is there.
            await self.scene.press("up")


@asynccontextmanager
async def opened_on(config_path: Path) -> AsyncIterator[Face]:
    """The room on what this config file names, when every source has answered."""
    config = Session(config_path, is_demo=True).config()
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


@dataclass
class Seat:
    """A room that stays open in a thread of its own, before an operator who also does other things."""

    face: Face
    portal: BlockingPortal

    def perform(self, name: str, *values: str) -> None:
        """``Face.perform``, awaited."""
        self.portal.call(self.face.perform, name, values)

    def see(self, fact: str, words: str) -> None:
        """``Face.see``, awaited."""
        self.portal.call(self.face.see, fact, words)


@contextmanager
def seat_before(config_path: Path) -> Iterator[Seat]:
    """The room on what this config file names, for tests that block."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened_on(config_path)) as face:
        yield Seat(face, portal)
