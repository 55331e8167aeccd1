"""What the bench says of its numbers: within budget or over, at this machine's pace and beside the peers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tests.bench.table import ROOM, Measure, Results, percentile

BENCH = Path(__file__).parents[1] / "bench"
START = Measure("start", "start to first frame", "ms", 300.0)
MEMORY = Measure("rss", "memory", "MB", 100.0)
BYTES = Measure("bytes", "bytes written", "kB/s")


@pytest.fixture
def results() -> Results:
    """On a machine half as fast as the reference."""
    made = Results(pace=2.0, notes=["btop: not measured: no terminal"])
    made.put(START, ROOM, 450.0)
    made.put(START, "htop", 90.0)
    made.put(START, "glances", 900.0)
    made.put(MEMORY, ROOM, 120.5)
    made.put(MEMORY, "htop", 0.0)
    made.put(BYTES, ROOM, 0.25)
    return made


def test_a_time_is_judged_at_the_machines_pace_and_a_size_is_not(results: Results) -> None:
    assert results.over() == ["memory"]
    results.put(START, ROOM, 600.1)
    assert results.over() == ["start to first frame", "memory"]
    results.pace = 0.5
    results.put(START, ROOM, 300.0)
    assert results.over() == ["memory"], "a faster machine is granted no less than the budget"


def test_the_table_says_budget_verdict_and_the_ratio_to_the_best_peer(results: Results) -> None:
    head, _, start, memory, written, pace, note = results.text().splitlines()
    assert head.split() == [
        "measure",
        "unit",
        "budget",
        "here",
        ROOM,
        "htop",
        "glances",
        "room",
        "/",
        "best",
        "peer",
    ]
    assert start.split()[-8:] == ["ms", "300", "600", "450", "ok", "90.0", "900", "5.00"]
    assert memory.split() == ["memory", "MB", "100", "100", "120", "OVER", "0.00", "-"]
    assert written.split() == ["bytes", "written", "kB/s", "0.25", "-", "-"]
    assert "2.0 times as long as the reference" in pace
    assert note == "btop: not measured: no terminal"


def test_what_is_written_is_the_same_with_the_machine(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    results.write(path)
    said = json.loads(path.read_text())
    assert said["machine"]["pace"] == 2.0
    assert said["notes"] == results.notes
    start, memory, written = said["measures"]
    assert (start["within_budget"], start["within_budget_here"]) == (False, True)
    assert start["values"] == {ROOM: 450.0, "htop": 90.0, "glances": 900.0}
    assert (memory["budget"], memory["within_budget_here"]) == (100.0, False)
    assert (written["budget"], written["within_budget"]) == (None, None)


def test_a_number_that_is_not_there_is_neither_within_its_budget_nor_over() -> None:
    results = Results()
    results.put(START, "htop", 90.0)
    assert results.over() == []
    assert results.within(START, 300.0) is None
    assert results.text().splitlines()[2].split()[-4:] == ["300", "300", "-", "90.0"]


def test_a_percentile_is_one_of_the_numbers() -> None:
    assert percentile([5.0, 1.0, 3.0], 50) == 3.0
    assert percentile([float(number) for number in range(1, 101)], 99) == 99.0
    assert percentile([7.0], 99) == 7.0


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCH.glob("*.py")))
def test_every_part_of_the_bench_can_be_loaded(name: str) -> None:
    importlib.import_module(f"tests.bench.{name}")
