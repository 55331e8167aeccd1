"""Every procedure of trading-platform against the demo, from its dry run to its verified verdict, by command
and on the screen: one core behind two faces, which leaves the same records."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import docker
import httpx
import pytest
import redis

from backends.procedures.stop_runner import QUIET
from backends.stacks.loader import built_in
from tests.servers import forked
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.servers.earlier import a_room_was_open
from tests.servers.process import wait_until
from tests.terminal.left import BY_PROGRAMS, BY_UNITS, assert_alike, left_by
from tests.terminal.on_screen import opened_on
from tests.terminal.planned import Operator, alone
from tests.turns import SENDERS
from tui.commands.exitcode import ExitCode

SELLING = ("cancel-one", "halt", "cancel-all", "flatten-symbol", "flatten-all", "stop-senders")
RETURNING = (
    # What is done before a reset or a resume is done while it is watched that all stays well.
    "halt", "breaker-trip", "backup-redis", "breaker-reset", "backup-config", "resume",
    "console-restart", "start-infrastructure", "paper-run", "paper-run-own",
    "halt", "fills-backfill", "model-reload",
)  # fmt: skip
CLOSING = (
    "recover-safety", "cancel-all", "flatten-mfa", "restart-storage", "restart", "shutdown",
    "restart-redis", "start-applications",
)  # fmt: skip

MAY_BE_DONE = {"cancel-all"}
"""The order that its dry run saw open may have been filled by then."""

STOOD = f"It stood for {QUIET:.0f} s.\n"
"""After the verdict on a stop."""

STORIES = {"selling": SELLING, "returning": RETURNING, "closing": CLOSING}


@dataclass(frozen=True)
class Told:
    """One procedure, run by command."""

    name: str
    report: dict[str, Any]
    done: subprocess.CompletedProcess[str]
    records: dict[str, Any]


@contextmanager
def a_world() -> Iterator[DemoWorld]:
    world = start_demo()
    world.config.write_text(alone(world.config.read_text()))
    try:
        yield world
    finally:
        world.stop()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("selling", marks=SENDERS),
        pytest.param("returning", marks=pytest.mark.xdist_group("returning")),
        pytest.param("closing", marks=SENDERS),
    ],
)
def story(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def commands(story: str) -> Iterator[Future[list[Told]]]:
    """The story by command, told while the same is told on the screen: most of either is waiting."""
    forked.prepare()
    is_over = threading.Event()
    with ThreadPoolExecutor() as teller:
        yield teller.submit(_by_command, story, is_over)
        is_over.set()


def _by_command(story: str, is_over: threading.Event) -> list[Told]:
    """Every procedure of the story, one after the other, in a world of its own; no more once it is over."""
    told = []
    with a_world() as world:
        operator = Operator("trading-platform", world.config, world.env)
        for name in takewhile(lambda _: not is_over.is_set(), STORIES[story]):
            report, done = operator.perform(name, *_prepared(world, name))
            told.append(Told(name, report, done, left_by(name, world.state)))
    return told


def test_these_are_all_the_procedures_there_are() -> None:
    described = tomllib.loads(built_in()["trading-platform"].read_text())
    ours = {*SELLING, *RETURNING, *CLOSING}
    assert ours | BY_PROGRAMS | BY_UNITS == {one["id"] for one in described["procedure"]}
    assert not ours & (BY_PROGRAMS | BY_UNITS)


async def test_the_screen_leaves_the_same_records(story: str, commands: Future[list[Told]]) -> None:
    left = []
    with a_world() as world:
        async with opened_on(world.config) as face:
            for name in STORIES[story]:
                chosen = await asyncio.to_thread(_prepared, world, name)
                await face.perform(name, _typed(chosen))
                left.append(await asyncio.to_thread(left_by, name, world.state))
    for told, seen in zip(await asyncio.wrap_future(commands), left, strict=True):
        assert_alike(told.name, seen, told.records)


def test_one_after_the_other_each_is_planned_and_then_verified(commands: Future[list[Told]]) -> None:
    for told in commands.result():
        report, done = told.report, told.done
        assert report["blockers"] == [], told.name
        assert report["steps"], told.name
        # A stop by whichever way: a busy machine may keep the first from being read back in time.
        proved = (ExitCode.VERIFIED, ExitCode.FALLBACK) if report["class"] == "stop" else (ExitCode.VERIFIED,)
        assert done.returncode in proved, f"{told.name}: {done.stdout}{done.stderr}"
        is_idle = [step["id"] for step in report["steps"]] == ["none"]
        words = ("ALREADY: ",) if is_idle else ("VERIFIED: ",)
        if told.name in MAY_BE_DONE:
            words = ("VERIFIED: ", "ALREADY: ")
        verdict = done.stdout.removesuffix(STOOD).splitlines()[-1]
        assert verdict.startswith(words), f"{told.name}: {done.stdout}"


def _typed(chosen: tuple[str, ...]) -> list[str]:
    """What is typed for what the command line chooses: a secret's file with ``@`` before it."""
    values = []
    for option, text in zip(chosen[::2], chosen[1::2], strict=True):
        values.append(("@" if option == "--param-file" else "") + text.partition("=")[2])
    return values


