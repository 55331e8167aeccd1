"""Reading back: what the world says, over connections that no writer uses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from backends.model.clock import Clock, Instant
from backends.model.fact import Fact, Table
from backends.model.procedure import Proof, Verifier
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import SafeText

_GRACE: Final = 0.1
"""Seconds a verifier may be late before it is not waited for."""


class Sight(Enum):
    HOLDS = "holds"
    CONTRARY = "contrary"
    """It was read, and it is not so."""
    UNSEEN = "unseen"
    """It could not be read, or there is nothing there."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one look at one proof found."""

    proof: Proof
    sight: Sight
    text: SafeText
    """``Kill switch reads ENGAGED``."""
    value: SafeText | None = None

    def as_record(self) -> Mapping[str, Any]:
        """For the journal."""
        return {"fact": self.proof.fact, "sight": self.sight.value, "text": str(self.text)}


class Eyes:
    """Looks at facts afresh. Never raises: what cannot be read is UNSEEN, with the reason."""

    def __init__(self, verifier: Verifier, facts: Mapping[str, Fact], clock: Clock) -> None:
        self._verifier = verifier
        self._facts = facts
        self._clock = clock

    async def look(self, proofs: Iterable[Proof], within: float) -> tuple[Evidence, ...]:
        """One look at each, all at once, none longer than ``within`` seconds."""
        return tuple(await asyncio.gather(*(self._look(proof, within) for proof in proofs)))

    async def _look(self, proof: Proof, within: float) -> Evidence:
        fact = self._facts.get(proof.fact)
        label = fact.label if fact is not None else proof.fact
        asked = self._clock.now()
        try:
            async with asyncio.timeout(within + _GRACE):
                reading = await self._verifier.look(proof.fact, within)
        except TimeoutError:
            text = f"{label} could not be read: no answer within {within * 1000:.0f} ms"
            return Evidence(proof, Sight.UNSEEN, SafeText(text, 300))
        except Exception as error:
            # A fault in reading back must not end a stop: it is evidence like any other.
            text = f"{label} could not be read: {type(error).__name__}"
            return Evidence(proof, Sight.UNSEEN, SafeText(text, 300))
        return _judge(proof, label, reading, asked, self._clock.now())


def _judge(proof: Proof, label: str, reading: Reading[Any], asked: Instant, now: Instant) -> Evidence:
    if reading.outcome is Outcome.MISSING:
        return Evidence(proof, Sight.UNSEEN, SafeText(f"{label} is missing", 300))
    if reading.outcome is not Outcome.OK:
        return Evidence(
            proof, Sight.UNSEEN, SafeText(f"{label} could not be read: {reading.error or '?'}", 300)
        )
    word = _word(reading.value)
    is_fresh = reading.received.mono >= asked.mono and reading.quality(now) in (Quality.FRESH, Quality.AGEING)
    if not is_fresh:
        return Evidence(proof, Sight.UNSEEN, SafeText(f"{label} gave an old answer, {word}", 300))
    sight = Sight.HOLDS if word in proof.equals else Sight.CONTRARY
    return Evidence(proof, sight, SafeText(f"{label} reads {word}", 300), SafeText(word))


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.total if isinstance(value, Table) else value)
