"""A platform with four ways to a halt and a venue: every way, and the journal, can be broken in six ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec.structs import replace

from backends.model.action import Action, DockerVerb, HttpCall, RedisWrite
from backends.model.intent import Intent
from backends.model.procedure import Procedure, Proof, Receipt, ReceiptKind, RiskClass, Run, Step
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import Stack
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from tests.sim.virtual import VirtualClock
from tests.sim.world import KIM, Paper, now, tiny_stack

PLACES = ("redis", "http", "venue", "docker", "audit")
SOURCES = {"kill.state": "redis", "http.kill": "http", "venue.open": "venue", "service:gateway": "docker"}
FAULTS = ("ok", "refuse", "hang", "slow", "reset", "wrong")

HALT = Procedure(
    "halt",
    "Halt trading",
    RiskClass.STOP,
    "Stops new orders.",
    ("Close positions.",),
    "by hand: docker stop gateway",
    (
        Step(
            "redis", "Engage", RedisWrite("redis", "set", "k", "ENGAGED"),
            (Proof("kill.state", ("ENGAGED",)),), target="trading",
        ),
        Step(
            "http", "Engage by HTTP", HttpCall("http", "POST", "/engage"),
            (Proof("http.kill", ("ENGAGED",)),), target="trading", after=0.5, deadline=1.5,
        ),
        Step(
            "venue", "Cancel at the venue", HttpCall("venue", "DELETE", "/orders"),
            (Proof("venue.open", at_most=0, reads=2),), target="orders", after=0.5, unless="trading",
        ),
        Step(
            "docker", "Stop the gateway", DockerVerb("docker", "stop", "gateway", grace=2.0),
            (Proof("service:gateway", ("exited",)),), target="trading", after=1.0, deadline=3.0,
            waits_for="venue", is_pre_authorised=True,
        ),
    ),
    warnings=("Nothing can be cancelled through a gateway that is stopped.",),
)  # fmt: skip


@dataclass
class Platform:
    """The truth, and when each way was tried."""

    random: Random
    delay: Callable[[Random], float] = lambda random: random.uniform(0.001, 0.02)
    """Seconds that one request, or one look, takes."""
    echo: Callable[[Random], float] = lambda _random: 0.0
    """Seconds after which the service behind the switch says that it obeys."""
    is_engaged: bool = False
    is_obeyed: bool = False
    open_orders: int = 3
    gateway: RunState = RunState.RUNNING
    calls: list[tuple[float, str]] = field(default_factory=list)

    @property
    def is_stopped(self) -> bool:
        return self.is_engaged or self.gateway is RunState.EXITED

    def do(self, way: str) -> None:
        if way in ("redis", "http"):
            self.is_engaged = True
            asyncio.get_running_loop().call_later(self.echo(self.random), self.obey)
        elif way == "venue":
            self.open_orders = 0
        else:
            self.gateway = RunState.EXITED

    def obey(self) -> None:
        self.is_obeyed = True

    def value(self, fact: str) -> Any:
        """What a fact reads."""
        is_so = self.is_obeyed if fact == "http.kill" else self.is_engaged
        word = SafeText("ENGAGED" if is_so else "ACTIVE")
        service = Service("gateway", Runtime.DOCKER, "g", SafeText("gateway"), self.gateway, Health.NO_CHECK)
        return {"venue.open": self.open_orders, "service:gateway": service}.get(fact, word)

    def first(self, way: str) -> float | None:
        """When it was first tried."""
        return next((at for at, it in self.calls if it == way), None)


class Way:
    """Acts. A fault applies to the way there; ``slow`` and ``reset`` may still have their effect."""

    def __init__(self, platform: Platform, name: str, fault: str) -> None:
        self.platform, self.name, self.fault = platform, name, fault

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        world = self.platform
        world.calls.append((now(), self.name))
        await asyncio.sleep(world.delay(world.random))
        match self.fault:
            case "refuse":
                return Receipt(ReceiptKind.FAILED, SafeText("connection refused"))
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                asyncio.get_running_loop().call_later(2.0, world.do, self.name)
                await asyncio.sleep(step.deadline)
                return Receipt(ReceiptKind.UNKNOWN, SafeText("no answer in time"))
            case "reset":
                if world.random.random() < 0.5:
                    world.do(self.name)
                return Receipt(ReceiptKind.UNKNOWN, SafeText("cut off before it answered"))
            case "wrong":
                return Receipt(ReceiptKind.DONE, SafeText("done"))
        world.do(self.name)
        return Receipt(ReceiptKind.DONE, SafeText("done"))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


class Eyes:
    """Reads over connections of their own, to the same broken places; it is never told what is not so."""

    def __init__(self, platform: Platform, faults: Mapping[str, str]) -> None:
        self.platform, self.faults = platform, faults
        self.looks: list[tuple[str, Any]] = []

    async def look(self, fact: str, within: float) -> Reading[Any]:
        fault = self.faults.get(SOURCES.get(fact, ""), "ok")
        await asyncio.sleep(self.platform.delay(self.platform.random))
        if fault in ("hang", "slow"):
            await asyncio.sleep(within)
        at = VirtualClock().now()
        if fault in ("refuse", "hang", "slow", "reset"):
            return Reading(fact, "x", Outcome.FAILED, at, 1.0, error=SafeText(fault))
        value = self.platform.value(fact)
        self.looks.append((fact, value))
        return Reading(fact, "x", Outcome.OK, at, 1.0, value=value)


class Audit(Paper):
    """The journal, broken like anything else. ``wrong`` says it wrote and did not."""

    def __init__(self, fault: str) -> None:
        super().__init__({"refuse": None, "reset": None, "hang": 3600.0, "slow": 2.0}.get(fault, 0.001))
        self.is_lying = fault == "wrong"


def platform_stack(halt: Procedure) -> Stack:
    plain = tiny_stack()
    facts = {
        name: replace(plain.facts["kill.state"], id=name, label=name)
        for name in ("kill.state", "http.kill", "venue.open", "orders.accepted")
    }
    return replace(plain, facts=facts, procedures={halt.id: halt})


@dataclass
class Site:
    platform: Platform
    eyes: Eyes
    audit: Audit
    procedures: Procedures
    runs: list[Run]

    async def press(self) -> tuple[Run, float]:
        """The run at its verdict, and the simulated seconds it took."""
        began = now()
        intent = Intent("op-1", "tiny", "halt", KIM, SafeText("drill"), seen=1, via="screen")
        run = await self.procedures.execute(intent)
        return run, now() - began


def site(
    faults: Mapping[str, str], seed: int = 1, platform: Platform | None = None, halt: Procedure = HALT
) -> Site:
    """A room in front of the platform, with these faults and all else well."""
    platform = platform or Platform(Random(seed))
    ways = {name: Way(platform, name, faults.get(name, "ok")) for name in PLACES if name != "audit"}
    eyes, audit = Eyes(platform, faults), Audit(faults.get("audit", "ok"))
    runs: list[Run] = []
    made = Procedures(
        platform_stack(halt), arm(KIM, is_watch=False), ways, eyes, audit, VirtualClock(), runs.append,
        platform.random.random,
    )  # fmt: skip
    return Site(platform, eyes, audit, made, runs)
