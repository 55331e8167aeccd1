"""What the stack file of the trading bots says, against that stack's contract."""

from __future__ import annotations

from typing import Any

import pytest

from backends.alarms.rules import Conditions
from backends.board.derive import real_money, trading
from backends.board.ingest import never
from backends.logs.level import LEVELS, LevelFinder
from backends.model.action import Command, RedisUnit, RedisWrite
from backends.model.board import Board, SourceHealth
from backends.model.fact import Level
from backends.model.judge import judge
from backends.model.logline import LogLevel
from backends.model.procedure import RiskClass
from backends.model.safetext import SafeText
from backends.model.service import RunState
from backends.model.stack import Stack
from backends.model.stamp import to_stamp
from backends.model.trading import TradingState
from backends.stacks.loader import built_in, load_stack
from tests.building import START, failed, is_found, missing, ok, running

ORDERS = (
    "full_trading_bot.py", "momentum_trader.py", "rebalancer.py", "coinbase_trading_bot.py",
    "binance_live_test_and_trade.py", "autopilot_green.py", "aggressive_autopilot.py",
    "run_stocks_session.py",
)  # fmt: skip
NONE = ok("orders.live", 0)
ABSENT = missing("unit.trading_bot")
LOOPS = running("trading_bot", RunState.RESTARTING)
WATCHED = ("mode.writers", "halt.erasers", "halt.eraser_processes")


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["trading-bot"])


def state(stack: Stack, mode: Any, live: Any = NONE, unit: Any = ABSENT) -> tuple[TradingState, str]:
    readings = {"mode": mode, "orders.live": live, "unit.trading_bot": unit}
    found = trading(stack, readings, START, None)
    return found.state, str(found.because)


@pytest.mark.parametrize("word", ["HALT", "Halt", "halt ", " halt", "halted", "", "stop"])
def test_only_the_exact_word_is_a_halt(stack: Stack, word: str) -> None:
    """Upstream compares exactly: with any other word both strategies trade."""
    assert state(stack, ok("mode", SafeText(word)))[0] is not TradingState.HALTED


@pytest.mark.parametrize("word", ["auto", "paper", "manual", "normal", "test", "failover"])
def test_every_word_upstream_writes_but_one_is_trading(stack: Stack, word: str) -> None:
    assert state(stack, ok("mode", SafeText(word)))[0] is TradingState.TRADING


def test_without_the_key_nothing_is_halted(stack: Stack) -> None:
    assert state(stack, missing("mode"))[0] is TradingState.UNKNOWN


@pytest.mark.parametrize(
    ("live", "expected", "said"),
    [
        (
            NONE,
            TradingState.HALTED,
            "strategies reads halt; live order processes reads 0; trading_bot is not installed",
        ),
        (
            ok("orders.live", 2),
            TradingState.TRADING,
            "strategies halted; live order processes not confirmed stopped (reads 2)",
        ),
        (
            failed("orders.live"),
            TradingState.UNKNOWN,
            "strategies halted; live order processes not confirmed stopped (cannot be read: timed out)",
        ),
        (
            ok("orders.live", 99),
            TradingState.UNKNOWN,
            "strategies halted; live order processes not confirmed",
        ),
    ],
)
def test_the_halt_is_complete_only_without_live_order_processes(
    stack: Stack, live: Any, expected: TradingState, said: str
) -> None:
    found, because = state(stack, ok("mode", SafeText("halt")), live)
    assert found is expected
    assert because.startswith(said)


@pytest.mark.parametrize(
    ("unit", "expected", "said"),
    [
        (ok("unit.trading_bot", "inactive"), TradingState.HALTED, "trading_bot reads inactive"),
        (ok("unit.trading_bot", "failed"), TradingState.HALTED, "trading_bot reads failed"),
        *(
            (ok("unit.trading_bot", word), TradingState.TRADING, f"not confirmed stopped (reads {word})")
            for word in ("active", "activating", "deactivating", "reloading")
        ),
        (ok("unit.trading_bot", "maintenance"), TradingState.UNKNOWN, "(reads maintenance)"),
        (failed("unit.trading_bot"), TradingState.UNKNOWN, "(cannot be read: timed out)"),
    ],
)
def test_the_halt_is_complete_only_once_the_unit_that_reads_no_mode_is_stopped(
    stack: Stack, unit: Any, expected: TradingState, said: str
) -> None:
    found, because = state(stack, ok("mode", SafeText("halt")), unit=unit)
    assert found is expected
    assert because.endswith(said)
    assert because.startswith(("strategies halted; trading_bot not confirmed stopped (", "strategies reads"))


@pytest.mark.parametrize(("count", "word"), [(0, "none runs"), (2, "")])
def test_no_live_order_process_is_no_halt(stack: Stack, count: int, word: str) -> None:
    readings = {"mode": ok("mode", SafeText("auto")), "orders.live": ok("orders.live", count)}
    gates = trading(stack, readings, START, None).gates
    assert [str(gate.idle) for gate in gates] == ["", word, ""]


