"""Rows of containers, risk keys and alerts: nothing unknown looks good, nothing failed looks like zero."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.model.board import SERVICE
from backends.model.clock import Instant
from backends.model.fact import Level
from backends.model.reading import Good, Outcome
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Usage
from tests.pilot import scenes, world
from tests.pilot.world import FACTS, STACK, reading, service, with_readings
from tui.presenters import alerts, containers, facts
from tui.presenters.containers import Sort
from widgets.row import Heading, Row

NOW = Instant(1000.0, 1_790_000_000.0)
GOOD_ROLES = {"state-ok", "state-allowed"}
WIDTHS = (30, 60, 120)


def rows_of(*parts: Any) -> tuple[Row, ...]:
    """The rows of containers, without the summary."""
    return containers.ServiceTable().draw(*parts)[0]


def row_of(key: str, board: object, width: int = 120) -> Row:
    rows = facts.FactTable().draw(STACK, board, NOW, width)[0]
    return next(row for row in rows if isinstance(row, Row) and row.key == key)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scene", sorted(scenes.SCENES))
def test_rows_that_were_kept_are_those_that_would_be_made(scene: str, width: int) -> None:
    table, board = facts.FactTable(), scenes.SCENES[scene](NOW)
    shifted = {
        key: replace(it, changed=NOW, observed_lag=1.0, max_age=3.0 + number % 7)
        for number, (key, it) in enumerate(board.readings.items())
        if number % 3 == 0
    }
    board = replace(board, readings={**board.readings, **shifted})
    for tenths in range(0, 400, 3):
        now = Instant(NOW.mono + tenths / 10, NOW.wall + tenths / 10)
        if tenths % 10 == 0:  # asked again, with the same answers to most
            again = {key: replace(it, received=now) for key, it in board.readings.items()}
            again["kill.state"] = reading("kill.state", now, f"word {tenths}", changed=now)
            board = replace(board, readings=again if tenths < 200 else {**again, **shifted})
        assert table.draw(STACK, board, now, width) == facts.FactTable().draw(STACK, board, now, width)
    other = scenes.SCENES["halted" if scene != "halted" else "fresh"](now)
    assert table.draw(STACK, other, now, width) == facts.FactTable().draw(STACK, other, now, width)


@pytest.mark.parametrize("scene", sorted(scenes.SCENES))
def test_services_that_were_kept_are_those_that_would_be_made(scene: str) -> None:
    table, board = containers.ServiceTable(), scenes.SCENES[scene](NOW)
    services = [key for key in board.readings if key.startswith(SERVICE)]
    for step in range(240):
        now = Instant(NOW.mono + step * 0.7, NOW.wall + step * 0.7)
        if (
            step % 3 == 0 and step < 120
        ):  # asked again: one uses more, the others the same; later none answers
            again = {key: replace(board.readings[key], received=now) for key in services[step % 2 :]}
            trails = {key: (*board.trails.get(key, ())[-8:], float(step)) for key in again}
            board = replace(board, readings={**board.readings, **again}, trails={**board.trails, **trails})
        for sort in (Sort.WORST, Sort.NAME):
            drawn = table.draw(STACK, board, now, sort)
            assert drawn == containers.ServiceTable().draw(STACK, board, now, sort)
        same = table.draw(STACK, board, now)[0]
        assert all(one is other for one, other in zip(same, table.draw(STACK, board, now)[0], strict=True))


def test_a_service_that_says_the_same_again_keeps_its_row_and_else_has_a_new_one() -> None:
    table, board = containers.ServiceTable(), scenes.fresh(NOW)
    key = next(key for key, it in board.readings.items() if key.startswith(SERVICE) and it.value is not None)
    said = board.readings[key].value
    board = replace(board, trails={key: (*[3.0] * 40, None, *[5.0] * 9)})

    def drawn(service: object = said, trail: tuple[float | None, ...] = board.trails[key]) -> Row:
        """After another second in which it was asked."""
        nonlocal now
        now = Instant(now.mono + 1.0, now.wall + 1.0)
        again = {name: replace(it, received=now) for name, it in board.readings.items()}
        again[key] = replace(again[key], value=service)
        it = replace(board, readings=again, trails={**board.trails, key: trail})
        rows = table.draw(STACK, it, now)[0]
        assert rows == containers.ServiceTable().draw(STACK, it, now)[0]
        return next(row for row in rows if row.key == key)

    now = NOW
    first = drawn()
    assert drawn(replace(said), (1.0, *board.trails[key])) is first
    assert drawn(replace(said, usage=replace(said.usage, cpu=77.0))) != first
    assert drawn(trail=(*board.trails[key][1:], 9.0)) != first
    assert "–" in texts(drawn(trail=(None, 0.0)))
    assert texts(drawn(trail=(7.0, *[0.0] * 9))) != texts(drawn(trail=(0.0,) * 10))


def texts(row: Row) -> list[str]:
    return [str(cell.text) for cell in row.cells]


BAD = {
    "failed": {"outcome": Outcome.FAILED, "error": SafeText("connection refused")},
    "never": {"outcome": Outcome.NEVER},
    "missing": {"outcome": Outcome.MISSING},
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("key", FACTS)
def test_a_fact_that_was_not_had_is_never_green_never_zero_never_blank(
    key: str, how: str, width: int
) -> None:
    board = with_readings(world.fresh(NOW), reading(key, NOW, last_good=None, **BAD[how]))
    row = row_of(key, board, width)
    value = row.cells[2]
    assert str(value.text).strip()
    assert value.text not in ("0", "false", "0.0", "–")
    if key not in [gate.fact for gate in board.trading.gates] or how != "missing":
        assert not {cell.role for cell in row.cells[2:]} & GOOD_ROLES


@given(age=st.floats(min_value=0, max_value=1e6), key=st.sampled_from(sorted(FACTS)))
def test_a_value_is_shown_as_good_only_while_it_is_fresh(age: float, key: str) -> None:
    board = world.fresh(NOW)
    old = board.readings[key]
    moved = replace(old, received=Instant(NOW.mono - age, NOW.wall - age))
    row = row_of(key, with_readings(board, moved))
    if age > moved.stale_after:
        assert not {cell.role for cell in row.cells} & GOOD_ROLES
        assert row.cells[0].text != "·"
        assert "STALE" in " ".join(texts(row))


def test_a_halted_gate_shows_our_word_and_the_platforms_own() -> None:
    board = scenes.halted(NOW)
    assert "TRADING HALTED" in texts(row_of("kill.state", board, 120))
    assert "ENGAGED" in texts(row_of("kill.state", board, 120))
    assert texts(row_of("kill.state", board, 60))[2] == "HALTED ENGAGED"
    assert texts(row_of("kill.state", board, 30))[2] == "HALTED ENGAGED"


@pytest.mark.parametrize("width", WIDTHS)
def test_where_only_nothing_runs_the_word_for_a_halt_is_not_used(width: int) -> None:
    board = scenes.halted(NOW)
    gates = tuple(replace(gate, idle=SafeText("none runs")) for gate in board.trading.gates)
    told = texts(row_of("kill.state", replace(board, trading=replace(board.trading, gates=gates)), width))
    assert told[2] == "none runs"
    assert not any("HALTED" in text for text in told)


def test_the_last_good_value_stands_beside_its_failure() -> None:
    row = row_of("orders.open", scenes.failed(NOW))
    assert "was 14" in texts(row)
    assert "FAILED 12s" in texts(row)
    assert "14" not in texts(row)


def test_a_last_good_value_is_let_go_after_five_minutes() -> None:
    good = Good(14, Instant(NOW.mono - 301, NOW.wall - 301))
    failed = reading("orders.open", NOW, outcome=Outcome.FAILED, error=SafeText("no"), last_good=good)
    row = row_of("orders.open", with_readings(world.fresh(NOW), failed))
    assert "14" not in " ".join(texts(row))


def test_groups_keep_the_order_of_the_stack_file_and_name_their_worst() -> None:
    rows = facts.FactTable().draw(STACK, scenes.failed(NOW), NOW, 120)[0]
    headings = [row for row in rows if isinstance(row, Heading)]
    assert [str(row.title) for row in headings][:3] == ["kill switch", "circuit breaker", "reconciliation"]
    assert headings[0].note == "3 UNKNOWN"
    assert headings[2].note == ""


def test_thresholds_colour_a_value_and_say_so_in_its_sign() -> None:
    board = with_readings(world.fresh(NOW), reading("pnl.drawdown", NOW, 5.1))
    row = row_of("pnl.drawdown", board)
    assert (row.cells[0].text, row.cells[2].role) == ("■", "state-bad")


def test_a_value_that_changed_a_moment_ago_is_marked() -> None:
    changed = replace(reading("orders.open", NOW, 15), changed=Instant(NOW.mono - 2, NOW.wall - 2))
    assert row_of("orders.open", with_readings(world.fresh(NOW), changed)).cells[2].is_changed
    long_ago = replace(changed, changed=Instant(NOW.mono - 20, NOW.wall - 20))
    assert not row_of("orders.open", with_readings(world.fresh(NOW), long_ago)).cells[2].is_changed


STATES = [(state, health) for state in RunState for health in Health]


@pytest.mark.parametrize(("state", "health"), STATES, ids=lambda it: it.name)
def test_only_a_running_healthy_container_looks_healthy(state: RunState, health: Health) -> None:
    key = SERVICE + "redis"
    it = service("redis", NOW, state=state, health=health, exit_code=1)
    board = with_readings(world.fresh(NOW), reading(key, NOW, it))
    row = next(row for row in rows_of(STACK, board, NOW) if row.key == key)
    is_healthy = state is RunState.RUNNING and health is Health.HEALTHY
    assert (row.cells[2].role in GOOD_ROLES) is is_healthy
    assert str(row.cells[2].text).strip()


def test_a_container_without_a_check_says_so() -> None:
    row = next(row for row in rows_of(STACK, world.fresh(NOW), NOW) if row.key.endswith("prometheus"))
    assert row.cells[2].text == "no check"


def test_use_that_was_not_measured_yet_is_a_question_and_not_nought() -> None:
    key = SERVICE + "redis"
    board = with_readings(world.fresh(NOW), reading(key, NOW, service("redis", NOW, usage=Usage())))
    row = next(row for row in rows_of(STACK, board, NOW) if row.key == key)
    assert (row.cells[5].text, row.cells[6].text, row.cells[11].text) == ("?", "?", "?")


def test_an_absent_container_is_bad_unless_it_may_be_absent() -> None:
    key = SERVICE + "alert_worker"
    board = with_readings(world.fresh(NOW), reading(key, NOW))
    assert next(row for row in rows_of(STACK, board, NOW) if row.key == key).cells[2].text == "ABSENT"
    specs = tuple(replace(spec, is_required=spec.name != "alert_worker") for spec in STACK.services)
    stack = replace(STACK, services=specs)
    rows = rows_of(stack, board, NOW)
    assert rows[-1].key == key
    assert rows[-1].cells[2].text == "not used"


def test_the_worst_come_first_and_equals_keep_their_order() -> None:
    found = [
        item.level
        for item in containers.ordered(containers.items(STACK, scenes.failed(NOW), NOW), Sort.WORST)
    ]
    assert found[:3] == [Level.CRIT] * 3
    assert found[3:5] == [Level.UNKNOWN] * 2
    names = [row.key for row in rows_of(STACK, world.fresh(NOW), NOW, Sort.WORST)]
    assert names == [SERVICE + spec.name for spec in STACK.services]


def test_memory_that_is_not_known_sorts_below_every_number() -> None:
    key = SERVICE + "signal_service"
    board = with_readings(world.fresh(NOW), reading(key, NOW, service("signal_service", NOW, usage=Usage())))
    assert rows_of(STACK, board, NOW, Sort.MEMORY)[-1].key == key


def test_no_alarms_is_claimed_only_when_everything_answers() -> None:
    assert "every source answers" in alerts.empty(world.fresh(NOW), NOW)
    assert "not known yet" in alerts.empty(world.never(NOW), NOW)
    failed = replace(scenes.failed(NOW), alarms=())
    assert "does not answer" in alerts.empty(failed, NOW)
    late = Instant(NOW.mono + 6, NOW.wall + 6)
    assert "NOT KNOWN" in alerts.empty(world.fresh(NOW), late)


def test_hostile_names_become_one_row_each_with_keys_of_their_own() -> None:
    board = scenes.hostile(NOW)
    for rows in (
        rows_of(STACK, board, NOW),
        alerts.rows(board, NOW),
        facts.FactTable().draw(STACK, board, NOW, 120)[0],
    ):
        assert len({row.key for row in rows}) == len(rows)
        for row in rows:
            for cell in getattr(row, "cells", ()):
                assert isinstance(cell.text, SafeText)
                assert cell.text.isprintable()


def test_the_sum_above_a_narrow_table_is_whole_down_to_the_unknown() -> None:
    board = with_readings(scenes.failed(NOW), reading("breaker.state", NOW, "TRIPPED"))
    narrow = facts.FactTable().draw(STACK, board, NOW, 29)[1]
    wide = facts.FactTable().draw(STACK, board, NOW, 60)[1]
    numbers = re.findall(r"\d+", wide)
    assert len(numbers) == 3 and wide.endswith(" unknown")
    assert re.findall(r"\d+", narrow) == numbers
    assert "?" in narrow and len(f"2 Risk keys  {narrow}") <= 30
