"""Whatever can bring trading back, in every stack and generation there is, waits for the minimum halt: 60 s
since the last stop, and 30 s in which all that it demands held without a break."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pytest
from msgspec.structs import replace

from backends.model.action import Command
from backends.model.board import CLOCK, Board
from backends.model.condition import Condition
from backends.model.fact import Table
from backends.model.procedure import Procedure, RiskClass
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.trading import Trading, TradingState
from backends.model.weigh import weigh
from backends.procedures.conditions import filled
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from backends.stacks.loader import built_in, describe
from tests.sim.desk import KIM, asked
from tests.sim.virtual import VirtualClock, simulate
from tests.sim.world import Paper

HALT: Final = 60.0
CALM: Final = 30.0

BOT: Final = "bot1"
CHOSEN: Mapping[str, str] = {
    "bot": BOT,
    "controller": "x",
    "project": "x",
    "image": "a/b:1",
    "script": "a.yml",
}

COMES_UP_HALTED = "what it starts comes up halted"
NO_ORDERS = "it starts nothing that places orders"
TRADES_ALREADY = "it demands that trading is on"

FREE: Mapping[tuple[str, str], str] = {
    ("claire-de-binare", "docker-daemon"): COMES_UP_HALTED,
    ("claire-de-binare", "network-restart"): COMES_UP_HALTED,
    ("claire-de-binare", "start-isolated"): COMES_UP_HALTED,
    ("claire-de-binare", "stack-recover"): COMES_UP_HALTED,
    ("claire-de-binare", "complete-failure"): COMES_UP_HALTED,
    ("hummingbot-desk", "upgrade-live"): NO_ORDERS,
    ("surveillance", "alerting-on"): NO_ORDERS,
    ("surveillance", "exchange-on"): NO_ORDERS,
    ("surveillance", "workers-start"): NO_ORDERS,
    ("trading-bot", "capital-approve"): NO_ORDERS,
    ("trading-bot", "set-weight"): NO_ORDERS,
    ("trading-platform", "paper-run"): TRADES_ALREADY,
    ("trading-platform", "paper-run-own"): TRADES_ALREADY,
    ("trading-platform", "paper-run-file"): TRADES_ALREADY,
}
"""Restores that may come at once, each with why: they cannot bring back what was stopped."""


def forms() -> Iterator[tuple[str, Stack]]:
    for ident, path in built_in().items():
        described = describe(path)
        for form in (described, *described.others):
            name = ident if form.generation is None else f"{ident} {form.generation.id}"
            yield name, form.build(form.sources())


FORMS = dict(forms())
RESTORES = {
    f"{form}: {procedure.id}": (stack, procedure)
    for form, stack in FORMS.items()
    for procedure in stack.procedures.values()
    if procedure.risk is RiskClass.RESTORE
}
WAITING = {name: it for name, it in RESTORES.items() if (it[0].id, it[1].id) not in FREE}


def halts(procedure: Procedure) -> list[Condition]:
    """What it demands about how long trading was halted."""
    return [each for each in procedure.requires if (each.min_age, each.unchanged_for) != (None, None)]


def is_back(stack: Stack, procedure: Procedure) -> bool:
    """Whether it undoes a stop, is undone by one, or is proved by a switch that reads open."""
    stops = [each for each in stack.procedures.values() if each.risk is RiskClass.STOP]
    is_undone = procedure.reversible_by in [each.id for each in stops]
    undoes = procedure.id in [each.reversible_by for each in stops]
    open_words = {gate.fact: gate.trading for gate in stack.gates}
    proofs = (proof for step in procedure.steps for proof in step.proof)
    opens = any(open_words.get(proof.fact, frozenset()) & {*proof.equals} for proof in proofs)
    return is_undone or undoes or opens


@pytest.mark.parametrize("name", WAITING)
def test_it_waits_for_a_minute_of_halt_and_half_a_minute_of_calm(name: str) -> None:
    _, procedure = WAITING[name]
    ages = [max(each.min_age or 0.0, each.unchanged_for or 0.0) for each in halts(procedure)]
    assert min(ages, default=0.0) >= HALT, "how long trading was halted"
    assert procedure.held_for >= CALM


def test_what_need_not_wait_is_known_and_cannot_bring_trading_back() -> None:
    known = {(stack.id, procedure.id): (stack, procedure) for stack, procedure in RESTORES.values()}
    assert FREE.keys() <= known.keys()
    assert [key for key in FREE if is_back(*known[key])] == []
    for (ident, name), why in FREE.items():
        stack, procedure = known[ident, name]
        demanded = {each.fact: {*each.equals} for each in procedure.requires}
        made = {proof.fact: {*proof.equals} for step in procedure.steps for proof in step.proof}
        shut = {gate.fact: gate.halted for gate in stack.gates if gate.latches}
        if why == COMES_UP_HALTED:
            assert any((demanded | made).get(fact, {None}) <= words for fact, words in shut.items()), name
        if why == TRADES_ALREADY:
            assert any(demanded.get(gate.fact, {""}) <= gate.trading for gate in stack.gates), name


def test_what_undoes_a_stop_or_is_undone_by_one_is_known_to_bring_trading_back() -> None:
    """So that the rule by which it is found is not one that finds nothing."""
    found = {name for name, it in RESTORES.items() if is_back(*it)}
    assert found <= WAITING.keys()
    assert {
        "claire-de-binare: resume", "claire-de-binare: unpause", "hummingbot-desk R1: resume-bot",
        "hummingbot-desk R0: recreate-bot1", "hummingbot-desk H: start-desk", "trading-bot: resume-paper",
        "trading-bot: resume-auto", "trading-platform: breaker-reset", "trading-platform: resume",
    } <= found  # fmt: skip


def chosen(procedure: Procedure) -> dict[str, str]:
    return {each.name: CHOSEN.get(each.name) or each.one_of[0] for each in procedure.params}


class World:
    """Every demand is met, but for how long: halted, and watched, for ``halted`` seconds."""

    def __init__(self, stack: Stack, procedure: Procedure) -> None:
        self.halted = 0.0
        self.stack = stack
        self._conditions: dict[str, list[Condition]] = {}
        for each in (filled(each, chosen(procedure)) for each in procedure.requires):
            self._conditions.setdefault(each.fact, []).append(each)
        self._well = {fact: self._value(fact, each) for fact, each in self._conditions.items()}

    def _value(self, fact: str, conditions: Iterable[Condition]) -> Any:
        """Something that meets them, None for that it is not there."""
        spec, at = self.stack.facts.get(fact), VirtualClock().now()
        words = [word for each in conditions for word in each.equals]
        words += [] if spec is None else [*(spec.meanings or {})]
        for value in (*map(SafeText, words), None, at.wall - 2 * HALT, at.wall - 1, 0.0, 0.5, *range(1, 20)):
            reading = replace(self._reading(fact, value), past_at_least=HALT, unchanged_at_least=HALT)
            if all(weigh(each, spec, reading, at).is_well for each in conditions):
                return value
        raise AssertionError(f"nothing is well for {fact}")

    def _reading(self, fact: str, value: Any) -> Reading[Any]:
        outcome = Outcome.MISSING if value is None else Outcome.OK
        made = Reading(fact, "x", outcome, VirtualClock().now(), 1.0, value=value, observed_lag=0.0)
        return replace(made, past_at_least=self.halted, unchanged_at_least=self.halted)

    async def look(self, fact: str, within: float) -> Reading[Any]:
        if fact.startswith(CLOCK):
            return self._reading(fact, 0.01)
        if fact not in self._well:
            return self._reading(fact, Table((), (), 0))  # what steps are repeated for
        aged = any(each.min_age is not None for each in self._conditions[fact])
        return self._reading(fact, VirtualClock().now().wall - self.halted if aged else self._well[fact])

    async def board(self) -> Board:
        at = VirtualClock().now()
        readings = {fact: await self.look(fact, 1.0) for fact in self._conditions}
        trading = Trading(TradingState.HALTED, SafeText("x"), at, at)
        return Board(
            self.stack.id, 1, at, self.stack.environment, readings=readings, sources={}, trading=trading
        )


class Room:
    """A room before that world, and the dry runs made in it."""

    def __init__(self, stack: Stack, procedure: Procedure) -> None:
        # Whether its instances are alike is another demand.
        alone = replace(stack, services=tuple(each for each in stack.services if each.instance_of is None))
        self.world = World(stack, procedure)
        self._procedure = procedure
        self._procedures = Procedures(
            alone, arm(KIM, is_watch=False), {}, self.world, Paper(), VirtualClock(), lambda _run: None
        )

    async def watch(self, seconds: int) -> None:
        """For so long everything is well."""
        for step in (0, *(4 for _ in range(seconds // 4)), seconds % 4):
            await asyncio.sleep(step)
            self._procedures.watch(await self.world.board())

    async def against(self, halted: float) -> list[str]:
        """What stands against it after such a halt: ids of demands, else words."""
        self.world.halted = halted
        params = chosen(self._procedure)
        wanted = asked(self._procedure.id, stack=self.world.stack.id, is_dry=True, params=params)
        blockers = map(str, (await self._procedures.execute(wanted)).blockers)
        ids = {each.because.replace("$bot", BOT): each.id for each in self._procedure.requires}
        return [next((ids[why] for why in ids if each.startswith(why)), each) for each in blockers]


def test_whoever_starts_a_bot_that_trades_by_itself_brings_trading_back() -> None:
    """At H all bots do, with real money where BOT_MODE is not paper."""
    stack = FORMS["hummingbot-desk H"]
    bots = {gate.service for gate in stack.gates}
    begun = {
        procedure.id: procedure.risk
        for procedure in stack.procedures.values()
        for step in procedure.steps
        if isinstance(step.action, Command) and "up" in step.action.argv and bots & {*step.action.argv}
    }
    paper = begun.pop("bot1-profile")
    assert paper is RiskClass.DEGRADE, "it writes BOT1_MODE=paper first"
    assert {"start-bot3", "start-validation", "recreate-bot4", "upgrade-test"} <= begun.keys()
    assert {*begun.values()} == {RiskClass.RESTORE}


@pytest.mark.parametrize("name", WAITING)
def test_59_seconds_of_halt_or_29_of_calm_are_refused_and_60_and_30_are_not(name: str) -> None:
    stack, procedure = WAITING[name]

    async def found() -> list[list[str]]:
        room = Room(stack, procedure)
        await room.watch(29)
        hasty = await room.against(HALT)
        await room.watch(1)
        return [hasty, await room.against(HALT - 1), await room.against(HALT)]

    calm = "everything must have been well for 30 s without a break and has been for 29 s"
    assert simulate(found()) == [[calm], [each.id for each in halts(procedure)], []]
