"""The paper KPIs of the desk, PV-1 to PV-12, each at its very limit and one step past it, read from a
minute.csv by the reader that ships."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from backends.board.ingest import ingest_facts
from backends.model.clock import Instant
from backends.model.examination import Answer, answer_of
from backends.model.weigh import weigh
from backends.readers.files import FilesFactReader
from backends.stacks.loader import built_in, load_stack

STACK = load_stack(built_in()["hummingbot-desk"])
KPIS = [each for each in STACK.checks if each.startswith("kpi-") and each != "kpi-refresh"]
YES, NO = Answer.YES, Answer.NO

ROWS: Final = 1000
EVERY: Final = 80.0
"""Seconds between two rows: a thousand of them are within the 24 hours that count."""
GOOD: Final = {
    "state": "running", "base_pct": "0.50", "target_base_pct": "0.50", "turnover_today_x": "1.2",
    "cancel_per_min": "9", "daily_loss_pct": "0.003", "drawdown_pct": "0.004", "risk_reasons": "",
    "fee_source": "api:bitget:user_fee_query",
}  # fmt: skip

Rows = list[dict[str, str]]


def stamp(ago: float) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).isoformat()


def minutes(rows: int = ROWS, every: float = EVERY, newest: float = 1.0) -> Rows:
    """So many good rows, oldest first, the last ``newest`` seconds ago."""
    return [{"ts": stamp(newest + every * ago), **GOOD} for ago in range(rows - 1, -1, -1)]


def some(number: int, **said: str) -> Rows:
    """Good rows of which so many say that instead."""
    return [{**row, **said} if place < number else row for place, row in enumerate(minutes())]


def changing(times: int) -> Rows:
    """The state changes so often."""
    words = ("running", "soft_pause")
    return [
        {**row, "state": words[min(place, times) % 2]} for place, row in enumerate(minutes())
    ]  # fmt: skip


def measured(hours: float, longest_gap: float = 60.0) -> Rows:
    """A row a minute over so many hours, but for one gap."""
    count = int(hours * 60)
    before = [{"ts": stamp(1.0 + longest_gap + 60.0 * ago), **GOOD} for ago in range(count - 1, -1, -1)]
    return [*before, {"ts": stamp(1.0), **GOOD}]


def put(folder: Path, rows: Rows) -> None:
    path = folder / "data/bot3/logs/epp_v24/bot3_a/minute.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        sheet = csv.DictWriter(file, ["ts", *GOOD])
        sheet.writeheader()
        sheet.writerows(rows)


async def answers(folder: Path, *checks: str) -> dict[str, Answer]:
    """What each check comes to in that folder now."""
    source = replace(STACK.sources["files"], url=f"file://{folder}", deadline=20.0)
    facts = {
        demand.fact: STACK.facts[demand.fact] for each in checks for demand in STACK.checks[each].demands
    }
    now = Instant(1000.0, time.time())
    found = await FilesFactReader(source).read([*facts.values()])
    readings = ingest_facts(facts.values(), found, source, now, {})
    return {
        each: answer_of(
            [weigh(it, facts[it.fact], readings[it.fact], now) for it in STACK.checks[each].demands]
        )
        for each in checks
    }


@pytest.mark.parametrize(
    ("check", "rows", "expected"),
    [
        ("kpi-running", lambda: some(350, state="soft_pause"), YES),
        ("kpi-running", lambda: some(351, state="soft_pause"), NO),
        ("kpi-flapping", lambda: changing(6 * 24), YES),
        ("kpi-flapping", lambda: changing(6 * 24 + 1), NO),
        ("kpi-turnover", lambda: some(1, turnover_today_x="3.0"), YES),
        ("kpi-turnover", lambda: some(1, turnover_today_x="3.0001"), NO),
        ("kpi-loss", lambda: some(1, daily_loss_pct="0.01499"), YES),
        ("kpi-loss", lambda: some(1, daily_loss_pct="0.015"), NO),
        ("kpi-drawdown", lambda: some(1, drawdown_pct="0.02499"), YES),
        ("kpi-drawdown", lambda: some(1, drawdown_pct="0.025"), NO),
        ("kpi-stops", lambda: some(9, state="soft_pause"), YES),
        ("kpi-stops", lambda: some(1, state="hard_stop"), NO),
        ("kpi-cancels", lambda: some(ROWS, cancel_per_min="29"), YES),
        ("kpi-cancels", lambda: some(49, cancel_per_min="30"), YES),
        ("kpi-cancels", lambda: some(50, cancel_per_min="30"), NO),
        ("kpi-fees", lambda: some(500, fee_source="connector:bitget"), YES),
        ("kpi-fees", lambda: some(500, fee_source="project:fee_profiles"), YES),
        ("kpi-fees", lambda: some(1, fee_source="manual:fallback"), NO),
        ("kpi-band", lambda: some(1, risk_reasons="daily_turnover"), YES),
        ("kpi-band", lambda: some(1, risk_reasons="base_pct_below_min"), NO),
        ("kpi-band", lambda: some(1, risk_reasons="daily_turnover|base_pct_above_max"), NO),
        ("kpi-window", lambda: measured(24.1), YES),
        ("kpi-window", lambda: measured(23.9), NO),
        ("kpi-window", lambda: measured(24.5, 299.0), YES),
        ("kpi-window", lambda: measured(24.5, 302.0), NO),
    ],
)
async def test_each_kpi_passes_at_its_limit_and_not_past_it(
    tmp_path: Path, check: str, rows: Callable[[], Rows], expected: Answer
) -> None:
    put(tmp_path, rows())
    assert (await answers(tmp_path, check)) == {check: expected}


@pytest.mark.parametrize(("said", "expected"), [("PASS", YES), ("FAIL", NO), (None, NO)])
async def test_rejects_are_those_the_validator_has_seen(tmp_path: Path, said: Any, expected: Answer) -> None:
    (tmp_path / "reports/paper_soak").mkdir(parents=True)
    if said is not None:
        report = {"ts_utc": stamp(1.0), "status": said}
        (tmp_path / "reports/paper_soak/latest.json").write_text(json.dumps(report))
    assert (await answers(tmp_path, "kpi-rejects")) == {"kpi-rejects": expected}


@pytest.mark.parametrize("rows", [[], minutes(100, newest=27 * 3600.0)], ids=["none", "a day old"])
async def test_without_a_minute_of_the_last_day_no_kpi_passes(tmp_path: Path, rows: Rows) -> None:
    put(tmp_path, rows)
    found = await answers(tmp_path, *KPIS)
    assert [each for each, answer in found.items() if answer is YES] == []


def test_one_checklist_holds_them_all_together_before_capital_is_changed() -> None:
    checklist = STACK.checklists["paper-kpis"]
    assert {item.check for item in checklist.items if item.check} == {*KPIS}
