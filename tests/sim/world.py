"""A trading stack small enough to be broken in every way: one switch, two ways to it, two ways to see it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec.structs import replace

from backends.journal.entry import Entry
from backends.journal.journal import BUDGET
from backends.model.action import Action, HttpCall, RedisTransition
from backends.model.clock import Instant
from backends.model.fact import Fact, ValueType
from backends.model.intent import Identity, Intent
from backends.model.procedure import Procedure, Proof, Receipt, ReceiptKind, RiskClass, Run, Step
from backends.model.query import HttpQuery, RedisQuery
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind, Stack
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from tests.building import stack
from tests.sim.virtual import EPOCH, VirtualClock

FAULTS = ("ok", "refuse", "hang", "stuck", "slow", "reset", "wrong", "lies", "mute", "tardy")
KIM = Identity("kim", 1000, "ops1", "/dev/pts/3", "192.0.2.7")

_ENGAGE = RedisTransition(
    "redis", "kill_switch:state", "state", ("ACTIVE",), "ENGAGED",
    set={"state": "ENGAGED", "engaged_by": "$operator", "engaged_at": "$now"},
)  # fmt: skip
RUNG_1 = Step("redis", "Engage in Redis", _ENGAGE, (Proof("kill.state", ("ENGAGED",)),))
RUNG_2 = Step(
    "http", "Engage by the orchestrator", HttpCall("orchestrator", "POST", "/engage", {"reason": "$reason"}),
    (Proof("orchestrator.kill", ("ENGAGED",)),), after=0.5,
)  # fmt: skip
HALT = Procedure(
    "halt", "Halt trading", RiskClass.STOP, "Stops new orders.", ("Cancel open orders.",), "redis-cli …",
    (RUNG_1, RUNG_2),
)  # fmt: skip


def tiny_stack(*procedures: Procedure) -> Stack:
    base = stack()
    facts = {
        "kill.state": Fact(
            "kill.state", "Kill switch", "Safety", "redis", RedisQuery("get", "k"), ValueType.TEXT
        ),
        "orchestrator.kill": Fact(
            "orchestrator.kill", "Orchestrator", "Safety", "orchestrator", HttpQuery("/s"), ValueType.TEXT
        ),
    }
    web = Source("orchestrator", SourceKind.HTTP, "Orchestrator", "http://127.0.0.1:1", 1.0, 0.5)
    return replace(
        base,
        sources={**base.sources, "orchestrator": web},
        facts=facts,
        gates=(),
        procedures={each.id: each for each in procedures or (HALT,)},
    )


def intent(ident: str = "op-1", procedure: str = "halt") -> Intent:
    return Intent(ident, "tiny", procedure, KIM, SafeText("drill"), seen=7, via="screen")


@dataclass
class World:
    """The truth, and everything that was done to it, with simulated times."""

    random: Random = field(default_factory=lambda: Random(1))
    is_halted: bool = False
    by: str | None = None
    calls: list[tuple[float, str, str]] = field(default_factory=list)
    """(when, source, operation) of every call that reached a service or its void."""
    effects: list[tuple[float, str]] = field(default_factory=list)
    looks: list[tuple[float, str, str]] = field(default_factory=list)
    """(when answered, fact, word) of every look that got an answer."""

    def engage(self, source: str) -> bool:
        """Whether it was so already."""
        was, self.is_halted = self.is_halted, True
        self.effects.append((now(), f"engage by {source}"))
        return was


def now() -> float:
    return asyncio.get_running_loop().time()


class Service:
    """One way to the switch. ``fault`` may be changed while the room runs."""

    def __init__(self, world: World, source: str, fault: str = "ok") -> None:
        self.world = world
        self.source = source
        self.fault = fault

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        self.world.calls.append((now(), self.source, str(values["operation"])))
        await asyncio.sleep(self.world.random.uniform(0.001, 0.02))
        match self.fault:
            case "refuse":
                return Receipt(ReceiptKind.FAILED, SafeText("connection refused"))
            case "stuck":
                await asyncio.Event().wait()
            case "hang":
                await asyncio.sleep(step.deadline)
                return Receipt(ReceiptKind.UNKNOWN, SafeText("no answer within 500 ms"))
            case "slow":
                asyncio.get_running_loop().call_later(2.0, self.world.engage, self.source)
                await asyncio.sleep(step.deadline)
                return Receipt(ReceiptKind.UNKNOWN, SafeText("no answer within 500 ms"))
            case "reset":
                if self.world.random.random() < 0.5:
                    self.world.engage(self.source)
                return Receipt(ReceiptKind.UNKNOWN, SafeText("cut off before it answered"))
            case "wrong":
                return Receipt(ReceiptKind.UNKNOWN, SafeText("its answer cannot be understood"))
            case "mute":
                self.world.engage(self.source)
                await asyncio.sleep(step.deadline)
                return Receipt(ReceiptKind.UNKNOWN, SafeText("no answer within 500 ms"))
            case "tardy":
                was = self.world.engage(self.source)
                await asyncio.sleep(0.2)
                return Receipt(ReceiptKind.ALREADY if was else ReceiptKind.DONE, SafeText("done"))
            case "lies":
                return Receipt(ReceiptKind.DONE, SafeText("done"))
            case "bug":
                raise KeyError("secret-4711")
        was = self.world.engage(self.source)
        if was:
            return Receipt(
                ReceiptKind.ALREADY, SafeText("it was so already"), by=SafeText(self.world.by or "?")
            )
        return Receipt(ReceiptKind.DONE, SafeText("done"), by=SafeText("kim"))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


class Reader:
    """Sees the truth, except where ``faults`` says what is wrong with the way to a fact."""

    def __init__(self, world: World, faults: Mapping[str, str] | None = None) -> None:
        self.world = world
        self.faults = dict(faults or {})

    async def look(self, fact: str, within: float) -> Reading[Any]:
        fault = self.faults.get(fact, "ok")
        await asyncio.sleep(self.world.random.uniform(0.001, 0.02))
        if fault == "stuck":
            await asyncio.Event().wait()
        if fault == "bug":
            raise KeyError(fact)
        at = VirtualClock().now()
        if fault in ("hang", "slow", "refuse", "reset", "wrong"):
            if fault in ("hang", "slow"):
                await asyncio.sleep(within)
            at = VirtualClock().now()
            return Reading(fact, "redis", Outcome.FAILED, at, 1.0, error=SafeText(fault))
        word = "ENGAGED" if self.world.is_halted or fault == "lies" else "ACTIVE"
        self.world.looks.append((now(), fact, word))
        return Reading(fact, "redis", Outcome.OK, at, 1.0, value=SafeText(word))


class Paper:
    """A journal in memory. ``takes`` is how long a write takes; None for a disk that is full."""

    def __init__(self, takes: float | None = 0.001) -> None:
        self.takes = takes
        self.entries: list[tuple[float, Entry]] = []

    async def record(self, entry: Entry, budget: float = BUDGET) -> bool:
        self.entries.append((now(), entry))
        if self.takes is None:
            return False
        await asyncio.sleep(min(self.takes, budget))
        return self.takes <= budget

    def post(self, entry: Entry) -> None:
        self.entries.append((now(), entry))

    def records(self) -> list[dict[str, Any]]:
        """What the rooms of the host read of it about approvals and plans."""
        return [
            {
                "kind": entry.kind.value, "operation": entry.operation, "approval": entry.approval,
                "plan": entry.plan, "mode": entry.mode or "live", "at": Instant(at, EPOCH + at).iso(),
            }
            for at, entry in self.entries
        ]  # fmt: skip


@dataclass
class Room:
    """A world with a room in front of it."""

    world: World
    services: dict[str, Service]
    reader: Reader
    paper: Paper
    procedures: Procedures
    runs: list[Run] = field(default_factory=list)


def room(
    rung1: str = "ok",
    rung2: str = "ok",
    faults: Mapping[str, str] | None = None,
    seed: int = 1,
    procedures: tuple[Procedure, ...] = (HALT,),
    takes: float | None = 0.001,
) -> Room:
    world = World(Random(seed))
    services = {
        "redis": Service(world, "redis", rung1),
        "orchestrator": Service(world, "orchestrator", rung2),
    }
    reader, paper = Reader(world, faults), Paper(takes)
    runs: list[Run] = []
    made = Procedures(
        tiny_stack(*procedures), arm(KIM, is_watch=False), services, reader, paper, VirtualClock(),
        runs.append, world.random.random,
    )  # fmt: skip
    return Room(world, services, reader, paper, made, runs)