def test_every_program_that_can_send_orders_is_looked_for(stack: Stack) -> None:
    for fact in ("orders.live", "orders.processes", "env.exec_live", "env.dry_off"):
        assert set(getattr(stack.facts[fact].query, "target", "").split("|")) == set(ORDERS)


def test_whatever_writes_the_mode_is_watched_and_what_erases_a_halt_can_be_ended(stack: Stack) -> None:
    writers = {
        "ops_bot/bot.py", "panic_button.py", "slack_panic_webhook.py", "dashboard_server.py",
        "incident_sop.py", "pilot_governance", "cutover_canary.py", "recon_daemon.py",
        "market_hours_guard_daemon.py",
    }  # fmt: skip
    erasers = {
        "feature_quality_gate.py", "production_rl_health_checker.py", "simple_working_dashboard.py",
        "enable_equities_safe.sh", "final_system_validation.py", "test_replay_acceptance.py",
    }  # fmt: skip
    looked = {fact: set(getattr(stack.facts[fact].query, "target", "").split("|")) for fact in WATCHED}
    assert looked == {WATCHED[0]: writers | erasers, WATCHED[1]: erasers, WATCHED[2]: erasers}
    (chosen,) = stack.procedures["stop-eraser"].params
    assert chosen.fact == WATCHED[2]


def test_what_sends_real_orders_makes_the_environment_live(stack: Stack) -> None:
    assert not real_money(stack, {"orders.live": NONE}, START)
    for count in range(1, 17):
        reading = {"orders.live": ok("orders.live", count)}
        assert real_money(stack, reading, START)
        assert state(stack, ok("mode", SafeText("halt")), reading["orders.live"])[0] is TradingState.TRADING
    assert real_money(stack, {"env.exec_live": ok("env.exec_live", True)}, START)


@pytest.mark.parametrize(
    ("reading", "alarm", "cause"),
    [
        (ok("mode", SafeText("failover")), "mode-failover", "dashboard"),
        (missing("mode"), "mode-erased", "feature_quality_gate"),
        (ok("mode", SafeText("normal")), "mode-normal", "panic"),
        (ok("mode", SafeText("test")), "mode-test", "test"),
        (ok("mode", SafeText("HALT")), "mode-unknown", "typing error"),
        (ok("mode", SafeText("paper")), "mode-same-as-auto", "Slack"),
        (ok("mode", SafeText("auto")), None, ""),
        (ok("mode", SafeText("halt")), "mode-halted", "Halt reason"),
    ],
)
def test_a_mode_that_is_not_auto_is_one_alarm_that_names_who_likely_did_it(
    stack: Stack, reading: Any, alarm: str | None, cause: str
) -> None:
    readings = never([(key, stack.sources[fact.source], 1.0) for key, fact in stack.facts.items()], START)
    readings["mode"] = reading
    sources = {name: SourceHealth(name, SafeText(name), True, START) for name in stack.sources}
    known = trading(stack, readings, START, None)
    board = Board(stack.id, 1, START, stack.environment, readings, sources, known)
    told = [each for each in Conditions(stack, START).on(board, START) if each.subject == "mode"]
    assert [each.id for each in told] == ([alarm] if alarm else [])
    assert all(cause in each.cause for each in told)


@pytest.mark.parametrize(
    ("fact", "value", "level"),
    [
        ("capital.effective", 0.4, Level.OK),
        ("capital.effective", 0.15, Level.WARN),
        ("capital.effective", 20000.0, Level.CRIT),
        ("risk.drawdown", -0.07, Level.CRIT),
        ("risk.drawdown", 0.06, Level.CRIT),
        ("risk.drawdown", -0.012, Level.OK),
        ("influence.pct", 0.0, Level.OK),
        ("influence.pct", 5.0, Level.WARN),
        ("influence.pct", 10.9, Level.CRIT),
        ("recon.diff", 0.26, Level.CRIT),
        ("redis.memory", 2**30 - 1, Level.OK),
        ("redis.memory", 2**30, Level.CRIT),
        ("slo.tier", SafeText("C"), Level.CRIT),
        ("slo.current", SafeText("tier_b"), Level.OK),
        ("drift.flag", SafeText("0"), Level.INFO),
        ("tca.venue_low", 1, Level.WARN),
    ],
)
def test_values_mean_what_the_contract_says(stack: Stack, fact: str, value: Any, level: Level) -> None:
    assert judge(stack.facts[fact], ok(fact, value), START) is level


@pytest.mark.parametrize(
    ("fact", "level"),
    [
        ("chaos.enabled", Level.CRIT),
        ("mode", Level.CRIT),
        ("influence.pct", Level.OK),
        ("slo.current", Level.WARN),
        ("policy.collapse", Level.WARN),
    ],
)
def test_what_is_missing_is_never_upstreams_default(stack: Stack, fact: str, level: Level) -> None:
    assert judge(stack.facts[fact], missing(fact), START) is level


