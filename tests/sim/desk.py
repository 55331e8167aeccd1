"""A desk with a switch, a breaker, orders and positions, on which everything but a stop can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from msgspec.structs import replace

from backends.journal.entry import Entry
from backends.journal.journal import BUDGET
from backends.model.action import Action, Attest, HttpCall, Observe
from backends.model.condition import Condition, Each, Param
from backends.model.fact import Fact, Table, ValueType
from backends.model.intent import Identity, Intent
from backends.model.procedure import Procedure, Proof, Receipt, ReceiptKind, RiskClass, Run, Step
from backends.model.query import RedisQuery
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import GateSpec, ServiceSpec, Source, SourceKind, Stack
from backends.model.trading import TradingState
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from tests.building import stack
from tests.sim.virtual import EPOCH, VirtualClock
from tests.sim.world import Paper, now

T = TypeVar("T")

KIM = Identity("kim", 1000, "ops1")
LEE = Identity("lee", 1001, "ops1")


def call(path: str, **body: str) -> HttpCall:
    return HttpCall("desk", "POST", path, body)


HALT = Procedure(
    "halt",
    "Halt trading",
    RiskClass.STOP,
    "Stops.",
    ("Cancel orders.",),
    "by hand",
    (Step("engage", "Engage", call("/engage"), (Proof("kill.state", ("ENGAGED",)),)),),
)
HALTED = Condition("halted", "kill.state", "Trading is not halted. Halt first", equals=("ENGAGED",))
NO_ORDERS = Condition("no-orders", "orders.open", "Orders are open. Cancel them first", at_most=0)
RESUME = Procedure(
    "resume",
    "Resume trading",
    RiskClass.RESTORE,
    "Allows trading.",
    (),
    "by hand",
    (
        Step(
            "reset",
            "Reset the breaker",
            call("/reset"),
            (Proof("breaker.state", ("OPEN",)),),
            is_idempotent=True,
        ),
        Step("disengage", "Disengage", call("/resume", epoch="$epoch"), (Proof("kill.state", ("ACTIVE",)),)),
    ),
    requires=(
        HALTED,
        Condition("long", "kill.at", "The halt is younger than 60 s", min_age=60.0),
        NO_ORDERS,
        Condition("compared", "recon.at", "The broker was not compared lately", max_age=600.0),
        Condition("gateway", "gateway", "The gateway is not well", equals=("healthy",)),
    ),
    seen={"epoch": "kill.epoch"},
    done="RESUMED",
    not_done="NOT RESUMED",
)
FLATTEN = Procedure(
    "flatten",
    "Flatten all",
    RiskClass.MARKET,
    "Closes every position.",
    (),
    "by hand",
    (
        Step(
            "close",
            "Close $symbol",
            call("/close", symbol="$symbol"),
            (Proof("positions.list", within=3.0, at_most=0, where={"symbol": "$symbol"}, reads=2),),
            each=Each("positions.list", ("symbol",)),
            is_idempotent=True,
        ),
    ),
    requires=(HALTED, NO_ORDERS),
    challenge="positions.open",
    done="FLAT",
)
CLOSE = replace(
    FLATTEN,
    id="close",
    title="Flatten one",
    steps=(replace(FLATTEN.steps[0], each=None),),
    params=(Param("symbol", "Symbol", "positions.list", "symbol"),),
)
RESTART = Procedure(
    "restart",
    "Restart",
    RiskClass.DEGRADE,
    "Restarts one service.",
    (),
    "by hand",
    (
        Step("drain", "Look at the orders", Observe(), (Proof("orders.open", at_most=0),)),
        Step("told", "Ask the desk", Attest("The desk knows"), (), deadline=30.0),
        Step(
            "restart", "Restart $service", call("/restart"), (Proof("orders.open", at_most=0),), goes_on=True
        ),
        Step("reset", "Reset", call("/reset"), (Proof("breaker.state", ("OPEN",)),)),
    ),
    params=(Param("service", "Service", is_service=True),),
)
ALL = (HALT, RESUME, FLATTEN, CLOSE, RESTART)


@dataclass
class Desk:
    """The truth."""

    kill: str = "ENGAGED"
    kill_at: float = EPOCH - 3600
    epoch: int = 1
    breaker: str = "TRIPPED"
    orders: int = 0
    positions: dict[str, int] = field(default_factory=lambda: {"AAPL": 10, "MSFT": -5})
    recon_at: float = EPOCH - 10
    gateway: str = "healthy"
    sent: list[tuple[float, str, str]] = field(default_factory=list)
    """(when, operation, path) of every request that arrived."""
    effects: list[tuple[float, str]] = field(default_factory=list)
    switched: list[tuple[str, int]] = field(default_factory=list)
    """``engage`` and ``resume`` as they took effect, each with its epoch."""
    is_lost: bool = False
    """The store lost its data: the switch is missing, and nobody may trade."""

    def apply(self, path: str, body: Mapping[str, Any]) -> str | None:
        """Do it; a refusal in words, or None."""
        if path == "/engage":
            if self.kill != "ENGAGED" or self.is_lost:
                self.kill, self.kill_at, self.epoch = "ENGAGED", VirtualClock().now().wall, self.epoch + 1
                self.is_lost = False
                self.switched.append(("engage", self.epoch))
        elif path == "/resume":
            if self.is_lost or self.kill != "ENGAGED" or str(body["epoch"]) != str(self.epoch):
                return "another halt stands"
            self.kill = "ACTIVE"
            self.switched.append(("resume", self.epoch))
        elif path == "/reset":
            self.breaker = "OPEN"
        elif path == "/close":
            # Not idempotent, on purpose: asked twice it sells twice.
            size = self.positions.get(str(body["symbol"]), 0)
            self.positions[str(body["symbol"])] = 0 if size and not self._closed(body) else -size or 7
        self.effects.append((now(), f"{path} {body.get('symbol', '')}".strip()))
        return None

    def _closed(self, body: Mapping[str, Any]) -> bool:
        return any(what == f"/close {body['symbol']}" for _, what in self.effects)

    def value(self, fact: str) -> Any:
        """What a fact reads now; None for missing."""
        held = {symbol: size for symbol, size in self.positions.items() if size}
        rows = tuple((SafeText(symbol), SafeText(size)) for symbol, size in held.items())
        return {
            "kill.state": SafeText(self.kill),
            "kill.at": self.kill_at,
            "kill.epoch": self.epoch,
            "breaker.state": SafeText(self.breaker),
            "orders.open": self.orders,
            "positions.open": len(held),
            "positions.list": Table(("symbol", "qty"), rows, len(rows)),
            "recon.at": self.recon_at,
            "gateway": SafeText(self.gateway),
        }[fact]


@dataclass
class Life:
    """Of one console's process. Killed, it begins nothing more; what it sent arrives unheard."""

    is_over: bool = False

    async def during(self, what: Coroutine[Any, Any, T]) -> T:
        """What it comes to. Raises CancelledError in place of going on after the end."""
        if self.is_over:
            what.close()
            raise asyncio.CancelledError
        done = await what
        if self.is_over:
            raise asyncio.CancelledError
        return done


