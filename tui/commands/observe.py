"""Wait until an engine has heard, or failed to hear, from everything once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from backends.engine import Engine
from backends.model.board import SERVICE, Board
from backends.model.reading import Outcome
from backends.model.stack import SourceKind, Stack

RECHECK = 0.25
"""Seconds after which the boards are looked at even if nothing woke us."""


def observe(engine: Engine, stacks: Sequence[Stack], seconds: float) -> bool:
    """Whether every source of every stack answered or failed within ``seconds``. The engine is started."""
    changed = threading.Event()
    unsubscribe = engine.subscribe(changed.set)
    deadline = time.monotonic() + seconds
    try:
        while not all(is_complete(stack, engine.board(stack.id)) for stack in stacks):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            changed.wait(min(left, RECHECK))
            changed.clear()
    finally:
        unsubscribe()
    return True


def is_complete(stack: Stack, board: Board) -> bool:
    """Whether every source and everything to be read from it has an outcome."""
    return not missing_sources(stack, board)


def missing_sources(stack: Stack, board: Board) -> set[str]:
    """The sources that have not been heard of completely yet."""
    late = {ident for ident in stack.sources if (it := board.sources.get(ident)) is None or it.is_up is None}
    for fact in stack.facts.values():
        reading = board.readings.get(fact.id)
        if reading is None or reading.outcome is Outcome.NEVER:
            late.add(fact.source)
    for spec in stack.services:
        reading = board.readings.get(SERVICE + spec.name)
        if stack.sources[spec.source].kind is SourceKind.DOCKER and (
            reading is None or reading.outcome is Outcome.NEVER
        ):
            late.add(spec.source)
    return late
