"""Reading back: what the world says, over connections that no writer uses."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from backends.model.board import SERVICE
from backends.model.clock import Clock, Instant
from backends.model.fact import Fact
from backends.model.figure import figure
from backends.model.judge import has_spoken_since, is_gone
from backends.model.procedure import Proof, Verifier
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import SafeText
from backends.model.service import ENDED, Service
from backends.model.stack import GateSpec
from backends.model.weigh import counted, word_of

_GRACE: Final = 0.1
"""Seconds a verifier may be late before it is not waited for."""

_CLOCKS: Final = 1.0
"""Seconds by which a source's clock may be behind the room's; many write whole seconds."""


class Sight(Enum):
    HOLDS = "holds"
    CONTRARY = "contrary"
    """It was read, and it is not so."""
    UNSEEN = "unseen"
    """It could not be read, or there is nothing there."""


class Evidence(Struct, frozen=True):
    """What one look at one proof found."""

    proof: Proof
    sight: Sight
    text: SafeText
    """``Kill switch reads ENGAGED``."""
    value: SafeText | None = None
    asked: float = 0.0
    """When the look began, by this process' monotonic clock."""
    count: float | None = None
    """The number that was read, 0 where there is nothing; None for what is no number."""

    def as_record(self) -> Mapping[str, Any]:
        """For the journal."""
        return {"fact": self.proof.fact, "sight": self.sight.value, "text": str(self.text)}


Before = Mapping[str, float | None]
"""When each service had started before a step was sent, by its key: epoch seconds of its runtime's clock;
-inf when it was not there or had never run, None when that could not be read."""

NOTHING_BEFORE: Final[Before] = {}


class Eyes:
    """Looks at facts afresh. Never raises: what cannot be read is UNSEEN, with the reason."""

    def __init__(
        self, verifier: Verifier, facts: Mapping[str, Fact], clock: Clock, gates: Iterable[GateSpec] = ()
    ) -> None:
        """``gates`` are those of the stack: one that is a service's is halted while that does not run."""
        self._verifier = verifier
        self._facts = facts
        self._clock = clock
        self._gates = {gate.fact: gate for gate in gates if gate.service is not None}

    async def look(
        self,
        proofs: Iterable[Proof],
        within: float,
        before: Before = NOTHING_BEFORE,
        sent: Instant | None = None,
    ) -> tuple[Evidence, ...]:
        """One look at each, all at once, none longer than ``within`` seconds. ``sent`` is when the step was
        sent, for what must be newer than it."""
        return tuple(await asyncio.gather(*(self._look(proof, within, before, sent) for proof in proofs)))

    async def started(self, services: Iterable[str], within: float, tries: int) -> Before:
        """Since when these run. What could not be read is asked again: later nothing shows what it was."""
        found: dict[str, float | None] = dict.fromkeys(services)
        for _ in range(tries):
            unread = [each for each, known in found.items() if known is None]
            readings = await asyncio.gather(*(self.read(each, within) for each in unread))
            found |= dict(zip(unread, map(_began, readings), strict=True))
        return found

    async def read(self, fact: str, within: float) -> Reading[Any]:
        """The fact as it is now; a FAILED reading when it could not be read, or only something old."""
        asked = self._clock.now()
        try:
            async with asyncio.timeout(within + _GRACE):
                reading = await self._verifier.look(fact, within)
        except TimeoutError:
            return self._unread(fact, f"no answer within {within * 1000:.0f} ms")
        except Exception as error:
            # A fault in reading back must not end a stop: it is evidence like any other.
            return self._unread(fact, type(error).__name__)
        if reading.received.mono < asked.mono and reading.outcome in (Outcome.OK, Outcome.MISSING):
            return self._unread(fact, "it gave an old answer")
        return reading

    def _unread(self, fact: str, why: str) -> Reading[Any]:
        known = self._facts.get(fact)
        source = known.source if known is not None else ""
        return Reading(fact, source, Outcome.FAILED, self._clock.now(), 1.0, error=SafeText(why, 300))

    async def _look(self, proof: Proof, within: float, before: Before, sent: Instant | None) -> Evidence:
        asked = self._clock.now()
        reading = await self.read(proof.fact, within)
        seen = _judge(proof, self.label(proof.fact), reading, self._clock.now(), before)
        if proof.is_newer and seen.sight is Sight.HOLDS:
            seen = _dated(seen, reading, sent)
        if seen.sight is not Sight.HOLDS:
            seen = await self._ended(proof, within, reading, seen) or seen
        if proof.otherwise and seen.sight is Sight.CONTRARY:
            seen = replace(seen, text=SafeText(f"{seen.text}; {proof.otherwise}", 300))
        return replace(seen, asked=asked.mono)

    async def _ended(
        self, proof: Proof, within: float, said: Reading[Any], seen: Evidence
    ) -> Evidence | None:
        """That what trades behind a gate has ended, where the proof is that it is halted: whatever it said
        last, somewhere else, is read there for a while. A word to the contrary counts less only when the
        service ended after it."""
        gate = self._gates.get(proof.fact)
        if gate is None or not proof.equals or not set(proof.equals) <= gate.halted:
            return None
        reading = await self.read(f"{SERVICE}{gate.service}", within)
        value, is_denied = reading.value, seen.sight is Sight.CONTRARY
        if is_gone(reading) and not is_denied:
            return Evidence(proof, Sight.HOLDS, SafeText(f"{gate.label} is not there", 300))
        if not isinstance(value, Service) or value.state not in ENDED:
            return None
        if is_denied and has_spoken_since(said, reading):
            return None
        return Evidence(proof, Sight.HOLDS, SafeText(f"{gate.label} is {value.state.value}", 300))

    def label(self, fact: str) -> str:
        """What people call it."""
        known = self._facts.get(fact)
        return known.label if known is not None else fact.removeprefix(SERVICE)