@pytest.mark.parametrize(
    ("diagnosis", "readings", "is_it"),
    [
        ("luld-loops", [running("halts_luld", RunState.RESTARTING)], True),
        ("luld-loops", [running("halts_luld")], False),
        ("hours-guard-idle", [running("market_hours_guard"), missing("guard.hours_looked")], True),
        ("hours-guard-idle", [running("market_hours_guard"), ok("guard.hours_looked", "09:30")], False),
        ("hours-guard-idle", [missing("service:market_hours_guard"), missing("guard.hours_looked")], False),
        ("bot-loops", [LOOPS, ok("unit.bot_error", "KeyError: 'mode'")], True),
        ("bot-loops", [LOOPS, missing("unit.bot_error")], False),
        ("bot-loops-silent", [LOOPS, missing("unit.bot_error")], True),
        ("bot-loops-silent", [LOOPS, ok("unit.bot_error", "KeyError: 'mode'")], False),
        ("gate-report-old", [ok("gate.age", 172800.0)], True),
        ("gate-report-old", [ok("gate.age", 3600.0)], False),
        ("gate-report-old", [missing("gate.age")], False),
    ],
)
def test_a_failure_is_known_by_its_readings(
    stack: Stack, diagnosis: str, readings: list[Any], is_it: bool
) -> None:
    assert is_found(stack, diagnosis, *readings) is is_it


def test_nothing_is_offered_that_only_pretends(stack: Stack) -> None:
    """There is no flatten, and some of upstream's own commands fail before they write or lie after."""
    assert not [each for each in stack.procedures.values() if each.risk is RiskClass.MARKET]
    assert any("no flatten" in text for text in stack.procedures["halt"].will_not)
    run = [" ".join(step.action.argv) for step in steps(stack) if isinstance(step.action, Command)]
    for broken in ("promote-zero", "kill-switch", "canary_switch", "set_mode", "panic_button", "go-live"):
        assert not [line for line in run if broken in line]


def test_whatever_writes_a_mode_that_trades_is_a_restore(stack: Stack) -> None:
    for procedure in stack.procedures.values():
        words = {
            write.value for step in procedure.steps for write in writes(step.action) if write.key == "mode"
        }
        if words:
            expected = RiskClass.STOP if words == {"halt"} else RiskClass.RESTORE
            assert procedure.risk is expected, procedure.id


def test_a_halt_keeps_the_market_hours_guard_from_resuming_and_leaves_a_trace(stack: Stack) -> None:
    (step,) = [step for step in stack.procedures["halt"].steps if isinstance(step.action, RedisUnit)]
    by_key = {write.key: write for write in writes(step.action)}
    assert by_key["last_halt_reason"].value == "operator"
    assert (by_key["mode:history"].op, by_key["mode:history"].max_length) == ("lpush", 100)


def test_a_resume_asks_for_everything_the_contract_lists(stack: Stack) -> None:
    asked = {condition.fact for condition in stack.procedures["resume-auto"].requires}
    assert asked >= {
        "recon.mismatches", "recon.diff", "recon.checked", "service:quality-gate", "capital.effective",
        "influence.pct", "slo.current", "chaos.enabled", "snapshot.written",
    }  # fmt: skip
    absent = {each.fact for each in stack.procedures["capital-approve"].requires}
    assert absent >= {"slo.tier", "slo.current", "recon.mismatches", "recon.checked"}
    assert stack.procedures["capital-approve"].needs_approval


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-12 09:15:02,123 - ops_bot - text", LogLevel.INFO),
        ("2026-01-12 09:15:02,123 - ops_bot - ERROR - text", LogLevel.ERROR),
        ("2026-01-12 09:15:02 [WARNING] risk: text", LogLevel.WARNING),
        ("2026-01-12 09:15:02,123 - mm_as - \U0001f6d1 halted", LogLevel.CRITICAL),
        ("\u274c no orders", LogLevel.ERROR),
        ("\u26a0\ufe0f slow", LogLevel.WARNING),
        ("2026-01-12 09:15:02,123 - x - CRITICAL drawdown", LogLevel.CRITICAL),
        ("<crit> kernel says so", LogLevel.CRITICAL),
    ],
)
def test_levels_are_found_in_upstreams_forms(stack: Stack, line: str, level: LogLevel) -> None:
    finder = LevelFinder(stack.logs)
    assert LEVELS[finder.code(0, to_stamp(1_790_000_000_000_000_000) + b" " + line.encode())] is level


def test_every_alarm_points_to_a_heading_of_the_runbook(stack: Stack) -> None:
    text = built_in()["trading-bot"].with_name("runbook.md").read_text(encoding="utf-8")
    headings = {line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")}
    items = [*stack.alarms, *stack.checks.values(), *stack.diagnoses.values(), *stack.procedures.values()]
    assert {item.section for item in items} <= headings


def steps(stack: Stack) -> list[Any]:
    return [step for procedure in stack.procedures.values() for step in procedure.steps]


def writes(action: Any) -> tuple[RedisWrite, ...]:
    return (
        action.writes
        if isinstance(action, RedisUnit)
        else (action,)
        if isinstance(action, RedisWrite)
        else ()
    )
