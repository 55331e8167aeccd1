"""What will not end with the engine does not end later either, where nothing could take it in."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from backends import engine as engines
from backends.engine import Engine, Mode
from backends.room import Room
from tests.building import stack
from tests.sim.world import KIM


async def _stubborn(self: Room) -> None:
    del self
    while True:
        try:
            async with asyncio.timeout(60):
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_task_that_would_not_end_is_not_ended_by_the_garbage_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "observe", _stubborn)
    before = set(engines._LEFT)
    engine = Engine([stack()], Mode.WATCH, tmp_path, KIM)
    engine.start()
    engine.stop(grace=0.0)
    assert engine._thread is not None
    engine._thread.join(20)
    del engine
    gc.collect()
    assert len(engines._LEFT - before) == 1
