"""What a check of the trading platform must not pass, and a procedure not call done, although part of it is
so: green for the right reason alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from backends.model.examination import Answer
from backends.model.fact import Table
from backends.model.procedure import Proof
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState
from backends.stacks.loader import built_in, load_stack
from tests.building import answered, check_turns_on, running

STACK = load_stack(built_in()["trading-platform"])


def table(column: str, *cells: str) -> Table:
    return Table((column,), tuple((SafeText(cell),) for cell in cells), len(cells))


WELL: Mapping[str, Any] = {
    "service:orchestrator": running("orchestrator"),
    "ports.orchestrator": table("address", "127.0.0.1"),
    "host.services": table("command"),
    "orders.open": 0,
    "orders.unsent": 0,
    "orphans.open": 0,
    "positions.open": 0,
    "recon.behind": 310.0,
    "feed.connected": True,
    "feed.symbols": 2,
    "feed.prices": table("symbol", "AAPL", "SPY"),
    "positions.unpriced": table("symbol"),
    "orchestrator.health": "healthy",
    "orchestrator.signal": True,
    "orchestrator.gateway": True,
    "orchestrator.database": True,
    "gateway.paper": True,
    "gateway.health": "healthy",
    "signal.model_loaded": True,
    "kill.state": "ACTIVE",
    "orchestrator.kill": "ACTIVE",
    "breaker.state": "OPEN",
    "recon.override": False,
    "recon.checked": 1_790_000_000.0,
    "quarantine.keys": 0,
    "orders.stuck": 0,
    "gateway.broker": True,
    "gateway.dry_run": False,
    "account.status": "ACTIVE",
    "account.blocked": False,
    "account.buying_power": 25_000.0,
    "models.doubtful": 0,
    "models.same": True,
    "redis.ping": "PONG",
    **{
        f"service:{name}": running(name, health=Health.HEALTHY)
        for name in ("postgres", "redis", "loki_server")
    },
    **{f"service:{name}": running(name) for name in ("prometheus", "grafana", "promtail")},
    "recon.complete": True,
    **{f"{name}.health": "healthy" for name in ("signal", "feed", "registry")},
    "console.alive": "alive",
    "prometheus.health": 200,
    "loki.ready": 200,
    "grafana.database": "ok",
    "ports.postgres": table("address", "127.0.0.1"),
    "ports.redis": table("address", "127.0.0.1"),
    "engine.cores": 4, "engine.memory": 16_000_000_000, "host.free": 50.0,
}  # fmt: skip

OPEN_TO_THE_NETWORK = [
    {"ports.orchestrator": table("address", address)} for address in ("0.0.0.0", "::", "192.168.1.5")
]
WRONG = [
    *(("kill-switch-local", each) for each in OPEN_TO_THE_NETWORK),
    # A container that ended publishes nothing, and a service on the host listens everywhere.
    ("kill-switch-local", {"service:orchestrator": running("orchestrator", RunState.EXITED)}),
    ("kill-switch-local", {"host.services": table("command", "uvicorn apps.orchestrator.main:app")}),
    ("ports", {"ports.redis": table("address", "127.0.0.1", "::")}),
    ("ports", {"ports.postgres": table("address", "127.0.0.1", "10.0.0.7")}),
    # T4, orphans, and a database that nobody compared with the broker's.
    ("no-orders", {"orders.unsent": 1}),
    ("no-orders", {"orphans.open": 1}),
    ("no-orders", {"recon.behind": 601.0}),
    ("no-positions", {"recon.behind": 601.0}),
    # Auto-subscription that is refused: the price of something is no price of what is held.
    ("data-fresh", {"positions.unpriced": table("symbol", "TSLA")}),
    ("run-ready", {"breaker.state": "TRIPPED"}),
    ("run-ready", {"breaker.state": None}),
    ("run-ready", {"recon.complete": False}),
    ("run-ready", {"signal.model_loaded": False}),
    ("run-ready", {"gateway.health": "degraded"}),
    # In dry run the broker is called connected and asked nothing.
    ("broker-connected", {"gateway.dry_run": True}),
    ("account", {"account.buying_power": 0.0}),
    ("account", {"account.blocked": True}),
    # Docker's check of Redis exits 0 on this.
    ("infrastructure", {"redis.ping": "NOAUTH Authentication required."}),
    # ALLOW_MODELLESS: its health says healthy all the same.
    ("model-served", {"signal.model_loaded": False}),
    ("model-served", {"models.same": False}),
    ("kill-active", {"orchestrator.kill": "ENGAGED"}),
    ("kill-active", {"kill.state": None}),
    ("breaker-open", {"breaker.state": None}),
    ("reconciled", {"recon.override": True}),
    ("nothing-stuck", {"quarantine.keys": 1}),
    ("nothing-stuck", {"orders.unsent": 1}),
    ("host-size", {"host.free": 49.0}),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG, ids=lambda it: it if isinstance(it, str) else "")
def test_it_passes_when_all_is_well_and_not_on_part_of_it(name: str, wrong: Mapping[str, Any]) -> None:
    check_turns_on(STACK, name, WELL, wrong)


def test_in_dry_run_where_nothing_is_compared_no_order_and_no_position_can_be_told() -> None:
    for name in ("no-orders", "no-positions"):
        assert answered(STACK, name, {**WELL, "recon.behind": None}) is Answer.YES


def proofs(procedure: str) -> list[Proof]:
    return [proof for step in STACK.procedures[procedure].steps for proof in step.proof]


@pytest.mark.parametrize(
    ("procedure", "fact", "equals"),
    [
        ("model-reload", "signal.model", ("$version",)),
        ("fills-enable", "gateway.backfill", ("true",)),
        ("console-explorer", "console.explorer", ("true",)),
    ],
)
def test_it_is_done_when_what_it_is_for_can_be_read(
    procedure: str, fact: str, equals: tuple[str, ...]
) -> None:
    assert any(each.fact == fact and each.equals == equals for each in proofs(procedure))


def test_fills_are_fetched_when_the_gateway_says_that_it_fetched_them() -> None:
    """It compares orders by itself every 300 s, with the backfill on or off."""
    assert [(each.fact, each.is_newer) for each in proofs("fills-backfill")] == [("recon.fills", True)]
    assert any(each.fact == "gateway.backfill" for each in STACK.procedures["fills-backfill"].requires)


def test_notebooks_are_switched_on_when_the_console_was_made_with_their_variables() -> None:
    named = {dict(each.where).get("name") for each in proofs("console-notebooks")}
    assert {"NOTEBOOK_LAUNCH_COMMAND", "NOTEBOOK_BASE_URL"} <= named
