"""What a test sees through a room: its board, its checks and its alarms, polled on until something is so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from backends.engine import Engine
from backends.model.board import Board
from backends.model.examination import Answer
from backends.model.stack import Stack
from tests.servers.process import wait_until

LONGEST: Final = 30.0
"""Seconds a check or a diagnosis may take."""


class LookingRoom:
    """Of one engine with one stack, which whoever inherits this sets."""

    engine: Engine
    stack: Stack

    @property
    def board(self) -> Board:
        return self.engine.board(self.stack.id)

    def alarms(self) -> dict[str, str]:
        """What stands: the title of each, by its id."""
        return {alarm.id: str(alarm.title) for alarm in self.board.alarms}

    def answer(self, name: str) -> Answer:
        """Of a check or a diagnosis, on fresh readings."""
        one = self.stack.checks.get(name) or self.stack.diagnoses[name]
        asked = self.engine.checks(self.stack.id).examine([one])
        (result,) = asked.result(LONGEST).values()
        return result.answer

    def until(self, is_so: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        """Poll on until it is so."""

        def look() -> object:
            if not (found := is_so()):
                self.engine.refresh(self.stack.id)
            return found

        wait_until(look, seconds, what, every=0.2)
