"""From the second key to STOPPED, read back and echoed: two seconds at the most in 99 of 100 presses."""

from __future__ import annotations

import math
from random import Random

from msgspec.structs import replace

from backends.journal.entry import Entry
from backends.journal.journal import BUDGET
from backends.model.procedure import Proof, Verdict
from tests.sim.rungs import HALT, Audit, Platform, site
from tests.sim.virtual import simulate

PRESSES = 500

ECHOED = tuple(Proof(fact, ("ENGAGED",)) for fact in ("kill.state", "http.kill"))
STOP = replace(HALT, steps=(replace(HALT.steps[0], proof=ECHOED), *HALT.steps[1:]))
"""The halt whose first way is proved by the key and by the service that obeys it."""


def network(random: Random) -> float:
    """A few milliseconds, a long tail, and one packet in a hundred sent anew."""
    lost = random.uniform(0.2, 0.8) if random.random() < 0.01 else 0.0
    return random.lognormvariate(-5.5, 1.2) + lost


def service(random: Random) -> float:
    """It looks at the switch several times a second."""
    return random.uniform(0.0, 0.3)


class Disk(Audit):
    """A journal on a disk that others use too: milliseconds, and now and then a fifth of a second."""

    def __init__(self, random: Random) -> None:
        super().__init__("ok")
        self._random = random

    async def record(self, entry: Entry, budget: float = BUDGET) -> bool:
        self.takes = self._random.uniform(0.02, 0.2) if self._random.random() < 0.02 else 0.003
        return await super().record(entry, budget)


def took(seed: int, slower: float = 1.0) -> float:
    """Simulated seconds from the press to a verdict that it is stopped; endless where no echo was heard."""
    platform = Platform(Random(seed), lambda random: slower * network(random), service)
    made = site({}, platform=platform, halt=STOP)
    made.procedures._journal = Disk(platform.random)

    async def press() -> float:
        run, seconds = await made.press()
        assert run.verdict in (Verdict.VERIFIED, Verdict.ALREADY, Verdict.WRITTEN), run.sentence
        assert platform.is_obeyed or "docker" in [way for _, way in platform.calls]
        await made.procedures.close()
        return math.inf if run.verdict is Verdict.WRITTEN else seconds

    return simulate(press())


def share_within(limit: float, times: list[float]) -> float:
    return sum(each <= limit for each in times) / len(times)


def test_99_of_100_halts_are_proved_within_two_seconds_and_all_within_ten() -> None:
    times = [took(seed) for seed in range(PRESSES)]
    assert share_within(2.0, times) >= 0.99, sorted(times)[-20:]
    assert max(times) <= 10.0
    assert share_within(0.5, times) > 0.5


def test_the_measure_would_tell_a_network_that_is_much_too_slow() -> None:
    assert share_within(2.0, [took(seed, slower=40.0) for seed in range(100)]) < 0.99
