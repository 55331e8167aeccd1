"""What was done is done: whoever runs a procedure of trading-platform again changes nothing more in the demo.

One operator's shift: each procedure begins where the one before it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from backends.model.procedure import RiskClass, Verdict
from backends.stacks.loader import built_in, load_stack
from tests.contract.armed_room import ArmedRoom, looking_patiently
from tests.contract.demo_eyes import KILL, Eyes
from tests.servers.demo import start_demo
from tests.servers.process import wait_until
from tests.terminal.left import BY_PROGRAMS, BY_UNITS
from tests.terminal.planned import alone
from tests.turns import SENDERS

pytestmark = SENDERS

AGAIN = {
    "cancel-one": 2, "halt": 2, "breaker-trip": 2, "cancel-all": 2, "stop-senders": 2,
    "start-applications": 1, "start-infrastructure": 2, "breaker-reset": 0, "resume": 2,
    "recover-safety": 1,
}  # fmt: skip
"""How often each is run once more: two services that start take seconds, and a reset is held to the trip that
was read, which is gone then."""

NEW_EACH_TIME = {
    "paper-run", "paper-run-own",  # another run
    "restart", "restart-storage", "restart-redis", "console-restart", "shutdown",  # what runs ends
    "model-reload", "fills-backfill", "backup-config",  # a look at what is there now
}  # fmt: skip
"""Procedures of the same classes with a step that is not said to be idempotent, or that begins by ending what
runs: they are asked for once more when that is wanted once more."""

BREAKER = "circuit_breaker:state"


@dataclass
class Desk:
    """An operator's open room on a demo, and somebody who looks at the demo from outside."""

    room: ArmedRoom
    eyes: Eyes
    orders: list[str]
    """Two that rest far from the market."""

    def world(self) -> dict[str, Any]:
        """Both switches as they are stored, the rows of both orders, and which containers run."""
        stored = {key: json.loads(str(self.eyes.redis.get(key))) for key in (KILL, BREAKER)}
        select = "SELECT * FROM orders WHERE client_order_id = ANY(%s) ORDER BY client_order_id"
        with psycopg.connect(self.eyes.world["postgres"], row_factory=dict_row) as link:
            rows = link.execute(select, [self.orders]).fetchall()
        runs = {each["Names"][0]: each["State"] for each in self.eyes.docker.containers(all=True)}
        return {**stored, "orders": rows, "containers": runs}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    world = start_demo()
    world.config.write_text(alone(world.config.read_text()))
    eyes = Eyes(world)
    orders = [str(eyes.order(symbol=symbol).json()["client_order_id"]) for symbol in ("AAPL", "MSFT")]
    room = ArmedRoom(world.config, world.env, tmp_path_factory.mktemp("state"), looking_patiently)
    yield Desk(room, eyes, orders)
    room.close()
    eyes.close()
    world.stop()


def test_every_stop_is_run_again_and_so_is_what_may_be_repeated() -> None:
    procedures = load_stack(built_in()["trading-platform"]).procedures
    classes = (RiskClass.STOP, RiskClass.RESTORE, RiskClass.DEGRADE)
    ours = {name for name, each in procedures.items() if each.risk in classes} - BY_PROGRAMS - BY_UNITS
    assert ours == AGAIN.keys() | NEW_EACH_TIME
    assert not [name for name in NEW_EACH_TIME if procedures[name].risk is RiskClass.STOP]


@pytest.mark.parametrize("name", AGAIN)
def test_run_again_it_changes_nothing_more(desk: Desk, name: str) -> None:
    params = {"order": desk.orders[0]} if name == "cancel-one" else {}
    if name == "start-infrastructure":
        desk.eyes.docker.stop("trading_platform_grafana")
    # A gateway that was started for the one before reconciles first.
    wait_until(lambda: not desk.room.dry_run(name, **params).blockers, 60, f"{name} to be possible")
    before = desk.world()
    run = desk.room.perform(name, **params)
    assert run.verdict is Verdict.VERIFIED, (run.sentence, run.blockers)
    once = desk.world()
    assert once != before
    for _ in range(AGAIN[name]):
        desk.room.perform(name, **params)
        again = desk.world()
        if name == "halt":
            # A second kill voids a resume that was decided before it; nothing else of the key moves.
            assert again[KILL].pop("engaged_at") >= once[KILL]["engaged_at"]
            again[KILL]["engaged_at"] = once[KILL]["engaged_at"]
        assert again == once
