"""A room that stays open for weeks keeps nothing of what was opened and closed in it."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest

from tests.pilot.rooms import Scene, make_room, opened

TIMES = 8
LOOKS = 20

OURS = ("backends", "textual", "tui", "widgets")

OPENED_AND_CLOSED = {
    "the stop dialog": ("f9", "escape"),
    "the keys": ("question_mark", "escape"),
    "the procedures": ("e", "escape"),
    "the palette": ("colon", "escape"),
    "the checks": ("k", "escape"),
    "the runbook and its search": ("o", "slash", "x", "escape", "escape"),
    "all that is known of a row": ("1", "enter", "escape"),
    "the filter of the logs, left": ("4", "slash", "x", "escape"),
    "the filter of the logs, entered": ("4", "slash", "x", "enter", "escape"),
}


async def kept(room: Scene) -> Counter[str]:
    """How many there are of each class of the room and its toolkit, and of tasks. Not of plain values, of
    which functions remember some."""
    await room.settle()
    gc.collect()
    found = Counter(tasks=len(asyncio.all_tasks()))
    for kind in map(type, gc.get_objects()):
        module = str(kind.__module__)  # of a class made in C it may be no text
        if module.partition(".")[0] in OURS and not issubclass(kind, tuple):
            found[f"{module}.{kind.__qualname__}"] += 1
    return found


@pytest.mark.parametrize("what", OPENED_AND_CLOSED)
async def test_nothing_is_left_behind_of(what: str) -> None:
    async with opened(make_room()) as room:
        for _ in range(2):
            await room.press(*OPENED_AND_CLOSED[what])
        before = await kept(room)
        for _ in range(TIMES):
            await room.press(*OPENED_AND_CLOSED[what])
        # The one that was closed last may still be held by what is under way; what was left behind stays.
        for _ in range(LOOKS):
            left = await kept(room) - before
            if not (many := {kind: n for kind, n in left.items() if n >= TIMES}):
                return
            await room.pilot.pause(0.1)
        assert many == {}