class Wire:
    """The way to the desk. ``faults`` says by path what happens: ok, refuse, lost, dropped, stuck, bug; slow
    answers late, late takes effect after everybody has given up, twice arrives two times.
    """

    def __init__(self, desk: Desk, faults: dict[str, str] | None = None, life: Life | None = None) -> None:
        self.desk = desk
        self.faults = faults if faults is not None else {}
        self.life = life or Life()

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        return await self.life.during(self._act(action, values))

    async def _act(self, action: Action, values: Mapping[str, Any]) -> Receipt:
        from backends.model.substitution import fill

        assert isinstance(action, HttpCall)
        body = fill(action.body or {}, values)
        self.desk.sent.append((now(), str(values["operation"]), action.path))
        await asyncio.sleep(0.01)
        fault = self.faults.get(action.path, "ok")
        if fault == "refuse":
            return Receipt(ReceiptKind.FAILED, SafeText("refused: answered 409"))
        if fault == "dropped":
            return Receipt(ReceiptKind.UNKNOWN, SafeText("no answer within 500 ms"))
        if fault == "stuck":
            await asyncio.Event().wait()
        if fault == "bug":
            raise KeyError("secret-4711")
        if fault == "lies":
            return Receipt(ReceiptKind.DONE, SafeText("done"))
        if fault == "late":
            asyncio.get_running_loop().call_later(3.0, self.desk.apply, action.path, body)
            return Receipt(ReceiptKind.UNKNOWN, SafeText("no answer within 500 ms"))
        if fault == "slow":
            await asyncio.sleep(0.4)
        refusal = self.desk.apply(action.path, body)
        if fault == "twice":
            self.desk.apply(action.path, body)
        if refusal is not None:
            return Receipt(ReceiptKind.FAILED, SafeText(refusal))
        if fault == "lost":
            return Receipt(ReceiptKind.UNKNOWN, SafeText("cut off before it answered"))
        return Receipt(ReceiptKind.DONE, SafeText("done"))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


