"""The trading state is never better than the worst of its gates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.board.derive import environment, real_money, trading
from backends.model.reading import Good, Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import Environment, GateSpec, ServiceSpec
from backends.model.trading import TradingState
from tests.building import START, fact, failed, later, missing, ok, running, stack

GOOD = {
    "kill.state": ok("kill.state", "ACTIVE"),
    "breaker.state": ok("breaker.state", "OPEN"),
    "orchestrator.kill": ok("orchestrator.kill", "ACTIVE"),
}


def state(**changed):
    readings = {**GOOD, **{key.replace("_", "."): value for key, value in changed.items()}}
    return trading(stack(), readings, START, None)


def test_all_gates_allowing_is_trading():
    assert state().state is TradingState.TRADING


def test_one_halted_gate_halts_whatever_the_others_say():
    engaged = {
        "kill_state": ok("kill.state", "ENGAGED"),
        "orchestrator_kill": ok("orchestrator.kill", "ENGAGED"),
    }
    assert state(**engaged).state is TradingState.HALTED
    assert state(**engaged, breaker_state=failed("breaker.state")).state is TradingState.HALTED
    halted = state(kill_state=failed("kill.state"), breaker_state=ok("breaker.state", "TRIPPED"))
    assert halted.state is TradingState.HALTED
    assert "circuit breaker reads TRIPPED" in halted.because


@pytest.mark.parametrize(
    "bad",
    [
        failed("kill.state"),
        missing("kill.state"),
        ok("kill.state", "active"),
        ok("kill.state", ""),
        ok("kill.state", "HALT"),
        ok("kill.state", "ACTIVE", later(-60)),
        ok("kill.state", "ACTIVE", later(+60)),
    ],
    ids=["failed", "missing", "lower case", "empty", "unknown word", "stale", "from the future"],
)
def test_a_gate_that_cannot_be_trusted_makes_it_unknown(bad):
    assert state(kill_state=bad).state is TradingState.UNKNOWN


def test_before_anything_was_read_it_is_unknown():
    assert trading(stack(), {}, START, None).state is TradingState.UNKNOWN


def test_a_stack_without_gates_has_no_halt_path():
    assert trading(stack(gates=(), echoes=()), {}, START, None).state is TradingState.NO_HALT_PATH


def test_the_state_grows_old_without_any_new_data():
    assert trading(stack(), GOOD, later(2.9), None).state is TradingState.TRADING
    assert trading(stack(), GOOD, later(3.1), None).state is TradingState.UNKNOWN


def test_a_second_source_that_disagrees_is_a_conflict():
    halted = ok("kill.state", "ENGAGED", later(10), changed=later(5))
    echo = ok("orchestrator.kill", "ACTIVE", later(10))
    readings = {**GOOD, "kill.state": halted, "orchestrator.kill": echo}
    readings["breaker.state"] = ok("breaker.state", "OPEN", later(10))
    found = trading(stack(), readings, later(10), None)
    assert found.state is TradingState.CONFLICT
    assert "the orchestrator says ACTIVE" in found.because


@pytest.mark.parametrize("means", [TradingState.HALTED, TradingState.TRADING])
def test_a_switch_that_is_missing_is_contradicted_like_any_other(means: TradingState):
    switch = replace(stack().gates[0], missing=means)
    made = replace(stack(), gates=(switch, *stack().gates[1:]))
    says = "ACTIVE" if means is TradingState.HALTED else "ENGAGED"
    readings = {
        **GOOD,
        "kill.state": missing("kill.state"),
        "orchestrator.kill": ok("orchestrator.kill", says),
    }
    found = trading(made, readings, START, None)
    assert found.state is TradingState.CONFLICT
    assert f"is missing, but the orchestrator says {says}" in found.because
    agrees = {**readings, "orchestrator.kill": ok("orchestrator.kill", "X")}
    assert trading(made, agrees, START, None).state is not TradingState.CONFLICT


def test_an_echo_not_asked_again_since_the_change_is_no_conflict():
    halted = ok("kill.state", "ENGAGED", later(2), changed=later(2))
    readings = {**GOOD, "kill.state": halted}
    assert trading(stack(), readings, later(2), None).state is TradingState.HALTED


def test_since_is_kept_while_the_state_holds():
    first = trading(stack(), GOOD, START, None)
    again = trading(stack(), GOOD, later(1), first)
    assert again.since == START
    changed = trading(stack(), {**GOOD, "kill.state": ok("kill.state", "ENGAGED")}, later(2), again)
    assert changed.since == later(2)


WORDS = st.sampled_from(["ACTIVE", "ENGAGED", "OPEN", "TRIPPED", "", "active", "x"])
READINGS = st.one_of(
    WORDS.map(lambda word: lambda key: ok(key, word)),
    st.just(missing),
    st.just(failed),
    st.floats(-100, 100).map(
        lambda age: lambda key: ok(key, "ACTIVE" if "kill" in key else "OPEN", later(age))
    ),
)


@given(kill=READINGS, breaker=READINGS)
def test_trading_is_said_only_when_every_gate_freshly_says_so(kill, breaker):
    readings = {**GOOD, "kill.state": kill("kill.state"), "breaker.state": breaker("breaker.state")}
    said = trading(stack(), readings, START, None).state
    fresh = all(
        readings[key].value == word and 0 <= readings[key].age(START) <= 3
        for key, word in (("kill.state", "ACTIVE"), ("breaker.state", "OPEN"))
    )
    assert (said is TradingState.TRADING) == fresh


def test_live_evidence_outranks_the_configured_word():
    made = replace(stack(), environment_facts=(("paper", "false", Environment.LIVE),))

    def said(reading):
        return environment(made, real_money(made, {"paper": reading}, START))

    assert said(ok("paper", True)) is Environment.PAPER
    assert said(ok("paper", False)) is Environment.LIVE
    assert said(failed("paper")) is Environment.PAPER


def test_losing_the_evidence_of_live_money_is_no_evidence_of_paper():
    made = replace(
        stack(), environment_facts=(("one", "false", Environment.LIVE), ("two", "false", Environment.LIVE))
    )
    told = frozenset({"one"})
    for lost in (failed("one"), missing("one")):
        assert real_money(made, {"one": lost, "two": ok("two", True)}, START, told) == told
    assert real_money(made, {"two": ok("two", True)}, START, told) == told
    assert real_money(made, {"one": ok("one", True), "two": missing("two")}, START, told) == frozenset()


def test_what_a_service_that_is_known_not_to_run_said_last_is_no_evidence():
    made = replace(
        stack(),
        environment_facts=(("paper", "false", Environment.LIVE),),
        evidence_services={"paper": "trader"},
    )
    live = ok("paper", False)

    def said(*service, at=START):
        return bool(real_money(made, {"paper": live, **{each.key: each for each in service}}, at))

    assert not said(running("trader", RunState.EXITED))
    assert not said(missing("service:trader"))
    for unknown in (running("trader"), running("trader", RunState.UNKNOWN), failed("service:trader")):
        assert said(unknown)
    assert said()
    assert said(running("trader", RunState.EXITED), at=later(60))


@pytest.mark.parametrize("word", ["UNKNOWN", "UNAVAILABLE", ""])
def test_a_second_source_that_does_not_know_is_no_conflict(word):
    readings = {
        "kill.state": ok("kill.state", "ENGAGED", later(10)),
        "breaker.state": ok("breaker.state", "OPEN", later(10)),
        "orchestrator.kill": ok("orchestrator.kill", word, later(10)),
    }
    assert trading(stack(), readings, later(10), None).state is TradingState.HALTED


def test_a_gate_that_fails_says_so_and_its_age_is_that_of_the_last_answer():
    lost = failed("kill.state", later(20), last_good=Good(SafeText("ACTIVE"), START))
    readings = {**GOOD, "kill.state": lost, "breaker.state": ok("breaker.state", "OPEN", later(20))}
    found = trading(stack(), readings, later(30), None)
    assert "cannot be read: timed out" in found.because
    assert found.as_of == START


def test_of_several_traders_of_which_some_are_halted_both_kinds_are_named():
    whole = replace(stack(), is_several=True, echoes=())
    readings = {"kill.state": ok("kill.state", "ENGAGED"), "breaker.state": ok("breaker.state", "OPEN")}
    found = trading(whole, readings, START, None)
    assert found.state is TradingState.TRADING
    assert found.because == "kill switch halted; circuit breaker not confirmed stopped (reads OPEN)"


def bots(**said):
    """Two bots, each a gate of its own with a container behind it."""
    words = {"trading": frozenset({"running"}), "halted": frozenset({"hard_stop"})}
    gates = tuple(
        GateSpec(
            f"{bot}.state",
            bot,
            missing=TradingState.UNKNOWN,
            missing_note="says nothing",
            service=bot,
            **words,
        )
        for bot in ("one", "two")
    )
    facts = {gate.fact: fact(gate.fact) for gate in gates}
    services = tuple(ServiceSpec(bot, (bot,), "orders", "docker") for bot in ("one", "two"))
    desk = stack(gates=gates, echoes=(), facts=facts, services=services, is_several=True, alarms=())
    return trading(desk, {key.replace("_", "."): value for key, value in said.items()}, START, None)


def container(name, state, at=START, ended=0.0):
    """``ended`` seconds after the other words were heard; None when nobody knows when."""
    since = None if ended is None else START.wall + ended
    service = Service(name, Runtime.DOCKER, "id", SafeText(name), state, Health.NO_CHECK, finished_wall=since)
    return Reading(f"service:{name}", "docker", Outcome.OK, at, period=1.0, value=service)


def test_of_several_traders_one_that_trades_is_trading_and_all_must_be_halted():
    run, stop = ok("one.state", "running"), ok("two.state", "hard_stop")
    assert bots(one_state=run, two_state=stop).state is TradingState.TRADING
    assert (
        bots(one_state=failed("one.state"), two_state=ok("two.state", "running")).state
        is TradingState.TRADING
    )
    assert bots(one_state=failed("one.state"), two_state=stop).state is TradingState.UNKNOWN
    halted = bots(one_state=ok("one.state", "hard_stop"), two_state=stop)
    assert (
        halted.state is TradingState.HALTED and halted.because == "one reads hard_stop; two reads hard_stop"
    )


def test_a_trader_whose_container_has_ended_is_halted_whatever_it_said_last():
    run, stop = ok("one.state", "running"), ok("two.state", "hard_stop")
    said = {"one_state": run, "two_state": stop}
    ended = bots(**said, **{"service:one": container("one", RunState.EXITED)})
    assert ended.state is TradingState.HALTED and "one is exited" in ended.because
    assert [str(gate.idle) for gate in ended.gates] == ["exited", ""]
    for doubtful in (container("one", RunState.RUNNING), container("one", RunState.EXITED, later(-60)),
                     container("one", RunState.PAUSED), failed("service:one")):  # fmt: skip
        assert bots(**said, **{"service:one": doubtful}).state is TradingState.TRADING


def test_a_trader_that_is_not_there_is_halted_unless_it_has_spoken_since():
    gone = {"service:one": missing("service:one")}
    speaks = bots(one_state=ok("one.state", "running"), two_state=ok("two.state", "hard_stop"), **gone)
    assert speaks.state is TradingState.TRADING and "(reads running)" in speaks.because
    for ended in (-1.0, None):
        since = {"service:one": container("one", RunState.EXITED, ended=ended)}
        assert (
            bots(one_state=ok("one.state", "running"), two_state=ok("two.state", "hard_stop"), **since).state
            is TradingState.TRADING
        )
    for word in (missing("one.state"), failed("one.state"), ok("one.state", "no such word")):
        assert (
            bots(one_state=word, two_state=ok("two.state", "hard_stop"), **gone).state is TradingState.HALTED
        )
