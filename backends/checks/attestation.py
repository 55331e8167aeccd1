"""What a person confirmed: a record of the journal, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backends.journal.entry import Entry, Kind
from backends.model.board import Board
from backends.model.check import Checklist
from backends.model.clock import Instant
from backends.model.examination import Attested
from backends.model.stack import Stack

ATTESTED: Final = "attested"
RESET: Final = "reset"


def attestation(board: Board, checklist: Checklist, item: str, via: str) -> Entry:
    """The record of one item confirmed by the session's operator. KeyError for no such attested item."""
    text = {it.id: it.attest for it in checklist.items if it.attest is not None}[item]
    return Entry(
        Kind.ATTEST, text or "", board.stack, board.environment.value, via=via,
        targets=(checklist.id, item), verdict=ATTESTED,
    )  # fmt: skip


def reset(board: Board, checklist: Checklist, via: str) -> Entry:
    """The record that the whole checklist begins anew."""
    text = f"The checklist begins anew: {checklist.title}"
    return Entry(
        Kind.ATTEST, text, board.stack, board.environment.value, via=via,
        targets=(checklist.id,), verdict=RESET,
    )  # fmt: skip


def attested(
    records: Iterable[Mapping[str, Any]], stack: Stack, now: Instant
) -> dict[tuple[str, str], Attested]:
    """What still counts at ``now``, by checklist and item; ``records`` oldest first.

    A confirmation counts until its checklist's period is over, it is reset, or its sentence is another.
    """
    sentences = {
        (checklist.id, item.id): item.attest
        for checklist in stack.checklists.values()
        for item in checklist.items
        if item.attest is not None
    }
    since = {it.id: began(it, now) for it in stack.checklists.values()}
    found: dict[tuple[str, str], Attested] = {}
    for record in records:
        if record.get("kind") != Kind.ATTEST.value or record.get("stack") != stack.id:
            continue
        match record.get("targets"):
            case [str(checklist)] if record.get("verdict") == RESET:
                found = {key: it for key, it in found.items() if key[0] != checklist}
            case [str(checklist), str(item)] if sentences.get((checklist, item)) == record.get("text"):
                at = _wall(record)
                if at is not None and since[checklist] <= at <= now.wall:
                    found[checklist, item] = Attested(_user(record), at)
    return found


def began(checklist: Checklist, now: Instant) -> float:
    """Epoch seconds at which the checklist's present period began; 0 when only a reset ends it."""
    if checklist.kept == "reset":
        return 0.0
    zone = _zone(checklist.zone)
    day = datetime.fromtimestamp(now.wall, zone).date()
    if checklist.kept == "week":
        day -= timedelta(days=day.weekday())
    if checklist.kept == "month":
        day = day.replace(day=1)
    return datetime.combine(day, time.min, zone).timestamp()


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A host without time zones: the day ends a few hours off, which no safety rests on.
        return UTC


def _wall(record: Mapping[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(str(record.get("at"))).timestamp()
    except ValueError:
        return None


def _user(record: Mapping[str, Any]) -> str:
    operator = record.get("operator")
    return str(operator.get("user", "?")) if isinstance(operator, Mapping) else "?"