def with_floors(proofs: Iterable[Proof], known: Mapping[str, Sequence[Evidence]]) -> Iterator[Proof]:
    """``proofs``, what an earlier step read being the least where it is to be kept. ``known`` is what the
    steps of this run have seen; what it does not tell proves nothing."""
    for proof in proofs:
        seen = () if proof.kept is None else known.get(proof.kept, ())
        floor = next((each.count for each in seen if each.proof.fact == proof.fact), None)
        yield proof if floor is None else replace(proof, at_least=floor, is_missing=floor == 0)


def _began(reading: Reading[Any]) -> float | None:
    """When the service started that was read, as ``Before`` has it."""
    value = reading.value
    if reading.outcome is Outcome.MISSING:
        return -math.inf
    if reading.outcome is not Outcome.OK or not isinstance(value, Service):
        return None
    if value.started_wall is None and value.state in ENDED:
        return -math.inf
    return value.started_wall


def _dated(seen: Evidence, reading: Reading[Any], sent: Instant | None) -> Evidence:
    """``seen``, if what was read says itself that it was made after ``sent``."""
    if sent is None or reading.observed_lag is None:
        return replace(seen, sight=Sight.UNSEEN, text=SafeText(f"{seen.text}; not known since when", 300))
    made = reading.received.wall - reading.observed_lag
    if made >= sent.wall - _CLOCKS:
        return replace(seen, text=SafeText(f"{seen.text}, made since", 300))
    text = f"{seen.text}, made {sent.wall - made:.0f} s before this"
    return replace(seen, sight=Sight.CONTRARY, text=SafeText(text, 300))


def _judge(proof: Proof, label: str, reading: Reading[Any], now: Instant, before: Before) -> Evidence:
    floor = "" if proof.kept is None else _before(proof.at_least)
    if reading.outcome is Outcome.MISSING:
        sight = Sight.CONTRARY if proof.kept is not None and proof.at_least else Sight.UNSEEN
        sight = Sight.HOLDS if proof.is_missing else sight
        return Evidence(proof, sight, SafeText(f"{label} is missing{floor}", 300), count=0.0)
    if reading.outcome is not Outcome.OK:
        text = f"{label} could not be read: {reading.error or '?'}"
        return Evidence(proof, Sight.UNSEEN, SafeText(text, 300))
    shown = word_of(reading.value)
    if reading.quality(now) not in (Quality.FRESH, Quality.AGEING):
        return Evidence(proof, Sight.UNSEEN, SafeText(f"{label} gave an old answer, {shown}", 300))
    text = f"{label} reads {shown}"
    number, left = counted(reading.value, proof.where)
    is_limited = proof.at_most is not None or proof.at_least is not None
    is_so = shown in proof.equals if proof.equals else is_limited or not proof.is_missing
    sight = Sight.HOLDS if is_so else Sight.CONTRARY
    if is_limited or proof.kept is not None:
        if number is None or not is_limited or (proof.kept is not None and proof.at_least is None):
            why = ", which is no complete count" if number is None else floor
            return Evidence(proof, Sight.UNSEEN, SafeText(f"{text}{why}", 300))
        is_within = (proof.at_most is None or number <= proof.at_most) and (
            proof.at_least is None or number >= proof.at_least
        )
        sight = sight if is_within else Sight.CONTRARY
        text = f"{label} reads {figure(number)}{floor}" + (f": {left}" if left else "")
    if proof.is_restarted and sight is Sight.HOLDS:
        started, was = _began(reading), before.get(proof.fact)
        if started is None or was is None:
            return Evidence(proof, Sight.UNSEEN, SafeText(f"{text}; not known since when", 300))
        sight = Sight.HOLDS if started > was else Sight.CONTRARY
        text += ", started anew" if started > was else ", and has not started anew"
    return Evidence(proof, sight, SafeText(text, 300), SafeText(shown), count=number)


def _before(number: float | None) -> str:
    return "; not known what it was before" if number is None else f", {figure(number)} before"
