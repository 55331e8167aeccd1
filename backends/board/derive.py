"""Facts from facts: may the stack trade, and is real money at stake. Never better than the worst input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backends.model.board import SERVICE
from backends.model.clock import Instant
from backends.model.judge import has_spoken_since, is_ended
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.service import Service
from backends.model.stack import EchoSpec, Environment, GateSpec, Stack
from backends.model.trading import Gate, Trading, TradingState

Readings = Mapping[str, Reading[Any]]

ECHO_SLACK = 0.5
"""Seconds an answer may have been on its way while the other source changed."""


def trading(stack: Stack, readings: Readings, now: Instant, before: Trading | None) -> Trading:
    """The stack's trading state at ``now``.

    HALTED when any gate is known to be halted, else UNKNOWN when any is unknown, else TRADING; where the
    gates are those of several traders, TRADING when any is, else UNKNOWN when any is, else HALTED. A second
    source that says otherwise about a gate makes it CONFLICT.
    """
    gates = tuple(
        _ended(spec, readings, now) or _gate(spec, readings.get(spec.fact), now) for spec in stack.gates
    )
    state, because = _roll_up(stack, gates)
    conflict = _conflict(stack, gates, readings, now)
    if conflict is not None:
        state, because = TradingState.CONFLICT, conflict
    asked = [
        _heard(_deciding(spec, readings, now) or readings[spec.fact])
        for spec in stack.gates
        if spec.fact in readings
    ]
    return Trading(
        state=state,
        because=because,
        since=before.since if before is not None and before.state is state else now,
        as_of=min(asked, default=now),
        gates=gates,
    )


def real_money(
    stack: Stack, readings: Readings, now: Instant, before: frozenset[str] = frozenset()
) -> frozenset[str]:
    """The facts by which the stack itself says that money is real. ``before`` are those of the board before.

    What has said so once says so until it says otherwise, or until the service it is about is known not to
    run: losing the evidence is no evidence.
    """
    said: dict[str, bool] = {}
    for fact, word, evidence in stack.environment_facts:
        read = raw_word(readings[fact]) if fact in readings else None
        if evidence is Environment.LIVE:
            is_live = fact in before if read is None else read == word
            said[fact] = said.get(fact, False) or is_live
    return frozenset(
        fact for fact, is_live in said.items() if is_live and not _is_idle(stack, fact, readings, now)
    )


def _is_idle(stack: Stack, fact: str, readings: Readings, now: Instant) -> bool:
    service = stack.evidence_services.get(fact)
    return service is not None and is_ended(readings.get(f"{SERVICE}{service}"), now)


def environment(stack: Stack, real: frozenset[str]) -> Environment:
    """The configured environment, or LIVE as soon as the stack itself says that money is ``real``."""
    return Environment.LIVE if real else stack.environment


def raw_word(reading: Reading[Any]) -> SafeText | None:
    """The platform's own word as text, ``true`` and ``false`` for a bool; None when it was not read."""
    if reading.outcome is not Outcome.OK:
        return None
    value = reading.value
    return SafeText(str(value).lower() if isinstance(value, bool) else value)


def _deciding(spec: GateSpec, readings: Readings, now: Instant) -> Reading[Any] | None:
    """The reading of the service behind the gate, when it says that nothing can trade there, and nothing has
    said since that it does."""
    reading, said = readings.get(f"{SERVICE}{spec.service}"), readings.get(spec.fact)
    if reading is None or not is_ended(reading, now):
        return None
    is_denied = said is not None and _gate(spec, said, now).state is TradingState.TRADING
    return None if is_denied and said is not None and has_spoken_since(said, reading) else reading


def _ended(spec: GateSpec, readings: Readings, now: Instant) -> Gate | None:
    ended = _deciding(spec, readings, now)
    if ended is None:
        return None
    what = ended.value.state.value if isinstance(ended.value, Service) else "not there"
    word = SafeText(what)
    halted, why = TradingState.HALTED, SafeText(f"is {what}")
    return Gate(spec.fact, spec.label, word, halted, why, word, f"{SERVICE}{spec.service}")


