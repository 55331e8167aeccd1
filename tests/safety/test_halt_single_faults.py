"""A halt needs no name server, no metrics and no right clock, and pressed five times it is one halt."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.procedure import Procedure, Run, Verdict
from backends.model.stack import SourceKind, Stack
from backends.procedures.latch import halts_trading
from backends.stacks.loader import built_in, load_stack
from backends.supervision import DaemonThreads
from tests.contract.switch_server import SwitchServer
from tests.contract.test_redis_writer import FRESH, put
from tests.safety import test_halt
from tests.servers.redis import RedisServer
from tests.sim.desk import Desk, asked, office
from tests.sim.virtual import VirtualLoop
from tests.sim.world import intent

NOWHERE = "redis.nowhere.test"
METRICS = (SourceKind.PROMETHEUS, SourceKind.LOKI)


@pytest.fixture
def deaf_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks for a name waits, for as long as the test runs."""
    over, ask = threading.Event(), socket.getaddrinfo

    def hang(host: Any, *rest: Any, **more: Any) -> Any:
        if host == NOWHERE:
            over.wait(60)
            raise socket.gaierror("no answer")
        return ask(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield
    over.set()


@pytest.mark.alone
@pytest.mark.usefixtures("deaf_name_server")
async def test_a_name_server_that_hangs_costs_one_way_and_half_a_second(
    redis_db: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(redis_db, FRESH)
    # As in the engine: a thread that waits for a name holds up no other.
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    async with SwitchServer() as web:
        stack = test_halt.stack_at(redis_db, web)
        lost = replace(stack.sources["redis"], url=f"redis://{NOWHERE}:6379/0")
        monkeypatch.setattr(
            test_halt, "stack_at", lambda _r, _w: replace(stack, sources={**stack.sources, "redis": lost})
        )
        monkeypatch.setattr(type(redis_db), "db", lambda _self, number: f"redis://{NOWHERE}:6379/{number}")
        async with test_halt.room(redis_db, web, tmp_path) as made:
            run = await made.procedures.execute(intent())
    assert (run.verdict, run.rung) == (Verdict.VERIFIED, 2)
    assert run.ended is not None
    assert run.ended.since(run.started) < 3.0


def halts() -> list[tuple[Stack, Procedure]]:
    stacks = [load_stack(path) for path in built_in().values()]
    return [
        (stack, each) for stack in stacks for each in stack.procedures.values() if halts_trading(each, stack)
    ]


@pytest.mark.parametrize(("stack", "halt"), halts(), ids=lambda it: it.id)
def test_no_halt_rests_on_metrics(stack: Stack, halt: Procedure) -> None:
    used = {step.action.source for step in halt.steps if step.action.source}
    used |= {
        stack.facts[proof.fact].source
        for step in halt.steps
        for proof in step.proof
        if proof.fact in stack.facts
    }
    assert [name for name in used if name in stack.sources and stack.sources[name].kind in METRICS] == []


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_while_a_halt_runs_changes_nothing(step: float) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        made = office(Desk(kill="ACTIVE"), wire={"/engage": "slow"})

        def set_clock() -> None:
            loop.stepped += step

        async def press() -> Run:
            loop.call_later(0.2, set_clock)
            run = await made.procedures.execute(asked("halt"))
            await made.procedures.close()
            return run

        assert runner.run(press()).verdict is Verdict.VERIFIED
    assert made.desk.kill == "ENGAGED"


@pytest.mark.parametrize("times", range(1, 6))
def test_a_halt_pressed_again_and_again_ends_as_one(times: int) -> None:
    made = office(Desk(kill="ACTIVE"))

    async def press() -> list[Verdict | None]:
        runs = [await made.procedures.execute(asked("halt", id=f"op-{n}")) for n in range(times)]
        await made.procedures.close()
        return [run.verdict for run in runs]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        verdicts = runner.run(press())
    assert set(verdicts) <= {Verdict.VERIFIED, Verdict.ALREADY}
    assert (made.desk.kill, made.desk.switched) == ("ENGAGED", [("engage", 2)])
