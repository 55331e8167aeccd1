"""What a look can count, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.clock import SystemClock
from backends.model.fact import Table
from backends.model.procedure import Proof
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import GateSpec
from backends.model.trading import TradingState
from backends.procedures.evidence import Eyes, Sight, counted

ORDERS = Table(("id", "symbol"), ((SafeText("o-1"), SafeText("AAPL")), (SafeText("o-2"), SafeText("SPY"))), 2)
RATES = Table(
    ("venue", "fill_rate"),
    ((SafeText("BINANCE"), SafeText("np.float64(0.91)")), (SafeText("FTX"), SafeText("0.4"))),
    2,
)
CUT = Table(("id", "symbol"), ((SafeText("o-1"), SafeText("AAPL")),), 9)


@pytest.mark.parametrize(
    ("value", "where", "number"),
    [
        (ORDERS, {}, 2.0),
        (ORDERS, {"symbol": "SPY"}, 1.0),
        (ORDERS, {"symbol": "TSLA"}, 0.0),
        (Table((), (), 0), {"symbol": "SPY"}, 0.0),
        (CUT, {}, 9.0),
        (CUT, {"symbol": "SPY"}, None),
        (RATES, {"fill_rate": "<0.8"}, 1.0),
        (RATES, {"venue": "^BIN|COIN", "fill_rate": ">=0.8"}, 1.0),
        (RATES, {"venue": ">1"}, None),
        (ORDERS, {"venue": "X"}, None),
        (True, {}, None),
        (3, {}, 3.0),
        (None, {}, None),
    ],
    ids=[
        "all rows", "those asked for", "none of them", "an answer without rows, which names no columns",
        "more than was read", "perhaps among those not read", "below a bound", "how it begins",
        "no number to compare", "no such column", "no number", "a number",
        "nothing",
    ],
)  # fmt: skip
def test_what_is_counted_is_complete_or_it_is_no_count(
    value: Any, where: Mapping[str, str], number: float | None
) -> None:
    assert counted(value, where)[0] == number


class Reads:
    """A verifier that reads one value, or that there is none."""

    def __init__(self, value: Any) -> None:
        self._value = value

    async def look(self, fact: str, within: float) -> Reading[Any]:
        outcome = Outcome.MISSING if self._value is None else Outcome.OK
        return Reading(fact, "s", outcome, SystemClock().now(), 1.0, value=self._value)


@pytest.mark.parametrize(
    ("proof", "value", "sight"),
    [
        (Proof("f", at_least=1), 1, Sight.HOLDS),
        (Proof("f", at_least=1), 0, Sight.CONTRARY),
        (Proof("f", at_least=1, at_most=2), 3, Sight.CONTRARY),
        (Proof("f", at_least=2, where={"symbol": "SPY"}), ORDERS, Sight.CONTRARY),
        (Proof("f", at_least=1), SafeText("many"), Sight.UNSEEN),
        (Proof("f", at_least=1), None, Sight.UNSEEN),
        (Proof("f", ("true",), is_missing=True), True, Sight.HOLDS),
        (Proof("f", ("true",), is_missing=True), None, Sight.HOLDS),
        (Proof("f", ("true",), is_missing=True), False, Sight.CONTRARY),
        (Proof("f", ("true",)), None, Sight.UNSEEN),
        (Proof("f", is_missing=True), True, Sight.CONTRARY),
    ],
    ids=[
        "enough", "too few", "too many", "too few of those asked for", "no number", "nothing to count",
        "the word", "nothing, which will do", "the opposite word", "nothing, where a word is demanded",
        "something, where nothing is demanded",
    ],
)  # fmt: skip
async def test_a_demand_is_met_by_what_was_read_and_by_nothing_else(
    proof: Proof, value: Any, sight: Sight
) -> None:
    (seen,) = await Eyes(Reads(value), {}, SystemClock()).look([proof], 1.0)
    assert seen.sight is sight, seen.text


def gateway(state: RunState, started: float | None) -> Service:
    return Service("gateway", Runtime.DOCKER, "c1", SafeText("gateway"), state, Health.NO_CHECK,
                   started_wall=started)  # fmt: skip


class Answers:
    """A verifier with an answer for each question in turn; one that is missing fails."""

    def __init__(self, *answers: Reading[Any] | None) -> None:
        self._answers = list(answers)

    async def look(self, fact: str, within: float) -> Reading[Any]:
        answer = self._answers.pop(0)
        if answer is None:
            raise TimeoutError
        return replace(answer, received=SystemClock().now())


def said(value: Service | None) -> Reading[Any]:
    outcome = Outcome.MISSING if value is None else Outcome.OK
    return Reading("service:gateway", "docker", outcome, SystemClock().now(), 1.0, value=value)


RESTARTED = Proof("service:gateway", ("running",), is_restarted=True)
NEW = said(gateway(RunState.RUNNING, 200.0))


@pytest.mark.parametrize(
    ("answers", "sight"),
    [
        ((said(gateway(RunState.RUNNING, 100.0)), NEW), Sight.HOLDS),
        ((NEW, NEW), Sight.CONTRARY),
        ((said(gateway(RunState.EXITED, 100.0)), NEW), Sight.HOLDS),
        ((said(gateway(RunState.CREATED, None)), NEW), Sight.HOLDS),
        ((said(None), NEW), Sight.HOLDS),
        ((None, said(gateway(RunState.RUNNING, 100.0)), NEW), Sight.HOLDS),
        ((None, None, NEW, NEW), Sight.CONTRARY),
        ((None, None, None, NEW), Sight.UNSEEN),
        ((*[said(gateway(RunState.RUNNING, None))] * 3, NEW), Sight.UNSEEN),
    ],
    ids=[
        "it ran, and runs anew", "it has run on", "it had ended", "it had never run", "it was not there",
        "seen at the second look", "has run on, as the third look shows", "never seen before",
        "nobody knows since when it ran",
    ],
)  # fmt: skip
async def test_a_service_runs_anew_when_it_is_known_what_was_before(
    answers: tuple[Reading[Any] | None, ...], sight: Sight
) -> None:
    eyes = Eyes(Answers(*answers), {}, SystemClock())
    before = await eyes.started(["service:gateway"], 1.0, tries=3)
    (seen,) = await eyes.look([RESTARTED], 1.0, before)
    assert seen.sight is sight, seen.text


SAYS = Proof("bot.state", ("soft_pause", "hard_stop"))
BOT = GateSpec(
    "bot.state", "Bot", frozenset({"running"}), frozenset({"soft_pause", "hard_stop"}),
    TradingState.UNKNOWN, "silent", service="bot",
)  # fmt: skip


def ended(since: float) -> Service:
    """Its container, ended so many seconds from now."""
    return replace(gateway(RunState.EXITED, 1.0), finished_wall=SystemClock().now().wall + since)


@pytest.mark.parametrize(
    ("proof", "word", "service", "sight"),
    [
        (SAYS, "running", lambda: said(ended(-5.0)), Sight.HOLDS),
        (SAYS, "running", lambda: said(ended(-60.0)), Sight.CONTRARY),
        (SAYS, "running", lambda: said(gateway(RunState.EXITED, 100.0)), Sight.CONTRARY),
        (SAYS, "running", lambda: said(None), Sight.CONTRARY),
        (SAYS, None, lambda: said(None), Sight.HOLDS),
        (SAYS, None, lambda: said(gateway(RunState.DEAD, None)), Sight.HOLDS),
        (SAYS, "running", lambda: said(gateway(RunState.RUNNING, 100.0)), Sight.CONTRARY),
        (SAYS, "running", lambda: said(gateway(RunState.RESTARTING, 100.0)), Sight.CONTRARY),
        (SAYS, "running", lambda: None, Sight.CONTRARY),
        (SAYS, "hard_stop", lambda: None, Sight.HOLDS),
        (Proof("bot.state", ("running",)), "soft_pause", lambda: said(ended(-5.0)), Sight.CONTRARY),
        (Proof("bot.state", ("running", "soft_pause")), "x", lambda: said(ended(-5.0)), Sight.CONTRARY),
    ],
    ids=[
        "it has ended since", "it has spoken since", "nobody knows when it ended", "it speaks, not there",
        "it says nothing, and is not there", "it says nothing, and has ended", "it runs", "it comes back",
        "nobody can say", "it says so itself", "running is no halt", "nor is either",
    ],
)  # fmt: skip
async def test_the_last_word_of_a_trader_that_has_ended_denies_no_halt(
    proof: Proof, word: str | None, service: Callable[[], Reading[Any] | None], sight: Sight
) -> None:
    outcome = Outcome.MISSING if word is None else Outcome.OK
    value = None if word is None else SafeText(word)
    spoke = Reading("bot.state", "redis", outcome, SystemClock().now(), 1.0, value=value, observed_lag=30.0)
    (seen,) = await Eyes(Answers(spoke, service()), {}, SystemClock(), [BOT]).look([proof], 1.0)
    assert seen.sight is sight, seen.text
