"""Many facts of one source are read back at once, each over a connection that nobody else is using."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from backends.board.fresh import LANES, FreshReader
from backends.model.fact import Fact, Finding, Found
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import Source
from tests.building import fact, stack
from tests.sim.virtual import VirtualClock, simulate


class OneAtATime:
    """A reader with one connection: a second question before the answer is a fault."""

    made = 0

    def __init__(self, _source: Source) -> None:
        OneAtATime.made += 1
        self.is_busy = False

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        assert not self.is_busy, "two questions on one connection"
        self.is_busy = True
        await asyncio.sleep(0.05)
        self.is_busy = False
        return {each.id: Found(SafeText(each.id)) for each in facts}

    async def close(self) -> None:
        return


def test_looks_at_one_source_at_the_same_time_do_not_meet_on_one_connection() -> None:
    OneAtATime.made = 0
    names = [f"fact-{number}" for number in range(3 * LANES)]
    wide = replace(stack(), facts={name: fact(name) for name in names})

    async def go() -> None:
        eyes = FreshReader(wide, OneAtATime, VirtualClock())
        for _ in range(2):
            readings = await asyncio.gather(*(eyes.look(name, 1.0) for name in names))
            assert [reading.outcome for reading in readings] == [Outcome.OK] * len(names)
            assert [str(reading.value) for reading in readings] == names
        await eyes.close()

    simulate(go())
    assert OneAtATime.made == LANES
