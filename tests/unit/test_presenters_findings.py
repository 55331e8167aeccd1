"""A checklist on the screen: what ticks an item is of the present period, and says how old it is."""

from __future__ import annotations

import pytest
from msgspec import Struct

from backends.model.check import Check
from backends.model.clock import Instant
from backends.model.condition import Condition
from backends.model.examination import Answer, Attestations, Attested, Examined, Results
from tests.building import stack
from tests.unit.test_attestation import LIST, at
from tui.presenters.findings import rows
from widgets.row import Row

UP = Check("up", "It is up", "Morning", (Condition("up", "loss", "It is not up"),), "Start it.")
DESK = stack(checks={"up": UP}, checklists={"morning": LIST})


class Said(Struct, frozen=True):
    results: Results
    attested: Attestations
    running: frozenset[str] = frozenset()


def shown(run: str, now: str) -> list[list[str]]:
    """The rows of the checklist when it was run and confirmed at one time, and is looked at at another."""
    then, present = at(run), at(now)
    there = Instant(present.wall - then.wall, present.wall)
    said = Said(
        {"check:up": Examined("check:up", Answer.YES, (), then)},
        {("morning", "calendar"): Attested("kim", then.wall)},
    )
    found = [row for row in rows(DESK, said, {"checklist:morning"}, there) if isinstance(row, Row)]
    return [[str(cell.text) for cell in row.cells[:3]] for row in found[:3]]


def test_a_list_that_was_done_today_says_how_long_ago() -> None:
    assert shown("2026-09-22T08:00", "2026-09-22T11:00") == [
        ["✓", "done 2/2", "3h"],
        ["✓", "done", ""],
        ["✓", "passed", "3h"],
    ]


@pytest.mark.parametrize("now", ["2026-09-23T00:00", "2026-09-25T09:00"])
def test_what_was_run_and_confirmed_yesterday_ticks_nothing_today(now: str) -> None:
    (listed, calendar, up) = shown("2026-09-22T08:00", now)
    assert listed == ["?", "open 0/2", ""]
    assert calendar[1:] == ["open", ""]
    assert up[1:] == ["unknown", ""]