class Looker:
    """Reads the truth, except where ``faults`` says how the way to a fact is broken."""

    def __init__(self, desk: Desk, faults: dict[str, str] | None = None, life: Life | None = None) -> None:
        self.desk = desk
        self.faults = faults if faults is not None else {}
        self.life = life or Life()
        self.looks: list[tuple[float, str, str]] = []
        """What was read: when, which fact, and its value in text, of a table how long it is."""

    async def look(self, fact: str, within: float) -> Reading[Any]:
        return await self.life.during(self._look(fact))

    async def _look(self, fact: str) -> Reading[Any]:
        await asyncio.sleep(0.005)
        at, fault = VirtualClock().now(), self.faults.get(fact, "ok")
        if fault == "missing" or (self.desk.is_lost and fact.startswith("kill.")):
            return Reading(fact, "desk", Outcome.MISSING, at, 1.0)
        if fault == "failed":
            return Reading(fact, "desk", Outcome.FAILED, at, 1.0, error=SafeText("refused"))
        if fault == "future":
            return Reading(fact, "desk", Outcome.OK, at, 1.0, value=self.desk.value(fact), observed_lag=-60.0)
        value = self.desk.value(fact)
        word = f"{value.total} rows" if isinstance(value, Table) else str(value)
        self.looks.append((now(), fact, word))
        return Reading(fact, "desk", Outcome.OK, at, 1.0, value=value)


@dataclass
class Pen:
    """One console's way to a journal that others write too."""

    paper: Paper
    life: Life

    async def record(self, entry: Entry, budget: float = BUDGET) -> bool:
        return await self.life.during(self.paper.record(entry, budget))

    def post(self, entry: Entry) -> None:
        if not self.life.is_over:
            self.paper.post(entry)


def desk_stack(*procedures: Procedure) -> Stack:
    kinds = {
        "kill.state": ValueType.TEXT,
        "kill.at": ValueType.TIME,
        "kill.epoch": ValueType.INT,
        "breaker.state": ValueType.TEXT,
        "orders.open": ValueType.INT,
        "positions.open": ValueType.INT,
        "positions.list": ValueType.TABLE,
        "recon.at": ValueType.TIME,
        "gateway": ValueType.TEXT,
    }
    facts = {
        name: Fact(name, name, "Desk", "desk", RedisQuery("get", name), kind) for name, kind in kinds.items()
    }
    gate = GateSpec(
        "kill.state",
        "kill switch",
        frozenset({"ACTIVE"}),
        frozenset({"ENGAGED"}),
        TradingState.UNKNOWN,
        "gone",
    )
    return replace(
        stack(),
        id="desk",
        sources={"desk": Source("desk", SourceKind.HTTP, "Desk", "http://127.0.0.1:1", 1.0, 0.5)},
        services=(ServiceSpec("trader", ("trader",), "orders", "desk"),),
        facts=facts,
        gates=(gate,),
        echoes=(),
        alarms=(),
        procedures={each.id: each for each in procedures or ALL},
    )


def asked(procedure: str = "resume", **changes: Any) -> Intent:
    """An intent with everything its class demands, as the desk stands at first."""
    made = Intent(
        "op-1",
        "desk",
        procedure,
        KIM,
        SafeText("all clear, ticket OPS-7"),
        seen=7,
        via="screen",
        challenge="2",
        phrase={"resume": "RESUME desk", "restart": "trader"}.get(procedure),
        shown={"epoch": "1"} if procedure == "resume" else {},
        params={"restart": {"service": "trader"}, "close": {"symbol": "AAPL"}}.get(procedure, {}),
    )
    return replace(made, **changes)


@dataclass
class Office:
    """A room in front of a desk."""

    desk: Desk
    wire: Wire
    looker: Looker
    paper: Paper
    procedures: Procedures
    runs: list[Run]
    life: Life


def office(
    desk: Desk | None = None,
    wire: dict[str, str] | None = None,
    looks: dict[str, str] | None = None,
    state: Path | None = None,
    takes: float | None = 0.001,
    paper: Paper | None = None,
    recent: Callable[[], Iterable[Mapping[str, Any]]] | None = None,
    **changes: Any,
) -> Office:
    desk = desk or Desk()
    life = Life()
    made, looker, paper = Wire(desk, wire, life), Looker(desk, looks, life), paper or Paper(takes)
    runs: list[Run] = []
    procedures = Procedures(
        replace(desk_stack(), **changes),
        arm(KIM, is_watch=False),
        {"desk": made},
        looker,
        Pen(paper, life),
        VirtualClock(),
        runs.append,
        Random(1).random,
        state,
        recent=recent or paper.records,
    )
    return Office(desk, made, looker, paper, procedures, runs, life)
