"""A source that is down is left in peace: five simulated minutes with it, and with an impatient operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import pytest

from backends.alarms.book import AlarmBook
from backends.board.poll import FactTask, Poller
from backends.board.store import Store
from backends.model.fact import Fact, Finding, Found, SourceError
from backends.model.safetext import SafeText
from tests.building import KILL, redis_source, stack
from tests.sim.virtual import VirtualClock, simulate

MINUTES = 5
ANSWERS: Mapping[str, Finding] = {KILL.id: Found(SafeText("ACTIVE"))}


class Dead:
    """A FactReader of a source that refuses or hangs until it is mended."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs
        self.is_mended = False
        self.times: list[float] = []
        self.under_way = self.at_once = 0

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        self.times.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        try:
            if self.is_mended:
                return ANSWERS
            if self.hangs:
                await asyncio.Event().wait()
            raise SourceError("nothing listens there")
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        """Holds nothing."""


def asked(reader: Dead, impatient: Callable[[Poller], None] = lambda _: None) -> Dead:
    """The reader after five minutes at a cadence of a second, ``impatient`` called every tenth of one."""

    async def watch() -> None:
        made = stack(facts={KILL.id: KILL}, gates=(), echoes=(), alarms=(), services=())
        clock, source = VirtualClock(), redis_source()
        store = Store(made, clock, AlarmBook(made, clock.now()), lambda: None)
        task = FactTask(source, [KILL], reader, store)
        poller = Poller(source, lambda: task, store, clock, jitter=lambda: 0.0)
        running = asyncio.create_task(poller.run())
        for _ in range(MINUTES * 600):
            await asyncio.sleep(0.1)
            impatient(poller)
        running.cancel()

    simulate(watch())
    return reader


@pytest.mark.parametrize(("hangs", "times"), [(False, 18), (True, 17)], ids=["refuses", "hangs"])
def test_a_dead_source_is_asked_some_twenty_times_in_five_minutes_and_not_three_hundred(
    hangs: bool, times: int
) -> None:
    reader = asked(Dead(hangs=hangs))
    assert len(reader.times) == times
    assert reader.at_once == 1


def test_who_asks_again_and_again_does_not_make_two_probes_of_one() -> None:
    reader = asked(Dead(hangs=True), lambda poller: poller.poke())
    assert reader.at_once == 1


def test_the_first_answer_brings_the_cadence_back() -> None:
    reader = Dead(hangs=True)

    def mend(_: Poller) -> None:
        reader.is_mended = asyncio.get_running_loop().time() > 120

    asked(reader, mend)
    first = next(time for time in reader.times if time > 120)
    assert first < 120 + 25
    after = [time for time in reader.times if time >= first]
    steps = [later - time for time, later in pairwise(after)]
    assert steps == pytest.approx([1.0] * len(steps))
    assert len(steps) > 150
