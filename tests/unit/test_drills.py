"""A way of a halt that nobody has practised for a month is an alarm; one drill by it ends that."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.store import Store
from backends.journal.custody import Custody
from backends.journal.drills import DUE, RECORDS, DrillBook, overdue
from backends.journal.entry import Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.model.alarm import Alarm, Priority
from backends.model.board import Board
from backends.model.clock import Instant
from backends.stacks.loader import built_in, load_stack
from tests.building import later, stack
from tests.clock import FakeClock
from tests.sim.world import HALT, KIM

NOW = later(0)


def record(rung: int | None, days: float, **more: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(NOW.wall - days * 86_400.0, UTC).isoformat()
    return {"at": at, "stack": "desk", "procedure": "halt", "verdict": "VERIFIED", "rung": rung, **more}


@pytest.mark.parametrize(
    ("records", "undrilled"),
    [
        ([], [1, 2]),
        ([record(1, 30), record(2, 30)], []),
        ([record(1, 30), record(2, 32)], [2]),
        ([record(2, 32), record(2, 1), record(1, 1)], []),
        ([record(1, 1, verdict="CONTRADICTED"), record(2, 1)], [1]),
        ([record(1, 1, procedure="cancel"), record(2, 1, stack="other")], [1, 2]),
        ([record(None, 1)], [1, 2]),
    ],
    ids=["none", "both", "one long ago", "again since", "it failed", "something else", "by no way"],
)
def test_each_way_has_a_month(tmp_path: Path, records: list[dict[str, Any]], undrilled: list[int]) -> None:
    (tmp_path / RECORDS).write_text("".join(json.dumps(each) + "\n" for each in records))
    book = DrillBook(tmp_path)
    book.load()
    assert book.undrilled("desk", HALT, NOW.wall) == undrilled
    assert DUE == 31 * 86_400


def test_the_alarm_names_the_ways_and_what_to_do() -> None:
    alarm = overdue("desk", HALT, [1, 2], NOW)
    assert alarm.priority is Priority.HIGH  # the middle one of three
    assert str(alarm.title) == "Not drilled for a month: Halt trading, way 1, 2"
    assert "controlroom drill --stack desk halt" in alarm.response


def test_an_overdue_drill_stands_behind_what_is_as_urgent_and_began_since(tmp_path: Path) -> None:
    """A page with a line for each stack shows the first alarm alone, and a small screen three of them."""
    drill, later_on = overdue("desk", HALT, [1], NOW), later(60)
    deaf = replace(drill, id="source:redis", subject="source:redis", since=later_on)
    low = replace(deaf, id="backup", subject="backup", priority=Priority.LOW)

    class Known:
        def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]:
            return (low, deaf, drill)

    clock = FakeClock()
    journal = Journal(tmp_path, Session(KIM, "0.1.0"), clock, Redactor())
    board = Store(stack(), clock, Known(), lambda: None).board
    found = Custody(journal, clock, None).over(Known()).evaluate(board, later_on)
    journal.close()
    assert [alarm.id for alarm in found] == ["source:redis", drill.id, "backup"]


def test_two_ways_of_one_moment_and_one_proof_are_drilled_as_one(tmp_path: Path) -> None:
    """On the desk the order over the bus is sent beside the switch in the file; the container is stopped when
    neither held."""
    book = DrillBook(tmp_path)

    def ways(stack: str) -> list[int]:
        return book.undrilled(stack, load_stack(built_in()[stack]).procedures["halt"], NOW.wall)

    assert ways("hummingbot-desk") == [1, 3]
    assert ways("trading-platform") == [1, 2]
    assert ways("trading-bot") == [1]
