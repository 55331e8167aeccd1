"""What checks, checklists and diagnoses say, in the operator's words; for the screen and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from backends.model.board import SERVICE
from backends.model.check import Check, Checklist, Diagnosis
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.examination import Answer, Attested, Examined, ItemState
from backends.model.stack import Stack
from backends.model.weigh import Standing, Weighed

PASSED: Final = {Answer.YES: "passed", Answer.NO: "failed", Answer.UNKNOWN: "unknown"}
FOUND: Final = {Answer.YES: "found", Answer.NO: "not found", Answer.UNKNOWN: "cannot tell"}

OPEN: Final = "open"
"""What nobody has confirmed yet."""

_MARK: Final = {
    Standing.HOLDS: "so",
    Standing.FAILS: "not so",
    Standing.STALE: "unknown",
    Standing.UNKNOWN: "unknown",
}


def label(stack: Stack, key: str) -> str:
    """What people call a fact or a service."""
    known = stack.facts.get(key)
    return known.label if known is not None else key.removeprefix(SERVICE)


def demanded(condition: Condition) -> str:
    """What must be so, short: ``must read OPEN``, ``at most 10``."""
    return ", ".join(_demands(condition))


def evidence(stack: Stack, weighed: Weighed) -> str:
    """What was read, and what was demanded: ``Kill switch reads ENGAGED (must read ACTIVE)``."""
    return f"{label(stack, weighed.condition.fact)} {_text(weighed)} ({demanded(weighed.condition)})"


def standing(weighed: Weighed) -> str:
    """``so``, ``not so`` or ``unknown``."""
    return _MARK[weighed.standing]


def item_word(state: ItemState) -> str:
    """How an item stands: ``passed``, ``failed``, ``unknown``, ``done`` or ``open``."""
    if state.item.check is not None:
        return PASSED[state.answer]
    return OPEN if state.attested is None else "done"


def item_title(stack: Stack, state: ItemState) -> str:
    """What an item is about: its check's title, or the sentence that a person confirms."""
    check = state.item.check
    return stack.checks[check].title if check is not None else state.item.attest or state.item.id


def confirmed(attested: Attested) -> str:
    """Who confirmed it, and when."""
    return f"{attested.by}, {datetime.fromtimestamp(attested.at, UTC):%Y-%m-%d %H:%M}Z"


def kept(checklist: Checklist) -> str:
    """How long a confirmation counts."""
    if checklist.kept == "reset":
        return "until the checklist is begun anew"
    return f"for this {checklist.kept} ({checklist.zone})"


def mends(stack: Stack, it: Check | Diagnosis) -> str | None:
    """The procedure that mends it, by title and id."""
    if it.procedure is None:
        return None
    return f"{stack.procedures[it.procedure].title} ({it.procedure})"


def why(stack: Stack, examined: Examined) -> list[str]:
    """What was read of the demands that decide: those that do not hold, or all of them when all do."""
    decisive = [it for it in examined.weighed if it.standing is Standing.FAILS]
    decisive = decisive or [it for it in examined.weighed if not it.holds] or list(examined.weighed)
    return [evidence(stack, it) for it in decisive]


def age(examined: Examined, now: Instant) -> float:
    """Seconds since it was run."""
    return max(0.0, now.since(examined.at))


def _text(weighed: Weighed) -> str:
    text = str(weighed.text)
    return f"is {text}" if text.startswith(("missing", "not read")) else text


def _demands(condition: Condition) -> Iterator[str]:
    if condition.equals:
        yield f"must read {' or '.join(condition.equals)}"
    if condition.differs:
        yield f"must not read {' or '.join(condition.differs)}"
    if condition.is_ok:
        yield "must be within its limits"
    if condition.is_missing:
        yield "must not be there"
    if condition.at_most is not None:
        yield f"at most {condition.at_most:g}" if condition.at_most else "must be none"
    if condition.at_least is not None:
        yield f"at least {condition.at_least:g}"
    if condition.max_age is not None:
        yield f"not older than {condition.max_age:g} s"
    if condition.min_age is not None:
        yield f"at least {condition.min_age:g} s ago"
    if condition.where:
        yield f"of {', '.join(f'{column} {text}' for column, text in condition.where.items())}"
