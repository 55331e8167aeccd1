"""How long what a person confirmed counts: as long as its checklist says, and for its own sentence alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from backends.checks.attestation import attested
from backends.model.check import Checklist, ChecklistItem
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.examination import Answer, answer_of, states, together
from backends.model.safetext import SafeText
from backends.model.weigh import Standing, Weighed
from tests.building import stack

NEW_YORK = ZoneInfo("America/New_York")
SENTENCE = "I looked at the calendar."
LIST = Checklist(
    "morning",
    "Morning",
    "daily",
    (ChecklistItem("calendar", attest=SENTENCE), ChecklistItem("up", check="up")),
    zone="America/New_York",
)


def at(text: str) -> Instant:
    """A time of the desk's own clock in New York."""
    return Instant(0.0, datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp())


def record(when: Instant, *, verdict: str = "attested", text: str = SENTENCE, **more: Any) -> dict[str, Any]:
    targets = ["morning"] if verdict == "reset" else ["morning", "calendar"]
    return {
        "kind": "attest", "stack": "tiny", "at": when.iso(), "verdict": verdict, "text": text,
        "targets": targets, "operator": {"user": "kim", "uid": 1000}, **more,
    }  # fmt: skip


def counts(records: list[dict[str, Any]], now: str, **changes: Any) -> bool:
    desk = stack(checklists={"morning": replace(LIST, **changes)})
    return ("morning", "calendar") in attested(records, desk, at(now))


@pytest.mark.parametrize(
    ("kept", "last", "first_not"),
    [
        ("day", "2026-09-22T23:59", "2026-09-23T00:00"),
        ("week", "2026-09-27T23:59", "2026-09-28T00:00"),
        ("month", "2026-09-30T23:59", "2026-10-01T00:00"),
        ("reset", "2027-09-22T08:00", None),
    ],
)
def test_it_counts_until_its_period_is_over_where_the_desk_is(
    kept: str, last: str, first_not: str | None
) -> None:
    said = [record(at("2026-09-22T08:00"))]
    assert counts(said, last, kept=kept)
    assert first_not is None or not counts(said, first_not, kept=kept)


def test_it_counts_no_more_after_a_reset_and_again_when_it_is_said_again() -> None:
    said = [record(at("2026-09-22T08:00")), record(at("2026-09-22T08:05"), verdict="reset")]
    assert not counts(said, "2026-09-22T08:10")
    assert counts([*said, record(at("2026-09-22T08:06"))], "2026-09-22T08:10")


@pytest.mark.parametrize(
    "change",
    [
        {"text": "I looked at another calendar."},
        {"stack": "other"},
        {"kind": "note"},
        {"targets": ["morning", "up"]},
        {"targets": "morning"},
        {"at": "yesterday"},
    ],
    ids=str,
)
def test_what_says_something_else_confirms_nothing(change: dict[str, Any]) -> None:
    assert not counts([record(at("2026-09-22T08:00")) | change], "2026-09-22T08:10")


def test_a_confirmation_from_the_future_does_not_count() -> None:
    assert not counts([record(at("2026-09-22T09:00"))], "2026-09-22T08:10")


@pytest.mark.parametrize(
    ("standings", "answer"),
    [
        ((Standing.HOLDS, Standing.HOLDS), Answer.YES),
        ((Standing.HOLDS, Standing.FAILS, Standing.UNKNOWN), Answer.NO),
        ((Standing.HOLDS, Standing.UNKNOWN), Answer.UNKNOWN),
        ((Standing.HOLDS, Standing.STALE), Answer.UNKNOWN),
        ((), Answer.UNKNOWN),
    ],
    ids=str,
)
def test_all_must_hold_and_one_that_does_not_decides(standings: tuple[Standing, ...], answer: Answer) -> None:
    demand = Condition("1", "kill.state", "because")
    assert answer_of(Weighed(demand, it, SafeText("reads so")) for it in standings) is answer


def test_an_item_nobody_ticked_is_not_passed() -> None:
    assert [it.answer for it in states(LIST, {}, {})] == [Answer.UNKNOWN, Answer.UNKNOWN]
    assert together([Answer.YES, Answer.UNKNOWN]) is Answer.UNKNOWN
    assert together([Answer.UNKNOWN, Answer.NO]) is Answer.NO
    assert together([]) is Answer.UNKNOWN