def _prepared(world: DemoWorld, name: str) -> tuple[str, ...]:
    """What has to be so, and to be chosen, before this one can begin."""
    folder = world.config.parent
    if name == "cancel-one":
        return ("--param", f"order={_an_order_that_rests(world)}")
    if name == "halt":
        _an_open_order(world)  # which the next procedure finds, if it is not filled by then
    if name == "flatten-symbol":
        return ("--param", "symbol=AAPL")
    if name == "start-infrastructure":
        with contextlib.closing(docker.DockerClient(base_url=world["docker"])) as engine:
            engine.containers.get("trading_platform_grafana").stop()
    if name == "paper-run-own":
        return ("--param", "symbol=MSFT", "--param", "capital=50000")
    if name == "restart":
        return ("--param", "service=signal_service")
    if name == "restart-storage":
        return ("--param", "service=redis")
    if name == "restart-redis":
        switch(world, "redis-hang", is_on=False)
        switch(world, "redis-hang", is_on=True)
        return ()
    if name == "flatten-mfa":
        return ("--param-file", f"id_token={folder / 'id_token'}")
    with redis.Redis.from_url(world["redis"], decode_responses=True) as client:
        if name == "recover-safety":
            client.delete("kill_switch:state", "circuit_breaker:state")
        if name in ("breaker-reset", "resume"):
            a_room_was_open(world.state, ago=110)
        if name == "breaker-reset":
            _backdate(client, "circuit_breaker:state", "tripped_at")
        if name == "resume":
            _backdate(client, "kill_switch:state", "engaged_at")
    return ()


def _an_order_that_rests(world: DemoWorld) -> str:
    """One far from the market: the strategy's own may be filled before they are cancelled."""
    order = {"symbol": "AAPL", "side": "buy", "qty": 1, "order_type": "limit", "limit_price": 20.0}

    def taken() -> str | None:
        answer = httpx.post(f"{world['http']['gateway']}/api/v1/orders", json=order, timeout=5.0)
        return str(answer.json()["client_order_id"]) if answer.status_code == 200 else None

    return str(wait_until(taken, 60.0, "an order that the gateway takes", every=0.5))


def _an_open_order(world: DemoWorld) -> str:
    """One of the strategy's, which sends another when the last is filled or has expired."""
    import psycopg

    query = "SELECT client_order_id FROM orders WHERE is_terminal = FALSE AND order_type = 'limit'"
    until = time.monotonic() + 60.0
    with psycopg.connect(world["postgres"], autocommit=True) as connection:
        while time.monotonic() < until:
            if row := connection.execute(f"{query} ORDER BY created_at DESC LIMIT 1").fetchone():
                return str(row[0])
            time.sleep(0.5)
    raise AssertionError("no order came")


def _backdate(client: redis.Redis, key: str, field: str) -> None:
    """As if it had been two minutes ago: nobody waits for the minimum halt here."""
    state = json.loads(str(client.get(key)))
    state[field] = (datetime.now(UTC) - timedelta(seconds=120)).isoformat(timespec="microseconds")
    client.set(key, json.dumps(state))


def test_only_its_owner_can_read_what_the_demo_signs_with() -> None:
    with a_world() as world:
        for name in ("jwt_private.key", "internal_token_secret", "id_token", "config.toml"):
            assert (world.config.parent / name).stat().st_mode & 0o077 == 0, name
