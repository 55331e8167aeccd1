"""From what a source said to readings: nothing is invented here, and nothing good is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backends.model.board import SERVICE
from backends.model.clock import Instant
from backends.model.fact import Absent, Broken, Fact, Finding, Found
from backends.model.reading import Good, Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Service
from backends.model.stack import Source, SourceKind

Readings = Mapping[str, Reading[Any]]

NOTHING_HERE = "this Docker Engine has no container of the stack: is it the right one?"

_NOT_REPORTED = Broken(SafeText("the source said nothing about it"))


def never(keys: Iterable[tuple[str, Source, float]], now: Instant) -> dict[str, Reading[Any]]:
    """The readings of a session that has not asked anybody yet; each key with its source and period."""
    return {key: Reading(key, source.id, Outcome.NEVER, now, period) for key, source, period in keys}


def ingest_facts(
    asked: Iterable[Fact], findings: Mapping[str, Finding], source: Source, now: Instant, before: Readings
) -> dict[str, Reading[Any]]:
    """One reading for every fact asked; one the source did not mention is FAILED."""
    return {
        fact.id: _reading(fact, findings.get(fact.id, _NOT_REPORTED), source, now, before.get(fact.id))
        for fact in asked
    }


def ingest_services(
    services: Mapping[str, Service | None], source: Source, now: Instant, before: Readings
) -> dict[str, Reading[Any]]:
    """One reading a service, keyed ``service:<name>``. Where a Docker Engine has none at all, each that is
    missing says so: it may be the wrong engine that was asked."""
    out: dict[str, Reading[Any]] = {}
    is_bare = source.kind is SourceKind.DOCKER and not any(services.values())
    why = SafeText(NOTHING_HERE) if is_bare else None
    for name, service in services.items():
        key = SERVICE + name
        outcome = Outcome.OK if service is not None else Outcome.MISSING
        out[key] = answer(
            key, source, source.every, outcome, service, now=now, before=before.get(key), error=why
        )
    return out


def ingest_failure(
    keys: Iterable[str], source: Source, error: SafeText, now: Instant, before: Readings
) -> dict[str, Reading[Any]]:
    """The source did not answer: every key is FAILED, with its last good value kept."""
    out: dict[str, Reading[Any]] = {}
    for key in keys:
        old = before.get(key)
        period = old.period if old is not None else source.every
        out[key] = answer(key, source, period, Outcome.FAILED, None, now=now, before=old, error=error)
    return out


def period_of(fact: Fact, source: Source) -> float:
    """Seconds between two polls of this fact."""
    return fact.every or source.every


def _reading(
    fact: Fact, finding: Finding, source: Source, now: Instant, before: Reading[Any] | None
) -> Reading[Any]:
    period = period_of(fact, source)
    if isinstance(finding, Found):
        lag = None if finding.observed_wall is None else now.wall - finding.observed_wall
        return answer(
            fact.id, source, period, Outcome.OK, finding.value,
            now=now, before=before, observed_lag=lag, max_age=fact.max_age,
        )  # fmt: skip
    if isinstance(finding, Absent):
        return answer(fact.id, source, period, Outcome.MISSING, None, now=now, before=before)
    return answer(fact.id, source, period, Outcome.FAILED, None, now=now, before=before, error=finding.why)


def answer(
    key: str,
    source: Source,
    period: float,
    outcome: Outcome,
    value: Any,
    *,
    now: Instant,
    before: Reading[Any] | None,
    observed_lag: float | None = None,
    max_age: float | None = None,
    error: SafeText | None = None,
) -> Reading[Any]:
    """A reading received at ``now``, with what the one before it is remembered for."""
    is_same = before is not None and before.outcome is outcome and before.value == value
    return Reading(
        key=key,
        source=source.id,
        outcome=outcome,
        received=now,
        period=period,
        value=value,
        observed_lag=observed_lag,
        max_age=max_age,
        error=error,
        last_good=Good(value, now) if outcome is Outcome.OK else (before.last_good if before else None),
        changed=_changed(is_same, before, now),
    )


def _changed(is_same: bool, before: Reading[Any] | None, now: Instant) -> Instant | None:
    if before is None or before.outcome is Outcome.NEVER:
        return None
    return before.changed if is_same else now
