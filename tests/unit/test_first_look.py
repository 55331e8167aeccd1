"""What a room looks at first: the main switch, what runs and its logs, the other switches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.config import load
from backends.engine import Engine, Mode
from backends.model.clock import Instant
from backends.model.fact import SourceError
from backends.model.stack import Source
from backends.model.stamp import to_stamp
from tests.sim.desk import KIM

FIRST = ["redis", "docker", "gateway"]


class Quiet:
    """The answer of an engine whose containers have written nothing."""

    async def ask(self, _now: Instant) -> Callable[[Instant], dict[str, Any]]:
        return lambda _: {}

    def next_due(self, _now: Instant) -> float:
        return 60.0

    def all_due(self) -> None: ...

    async def close(self) -> None: ...


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  # what is waited for has no event
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_up", [True, False])
async def test_the_rest_is_begun_when_what_matters_was_asked_and_a_line_came_from_who_can_write_one(
    is_up: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "one.toml"
    config.write_text("[stack.trading-platform]\n")
    config.chmod(0o600)
    engine = Engine(load(config, env={"HOME": str(tmp_path)}).stacks, Mode.WATCH, tmp_path, KIM)
    room = engine._rooms["trading-platform"]
    wanted: list[str] = []
    begun: set[str] = set()

    def maker(source: Source, _loop: object) -> Callable[[], Any]:
        wanted.append(source.id)

        def make() -> Any:
            begun.add(source.id)
            if is_up and source.id == "docker":
                return Quiet()
            raise SourceError("not there")

        return make

    monkeypatch.setattr(room, "_maker", maker)
    monkeypatch.setattr("backends.board.first_look.LONGEST", 60.0)
    watching = asyncio.create_task(room.observe())
    try:
        async with asyncio.timeout(20):
            await until(lambda: all(room.store.board.sources[it].is_up is not None for it in FIRST))
            assert wanted[:3] == FIRST
            if is_up:
                await asyncio.sleep(0.1)  # several looks of those that wait
                assert begun == set(FIRST)
                room.ring.append(0, [to_stamp(time.time_ns()) + b" a line"])
                await asyncio.sleep(0.15)  # as long as a first line waits for others
                room.ring.settle()
            await until(lambda: begun == set(wanted))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
