"""What trading-platform's own file demands before trading is resumed or the market is moved, each alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from backends.model.action import Action, Attest, DockerVerb
from backends.model.board import CLOCK
from backends.model.fact import Table
from backends.model.procedure import Receipt, ReceiptKind, RiskClass, Run, Step
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from backends.stacks.loader import built_in, load_stack
from tests.id_token import id_token
from tests.sim.desk import KIM, asked
from tests.sim.virtual import EPOCH, VirtualClock, simulate
from tests.sim.world import Paper

STACK = load_stack(built_in()["trading-platform"])

AAPL, MSFT = (
    Table(("symbol", "client_order_id"), ((SafeText(name), SafeText("o-1")),), 1) for name in ("AAPL", "MSFT")
)
WELL: dict[str, Any] = {
    "kill.state": "ENGAGED", "kill.at": EPOCH - 61, "kill.epoch": "t0", "orchestrator.kill": "ENGAGED",
    "breaker.state": "OPEN", "breaker.at": EPOCH - 61, "breaker.epoch": "t0", "breaker.reason": "drawdown",
    "gateway.health": "healthy", "gateway.database": True, "gateway.broker": True, "gateway.dry_run": False,
    "signal.health": "healthy", "orchestrator.health": "healthy", "recon.complete": True,
    "quarantine.keys": 0, "orphans.open": 0, "orders.stuck": 0, "orders.unsent": 0, "orders.open": 0,
    "orders.ids": MSFT, "positions.open": 1, "positions.list": AAPL, "limits.flatten": 0,
    "closing.unsent": MSFT,
    "backup.whole": "PostgreSQL database cluster dump complete", "backup.at": EPOCH - 86_000,
    "recon.behind": 310.0, "account.blocked": False, "signal.model_loaded": True, "models.doubtful": 0,
    "feed.health": "healthy", "feed.age": 4.0, "held.unpriced": Table((), (), 0),
    "service:execution_gateway": "exited", "host.services": Table((), (), 0),
}  # fmt: skip
ON_HOST = Table(("pid", "command"), ((SafeText("7"), SafeText("uvicorn apps.orchestrator.main:app")),), 1)

HALTED = ("halted", {"kill.state": "ACTIVE"})
NO_ORDERS = ("cancelled", {"orders.open": 1})
UNSENT = ("unsent", {"orders.unsent": 1})
"""T4 and T5: what the database calls canceled may yet fill, and a second closing order turns the position."""
BROKER = ("broker", {"gateway.broker": False})
REAL = ("no-dry-run", {"gateway.dry_run": True})
WRONG: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "resume": (
        HALTED, ("long-enough", {"kill.at": EPOCH - 59}), ("breaker", {"breaker.state": "TRIPPED"}),
        ("agreed", {"orchestrator.kill": "ACTIVE"}), ("gateway", {"gateway.health": "degraded"}),
        ("database", {"gateway.database": False}), BROKER, ("reconciled", {"recon.complete": False}),
        ("compared", {"recon.behind": 601.0}), ("account", {"account.blocked": True}),
        ("signal", {"signal.health": "unhealthy"}), ("model", {"signal.model_loaded": False}),
        ("one-model", {"models.doubtful": 1}), ("feed", {"feed.health": "degraded"}),
        ("young", {"feed.age": 31.0}), ("priced", {"held.unpriced": AAPL}),
        ("orchestrator", {"orchestrator.health": "unhealthy"}),
        ("quarantine", {"quarantine.keys": 1}), ("orphans", {"orphans.open": 1}),
        ("stuck", {"orders.stuck": 1}), UNSENT,
    ),
    "breaker-reset": (
        HALTED, ("tripped", {"breaker.state": "QUIET_PERIOD"}), ("long-enough", {"breaker.at": EPOCH - 59}),
    ),
    "flatten-all": (HALTED, NO_ORDERS, UNSENT, BROKER, REAL),
    "flatten-symbol": (
        HALTED, ("cancelled", {"orders.ids": AAPL}), ("unsent", {"closing.unsent": AAPL}), BROKER, REAL,
    ),
    "flatten-mfa": (HALTED, NO_ORDERS, UNSENT, BROKER, ("unlocked", {"limits.flatten": 1}), REAL),
    "restart-redis": (
        ("gateway", {"service:execution_gateway": "running"}), ("not-on-host", {"host.services": ON_HOST}),
    ),
    "shutdown": (
        HALTED, NO_ORDERS, ("whole", {"backup.whole": "cut off"}), ("new", {"backup.at": EPOCH - 86_500}),
    ),
}  # fmt: skip
NOTHING_TO_TELL = {"compared", "account", "young", "gateway of restart-redis"}
"""In dry run and while the exchange is closed there is no such thing; nor of what was never made."""
PARAMS = {
    "flatten-symbol": {"symbol": "AAPL"},
    "flatten-mfa": {"id_token": id_token({"auth_time": EPOCH - 9})},
}
BESIDES = {"breaker-reset": {"breaker.state": "TRIPPED"}}
CALM = "everything must have been well for 30 s without a break and has been for 0 s"
CASES = [(name, *case) for name, cases in WRONG.items() for case in cases]


class Looker:
    """Everything is well but what is said to be wrong; None is missing."""

    def __init__(self, wrong: Mapping[str, Any]) -> None:
        self.now = {**WELL, **wrong}

    async def look(self, fact: str, within: float) -> Reading[Any]:
        at = VirtualClock().now()
        value = 0.01 if fact.startswith(CLOCK) else self.now[fact]
        if value is None:
            return Reading(fact, "x", Outcome.MISSING, at, 1.0)
        value = SafeText(value) if isinstance(value, str) else value
        return Reading(fact, "x", Outcome.OK, at, 1.0, value=value, past_at_least=at.wall - EPOCH + 3600)


def against(
    name: str, wrong: Mapping[str, Any], params: Mapping[str, Mapping[str, str]] = PARAMS
) -> list[str]:
    """What a dry run names: the id of each condition, and in words whatever is none."""
    runs: list[Run] = []
    looker = Looker({**BESIDES.get(name, {}), **wrong})
    room = Procedures(STACK, arm(KIM, is_watch=False), {}, looker, Paper(), VirtualClock(), runs.append)
    wanted = asked(name, stack=STACK.id, is_dry=True, params=params.get(name, {}))
    ids = {each.because.replace("$symbol", "AAPL"): each.id for each in STACK.procedures[name].requires}
    blockers = map(str, simulate(room.execute(wanted)).blockers)
    return [next((ids[why] for why in ids if each.startswith(why)), each) for each in blockers]


@pytest.mark.parametrize("name", WRONG)
def test_these_are_its_preconditions_and_when_all_is_well_none_stands_against_it(name: str) -> None:
    assert [each.id for each in STACK.procedures[name].requires] == [ident for ident, _ in WRONG[name]]
    assert against(name, {}) == ([CALM] if STACK.procedures[name].held_for else [])


@pytest.mark.parametrize(("name", "ident", "wrong"), CASES, ids=lambda it: it if isinstance(it, str) else "")
@pytest.mark.parametrize("is_gone", [False, True], ids=["wrong", "missing"])
def test_each_alone_keeps_it_from_starting_and_is_named(
    name: str, ident: str, wrong: dict[str, Any], is_gone: bool
) -> None:
    found = against(name, dict.fromkeys(wrong) if is_gone else wrong)
    is_well = is_gone and NOTHING_TO_TELL & {ident, f"{ident} of {name}"}
    assert [each for each in found if each in dict(WRONG[name])] == ([] if is_well else [ident])


def test_a_resume_takes_a_second_person_half_a_minute_of_calm_and_the_halt_that_was_seen() -> None:
    resume = STACK.procedures["resume"]
    assert (resume.risk, resume.needs_approval, resume.held_for) == (RiskClass.RESTORE, True, 30.0)
    assert resume.seen == {"epoch": "kill.epoch"}


def test_what_nobody_can_observe_of_a_resume_is_shown_and_confirmed_before_anything_is_sent() -> None:
    """Whether the cause is written down, and orders, positions, reservations and the account are as intended,
    a person alone can tell."""
    resume = STACK.procedures["resume"]
    assert {"gateway.dry_run", "gateway.paper", "orders.open", "positions.open", "reservations.drift"} <= {
        *resume.shows
    }
    first, *others = resume.steps
    assert isinstance(first.action, Attest)
    assert not any(isinstance(step.action, Attest) for step in others)
    for word in ("cause", "orders", "positions", "reservations", "dry run", "account"):
        assert word in str(first.action.text).lower(), word


@pytest.mark.parametrize(
    "name", ["start-on-host", "start-applications", "compose-dev", "compose-dev-workers", "compose-build"]
)
def test_nothing_is_started_beside_a_service_that_was_left_running_on_the_host(name: str) -> None:
    """It holds the port, and answers in the place of what is started."""
    left = {f"service:{each.name}": None for each in STACK.services} | {"host.services": ON_HOST}
    assert any("on this host" in each or each in ("not-on-host", "none-yet") for each in against(name, left))
    none = {**left, "host.services": Table((), (), 0)}
    assert not {"not-on-host", "none-yet"} & {*against(name, none)}


def test_one_call_that_closes_everything_is_not_spent_on_an_old_sign_in() -> None:
    """T16: a refusal of the gateway's locks it for 300 s."""
    old = {"flatten-mfa": {"id_token": id_token({"auth_time": EPOCH - 71})}}
    (why,) = against("flatten-mfa", {}, old)
    assert why == "ID token with MFA: its sign-in is 71 s old, and 55 s count. Sign in anew"


