"""A report proves only the run it was made by: one from before the step proves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backends.model.action import DockerVerb, Observe
from backends.model.clock import Instant
from backends.model.procedure import Proof, Step
from backends.model.reading import Reading
from backends.procedures.evidence import NOTHING_BEFORE, Eyes, Sight
from backends.procedures.step_proof import StepProofs
from tests.building import fact, later, ok
from tests.clock import FakeClock

REPORT = Proof("report", ("executed",), is_newer=True)


class Report:
    """Reads ``executed``, made so many seconds before it is read."""

    def __init__(self, clock: FakeClock, lag: float | None) -> None:
        self.clock, self.lag = clock, lag

    async def look(self, key: str, within: float) -> Reading[Any]:
        return ok(key, "executed", self.clock.now(), observed_lag=self.lag)


@pytest.mark.parametrize(
    ("lag", "sent", "sight", "says"),
    [
        (0.5, later(8.0), Sight.HOLDS, "made since"),
        (2.5, later(8.0), Sight.HOLDS, "made since"),  # the second that clocks may differ
        (5.0, later(8.0), Sight.CONTRARY, "made 3 s before this"),
        (None, later(8.0), Sight.UNSEEN, "not known since when"),
        (0.5, None, Sight.UNSEEN, "not known since when"),
    ],
)
def test_a_report_must_be_of_this_very_run(
    lag: float | None, sent: Instant | None, sight: Sight, says: str
) -> None:
    clock = FakeClock()
    clock.advance(10.0)
    eyes = Eyes(Report(clock, lag), {"report": fact("report")}, clock)
    (seen,) = asyncio.run(eyes.look([REPORT], 1.0, sent=sent))
    assert seen.sight is sight and says in seen.text


@pytest.mark.parametrize(("lag", "is_proved"), [(1.0, True), (30.0, False)])
def test_what_a_later_step_looks_at_must_be_made_since_the_last_one_was_sent(
    lag: float, is_proved: bool
) -> None:
    """The run begins, a minute later the program is made anew: what it wrote before then was the old one."""
    clock = FakeClock()
    eyes = Eyes(Report(clock, lag), {"report": fact("report")}, clock)
    proofs = StepProofs(eyes, clock, lambda _step, _words: None)
    made_anew = Step("recreate", "Make it anew", DockerVerb("docker", "restart", "bot1"), ())
    looks = Step("preflight", "Its preflight", Observe(), (REPORT,))

    async def go() -> bool:
        clock.advance(60.0)
        await proofs.before(made_anew)
        clock.advance(10.0)
        return await proofs.look(looks, NOTHING_BEFORE)

    assert asyncio.run(go()) is is_proved