def _gate(spec: GateSpec, reading: Reading[Any] | None, now: Instant) -> Gate:
    if reading is None or reading.outcome is Outcome.NEVER:
        return Gate(spec.fact, spec.label, None, TradingState.UNKNOWN, SafeText("not read yet"))
    if reading.outcome is Outcome.FAILED:
        why = SafeText(f"cannot be read: {reading.error}")
        return Gate(spec.fact, spec.label, None, TradingState.UNKNOWN, why)
    if reading.age(now) > reading.stale_after:
        why = SafeText(f"last answer {reading.age(now):.0f} s ago")
        return Gate(spec.fact, spec.label, raw_word(reading), TradingState.UNKNOWN, why)
    if reading.outcome is Outcome.MISSING:
        return Gate(spec.fact, spec.label, None, spec.missing, SafeText(spec.missing_note))
    if reading.quality(now) not in (Quality.FRESH, Quality.AGEING):
        why = SafeText("its own timestamp cannot be trusted")
        return Gate(spec.fact, spec.label, raw_word(reading), TradingState.UNKNOWN, why)
    word = raw_word(reading)
    state, why = _meaning(spec, word), SafeText(f"reads {word}")
    idle = SafeText(spec.idle) if state is TradingState.HALTED else NO_TEXT
    return Gate(spec.fact, spec.label, word, state, why, idle)


def _heard(reading: Reading[Any]) -> Instant:
    """When the source last really said something about it."""
    if reading.outcome is Outcome.FAILED and reading.last_good is not None:
        return reading.last_good.at
    return reading.received


def _meaning(spec: GateSpec, word: SafeText | None) -> TradingState:
    if word in spec.halted:
        return TradingState.HALTED
    return TradingState.TRADING if word in spec.trading else TradingState.UNKNOWN


def _roll_up(stack: Stack, gates: tuple[Gate, ...]) -> tuple[TradingState, SafeText]:
    if not gates:
        return TradingState.NO_HALT_PATH, SafeText("nothing in this stack can halt trading")
    first = TradingState.TRADING if stack.is_several else TradingState.HALTED
    for wanted in (first, TradingState.UNKNOWN):
        deciding = [gate for gate in gates if gate.state is wanted]
        if deciding:
            return wanted, _because(deciding, _stopped(stack, gates))
    if stack.is_several:
        return TradingState.HALTED, _because(gates)
    return TradingState.TRADING, SafeText(f"all {len(gates)} gates allow trading")


def _stopped(stack: Stack, gates: tuple[Gate, ...]) -> list[str]:
    """Of several traders those that somebody has halted: what is not must not hide behind them."""
    return [
        f"{gate.label} halted"
        for spec, gate in zip(stack.gates, gates, strict=True)
        if stack.is_several and spec.latches and gate.state is TradingState.HALTED
    ]


def _because(deciding: Iterable[Gate], stopped: Sequence[str] = ()) -> SafeText:
    form = "{} not confirmed stopped ({})" if stopped else "{} {}"
    return SafeText("; ".join((*stopped, *(form.format(gate.label, gate.because) for gate in deciding))))


def _conflict(stack: Stack, gates: tuple[Gate, ...], readings: Readings, now: Instant) -> SafeText | None:
    by_fact = {gate.fact: gate for gate in gates}
    specs = {spec.fact: spec for spec in stack.gates}
    for echo in stack.echoes:
        gate, reading = by_fact.get(echo.gate), readings.get(echo.fact)
        if gate is None or reading is None:
            continue
        if reading.quality(now) not in (Quality.FRESH, Quality.AGEING):
            continue
        word = raw_word(reading)
        said = _meaning(specs[echo.gate], word)
        known = (TradingState.TRADING, TradingState.HALTED)
        if gate.state in known and said in known and said is not gate.state and _both_settled(echo, readings):
            read = "is missing" if gate.raw is None else f"reads {gate.raw}"
            return SafeText(f"{gate.label} {read}, but {echo.label} says {word}")
    return None


def _both_settled(echo: EchoSpec, readings: Readings) -> bool:
    """Whether each was asked after the other last changed, so that they speak of the same time."""
    one, two = readings[echo.gate], readings[echo.fact]
    return _asked_after(one, two.changed) and _asked_after(two, one.changed)


def _asked_after(reading: Reading[Any], changed: Instant | None) -> bool:
    return changed is None or reading.received.mono > changed.mono + ECHO_SLACK
