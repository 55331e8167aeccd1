"""Nothing acts without a permit, and a plan holds what will be done to its hash."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.entry import Kind
from backends.model.action import HttpCall
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure, Verdict
from backends.model.stack import Environment
from backends.model.substitution import fill, fill_path, names_in, values_of
from backends.procedures.permit import Permit, arm
from backends.procedures.plan import make_plan
from backends.procedures.preflight import preflight
from backends.procedures.runner import Procedures
from tests.building import failed, later, missing, ok
from tests.building import stack as built
from tests.sim.virtual import VirtualClock, simulate
from tests.sim.world import HALT, KIM, RUNG_2, Paper, Reader, Service, World, intent, tiny_stack

NOW = Instant(1000.0, 1_790_000_000.0)


def test_a_permit_is_made_by_arming_and_by_nothing_else() -> None:
    assert isinstance(arm(KIM, is_watch=False), Permit)
    with pytest.raises(TypeError, match="arm"):
        Permit(object(), KIM)


def test_in_watch_mode_a_procedure_is_refused_journalled_and_touches_nothing() -> None:
    world, paper, runs = World(), Paper(), []
    made = Procedures(
        tiny_stack(), arm(KIM, is_watch=True), {}, Reader(world), paper, VirtualClock(), runs.append
    )
    run = simulate(made.execute(intent()))
    assert run.verdict is Verdict.REFUSED
    assert "only watches" in run.sentence
    assert (world.calls, world.looks) == ([], [])
    ((_, entry),) = paper.entries
    assert (entry.kind, entry.operation, entry.procedure) == (Kind.REFUSED, "op-1", "halt")
    assert runs == [run]


def test_writers_without_a_permit_are_a_mistake_that_does_not_start() -> None:
    world = World()
    with pytest.raises(ValueError, match="armed"):
        Procedures(
            tiny_stack(), None, {"redis": Service(world, "redis")}, Reader(world), Paper(), VirtualClock(),
            lambda run: None,
        )  # fmt: skip


def plan_hash(procedure: Procedure = HALT, at: Instant = NOW, **changes: Any) -> str:
    stack = changes.pop("stack", tiny_stack())
    return make_plan(replace(intent(), **changes), procedure, stack, at).hash


def test_the_same_deed_has_the_same_hash_whoever_asks_and_when() -> None:
    other = replace(KIM, user="lee")
    assert plan_hash() == plan_hash(at=later(100, NOW), id="op-2", operator=other, reason="other")


def test_another_deed_another_address_or_another_target_has_another_hash() -> None:
    redis = replace(tiny_stack().sources["redis"], url="redis://127.0.0.1:2/0")
    elsewhere = replace(tiny_stack(), sources={**tiny_stack().sources, "redis": redis})
    live = replace(tiny_stack(), environment=Environment.LIVE)
    shorter = replace(HALT, steps=HALT.steps[:1])
    hashes = {
        plan_hash(), plan_hash(stack=elsewhere), plan_hash(stack=live), plan_hash(shorter),
        plan_hash(params={"symbol": "AAPL"}), plan_hash(params={"symbol": "MSFT"}),
    }  # fmt: skip
    assert len(hashes) == 6


def test_a_step_that_lacks_a_value_does_not_keep_the_plan_from_being_made() -> None:
    step = replace(RUNG_2, action=HttpCall("orchestrator", "POST", "/$nobody"))
    plan = make_plan(intent(), replace(HALT, steps=(HALT.steps[0], step)), tiny_stack(), NOW)
    assert [len(ladder.rungs) for ladder in plan.ladders] == [2]


def test_values_are_the_intents_own_and_a_parameter_cannot_pose_as_one() -> None:
    values = values_of(replace(intent(), params={"operator": "mallory", "symbol": "AAPL"}), NOW)
    assert values["operator"] == "kim"
    assert values["symbol"] == "AAPL"
    assert values["now"] == "2026-09-21T14:13:20.000000+00:00"
    assert values["details"] is None


def test_a_name_alone_becomes_the_value_and_inside_a_text_its_words() -> None:
    values = {"now": "T", "details": None, "n": 3, "o": {"a": 1}}
    template = {"a": "$details", "b": ["$n", "$o", "at $now: $n", "$$5"], "c": 7, "d": None}
    assert fill(template, values) == {"a": None, "b": [3, {"a": 1}, "at T: 3", "$5"], "c": 7, "d": None}
    assert names_in(template) == {"details", "n", "o", "now"}
    with pytest.raises(ValueError, match=r"\$missing"):
        fill({"x": "$missing"}, values)


def test_a_value_is_not_filled_in_again() -> None:
    assert fill("$reason by $operator", {"reason": "$operator", "operator": "kim"}) == "$operator by kim"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_change_the_path_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="path"):
        fill_path("/orders/$order/cancel", {"order": value})


def board(**readings: Any) -> Board:
    trading: Any = None
    return Board("tiny", 7, NOW, Environment.PAPER, readings, {}, trading)


def test_what_is_known_is_told_with_its_age_and_never_blocks() -> None:
    stack = built()
    halt = replace(HALT, shows=("loss", "nowhere"))
    at = later(2.2)
    seen = board(
        **{"kill.state": ok("kill.state", "ACTIVE"), "breaker.state": missing("breaker.state"),
           "loss": failed("loss", why="refused")}
    )  # fmt: skip
    known = {each.fact: each for each in preflight(stack, halt, seen, at)}
    assert list(known) == ["kill.state", "orchestrator.kill", "breaker.state", "loss"]
    assert known["kill.state"].as_record() == {
        "fact": "kill.state", "value": "ACTIVE", "quality": "ageing", "age": 2.2,
    }  # fmt: skip
    assert known["orchestrator.kill"].text == "not read yet"
    assert known["breaker.state"].text == "missing"
    assert known["loss"].text == "not readable: refused"
    assert all(each.age is None for each in preflight(stack, halt, None, at))