class Starter:
    """Starts whatever is to be started; at ``loses`` starts the switch's key is gone and made ACTIVE."""

    def __init__(self, looker: Looker, loses: int) -> None:
        self.started: list[str] = []
        self._looker = looker
        self._loses = loses

    async def act(self, action: Action, _values: Mapping[str, Any], _step: Step) -> Receipt:
        self.started.append(action.service if isinstance(action, DockerVerb) else "a unit")
        if len(self.started) == self._loses:
            self._looker.now["kill.state"] = "ACTIVE"
        return Receipt(ReceiptKind.DONE, SafeText("done"))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


@pytest.mark.parametrize("name", ["start-applications", "start-on-host"])
@pytest.mark.parametrize("loses", [1, 2])
def test_what_sends_orders_is_not_started_once_the_halt_is_gone(name: str, loses: int) -> None:
    """A gateway that starts without the key writes ACTIVE, and the orchestrator would trade at once."""
    looker, runs = Looker({"console.alive": "alive"}), list[Run]()
    looker.now |= {
        f"service:{each.name}": None if name == "start-on-host" else "healthy" for each in STACK.services
    }
    starter = Starter(looker, loses)
    effectors = {step.action.source: starter for step in STACK.procedures[name].steps}
    room = Procedures(
        STACK, arm(KIM, is_watch=False), effectors, looker, Paper(), VirtualClock(), runs.append
    )
    run = simulate(room.execute(asked(name, stack=STACK.id, phrase=STACK.id, shown={})))
    assert len(starter.started) == loses, run.sentence
    assert "Kill switch reads ACTIVE" in run.sentence
