"""What a check of Claire de Binare must not pass, a failure it must not find, and what must raise an alarm:
green and found for the right reason alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from backends.model.fact import Level, Table
from backends.model.query import DockerQuery
from backends.model.safetext import SafeText
from backends.stacks.loader import built_in, load_stack
from tests.building import can_become, check_turns_on, is_found, missing, ok

STACK = load_stack(built_in()["claire-de-binare"])
TEN = (
    "REDIS_PASSWORD", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_DSN", "GRAFANA_PASSWORD", "SMTP_USER",
    "SMTP_PASSWORD", "SMTP_FROM", "ALERT_EMAIL_TO", "MEXC_API_KEY.txt", "MEXC_API_SECRET.txt",
)  # fmt: skip


def files(*names: str) -> Table:
    return Table(("name", "kind"), tuple((SafeText(each), SafeText("file")) for each in names), len(names))


def published(*addresses: str) -> Table:
    rows = tuple((SafeText("6379"), SafeText(each)) for each in addresses)
    return Table(("name", "address"), rows, len(rows))


def names(*found: str) -> Table:
    return Table(("name",), tuple((SafeText(each),) for each in found), len(found))


WELL: Mapping[str, Any] = {
    "risk.block": "Order freigegeben", "allocation.open": 1, "allocation.free": 1, "halt.stream": False,
    "execution.latched": False, "execution.filled": 3,
    "secrets.redis": "file", "secrets.postgres": "file", "secrets.count": 10, "secrets.wrong": names(),
    "secrets.list": files(*TEN),
    "env.plain": names(), "env.postgres": names("POSTGRES_PASSWORD_FILE"),
    "backup.trailer": 1, "backup.tables": 6, "backup.redis": 900, "backup.sums": 6, "backup.checked": 6,
    "backup.age": 2_000_000.0, "redis.port": published("127.0.0.1"),
    "host.disk": 80.0, "host.free": 30.0,
}  # fmt: skip
WRONG = [
    # Risk approves, and execution, halted by an entry without a strategy, rejects each.
    ("trading-flows", {"execution.latched": True}),
    ("trading-flows", {"execution.filled": 0}),
    # Ten files, and one of them is a copy of another.
    ("secrets", {"secrets.list": files(*TEN[:-1], "POSTGRES_PASSWORD.old")}),
    ("plain-passwords", {"env.postgres": names("POSTGRES_PASSWORD")}),
    ("backup", {"backup.age": 2_700_000.0}),
    *(("ports", {"redis.port": published("127.0.0.1", each)}) for each in ("0.0.0.0", "::", "192.168.1.5")),
    ("ports", {"redis.port": published()}),
    # On a small disk it fills up long before four fifths of it are used.
    ("clear-logs", {"host.free": 29.0}),
    ("clear-logs", {"host.disk": 81.0}),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG, ids=lambda it: it if isinstance(it, str) else "")
def test_it_passes_when_all_is_well_and_not_on_part_of_it(name: str, wrong: Mapping[str, Any]) -> None:
    check_turns_on(STACK, name, WELL, wrong)


ARMED: Mapping[str, Any] = {"halt.stream": True, "execution.latched": True, "risk.latched": True}


@pytest.mark.parametrize("fact", ARMED)
def test_a_halt_is_armed_when_redis_execution_and_risk_all_say_so(fact: str) -> None:
    check_turns_on(STACK, "halt-armed", ARMED, {fact: False})


def test_a_halt_that_rejected_nothing_yet_is_not_called_exercised() -> None:
    """11.2: with no order nothing is proved, and nobody is to publish one."""
    check_turns_on(
        STACK, "halt-exercised", {"halt.stream": True, "halt.exercised": True}, {"halt.exercised": False}
    )


def test_what_was_blocked_before_the_pause_ended_is_no_reason_that_nothing_is_traded() -> None:
    """Its lines stand in the log of risk, which nobody restarts for that."""
    said = ok("log.no_allocation", 4)
    assert is_found(STACK, "no-allocation", said, ok("allocation.open", 0))
    assert is_found(STACK, "no-allocation", said, missing("allocation.open"))
    assert not is_found(STACK, "no-allocation", said, ok("allocation.open", 1))
    said = ok("log.cooldown", 4)
    assert is_found(STACK, "cooldown", said, ok("allocation.free", 0))
    assert not is_found(STACK, "cooldown", said, ok("allocation.free", 1))


@pytest.mark.parametrize(
    ("fact", "level"),
    [
        ("execution.mode", Level.CRIT),  # live: every real fill is recorded as rejected, with nothing filled
        ("env.confirm_live", Level.CRIT),
        ("redis.evicted", Level.CRIT),  # any stream, that of the halt too
        ("redis.aof", Level.CRIT),  # a halt that is not on the disk is gone at the next start
        ("redis.aof_write", Level.CRIT),
        ("db.strangers", Level.CRIT),
        ("bus.market", Level.WARN),
        ("host.free", Level.WARN),
        ("bus.signals", Level.WARN),
        ("bus.alerts", Level.WARN),  # stored by the paper runner alone
        ("feed.redis", Level.CRIT),  # stays healthy, and publishes nothing
        ("execution.redis", Level.CRIT),  # as healthy
        ("prometheus.rules", Level.WARN),  # no rule is loaded, so silence says nothing
        ("db.missing", Level.CRIT),
        ("orders.duplicates", Level.CRIT),
        ("orders.lost", Level.WARN),
        ("log.order_failed_ago", Level.WARN),  # constraints that an error and a fill without a price violate
        ("risk.exposure", Level.WARN),
        ("secrets.wrong", Level.WARN),
        ("signal.health", Level.CRIT),
        ("risk.state", Level.CRIT),
    ],
)
def test_what_nobody_would_see_among_a_hundred_values_raises_an_alarm(fact: str, level: Level) -> None:
    assert can_become(STACK.facts[fact], level)
    assert [each.at for each in STACK.alarms if each.fact == fact] == [level]


def test_what_a_log_said_before_a_restart_keeps_no_restart_from_being_proved() -> None:
    """A container keeps its log over a restart: the fault that was mended still stands in it."""
    old = {
        f"{name}/{step.id}": proof.fact
        for name, procedure in STACK.procedures.items()
        for step in procedure.steps
        for proof in step.proof
        if proof.fact in STACK.facts
        if isinstance(query := STACK.facts[proof.fact].query, DockerQuery)
        if query.what == "log" and not query.since_start
    }
    assert old == {}
