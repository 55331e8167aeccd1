"""Cancelling orders of trading-platform, by its own file: what is left is named, two looks prove none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from backends.engine import Mode
from backends.model.action import Action, HttpCall
from backends.model.fact import Table
from backends.model.procedure import Receipt, ReceiptKind, Run, Step, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.substitution import fill
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from backends.stacks.loader import built_in, load_stack
from tests.sim.desk import KIM, asked
from tests.sim.virtual import VirtualClock, simulate
from tests.sim.world import Paper, now
from tui.commands.exitcode import ExitCode
from tui.commands.verdict import is_proved, of_run

STACK = load_stack(built_in()["trading-platform"])


@dataclass
class Gateway:
    """Open orders by their id, each with its symbol. What is ``stuck`` cannot be cancelled."""

    orders: dict[str, str] = field(default_factory=lambda: {"a-1": "AAPL", "a-2": "AAPL", "m-1": "MSFT"})
    stuck: frozenset[str] = frozenset()
    answer: ReceiptKind = ReceiptKind.FAILED
    """To a request to cancel what is stuck."""
    unsent: list[str] = field(default_factory=list)
    """Closing orders that are called canceled although the broker was never asked."""
    looks: list[float] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        assert isinstance(action, HttpCall)
        wanted = [each for each, of in self.orders.items() if of == str(values.get("symbol"))]
        for name in {"client_order_id", "order"} & set(values):
            wanted = [str(fill(f"${name}", values))]
        await asyncio.sleep(0.01)
        for each in set(wanted) - self.stuck:
            self.ended += [each] if self.orders.pop(each, None) else []
        is_done = not set(wanted) & self.stuck
        return Receipt(ReceiptKind.DONE if is_done else self.answer, SafeText("answered"))

    async def look(self, fact: str, within: float) -> Reading[Any]:
        await asyncio.sleep(0.001)
        self.looks += [now()] if fact == "orders.open" else []
        symbols = dict.fromkeys(self.orders.values())
        tables: dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]] = {
            "orders.ids": (("client_order_id", "symbol"), list(self.orders.items())),
            "orders.symbols": (("symbol",), [(each,) for each in symbols]),
            "closing.unsent": (("client_order_id",), [(each,) for each in self.unsent]),
            "orders.ended": (("client_order_id",), [(each,) for each in self.ended]),
        }
        value: Any = len(self.orders)
        if fact in tables:
            columns, rows = tables[fact]
            # An answer without rows names no columns either.
            shown = columns if rows else ()
            value = Table(shown, tuple(tuple(map(SafeText, row)) for row in rows), len(rows))
        return Reading(fact, "x", Outcome.OK, VirtualClock().now(), 1.0, value=value)

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


def cancelled(gateway: Gateway, name: str = "cancel-all", **params: str) -> Run:
    effectors = dict.fromkeys(("gateway", "gateway-account"), gateway)

    async def press() -> Run:
        room = Procedures(
            STACK, arm(KIM, is_watch=False), effectors, gateway, Paper(), VirtualClock(), lambda run: None,
            jitter=lambda: 0.5,
        )  # fmt: skip
        run = await room.execute(asked(name, stack=STACK.id, params=params))
        await room.close()
        return run

    return simulate(press())


def test_none_is_open_at_two_looks_a_second_apart() -> None:
    gateway = Gateway()
    run = cancelled(gateway)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert gateway.looks[-1] - gateway.looks[0] >= 1.0


def test_one_that_is_left_makes_it_partial_and_is_named() -> None:
    run = cancelled(Gateway(stuck=frozenset({"m-1"})))
    assert run.verdict is Verdict.PARTIAL, run.sentence
    assert of_run(run, Mode.ARMED) == ExitCode.PARTIAL
    assert str(run.sentence).startswith("PARTLY ALL ORDERS CANCELLED")
    assert "reads 1: m-1" in run.sentence
    assert "a-1" not in run.sentence


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(ReceiptKind.DONE, Verdict.CONTRADICTED), (ReceiptKind.FAILED, Verdict.FAILED)],
)
def test_when_all_are_left_it_is_never_partial(answer: ReceiptKind, verdict: Verdict) -> None:
    stuck = frozenset(Gateway().orders)
    run = cancelled(Gateway(stuck=stuck, answer=answer))
    assert run.verdict is verdict, run.sentence


def test_what_is_called_cancelled_and_is_open_is_a_contradiction() -> None:
    run = cancelled(Gateway(stuck=frozenset({"m-1"}), answer=ReceiptKind.DONE))
    assert run.verdict is Verdict.CONTRADICTED
    assert "m-1" in run.sentence


def test_a_closing_order_that_is_called_canceled_and_was_never_asked_about_is_named_with_what_to_do() -> None:
    """T4: the database has no open order, and at the broker one may live."""
    run = cancelled(Gateway(unsent=["close-9"]))
    assert run.verdict is Verdict.CONTRADICTED
    assert str(run.sentence).startswith("ORDERS LEFT OPEN")
    assert "reads 1: close-9; cancel these in the broker's dashboard" in run.sentence


def test_one_closing_order_that_the_broker_was_never_asked_about_is_not_called_cancelled() -> None:
    """T4 again: it is no longer open in the database. What became so to other orders does not count."""
    assert cancelled(Gateway(unsent=["close-9"]), "cancel-one", order="a-1").verdict is Verdict.VERIFIED
    run = cancelled(Gateway(unsent=["a-1"]), "cancel-one", order="a-1")
    assert run.verdict is Verdict.CONTRADICTED, run.sentence
    assert str(run.sentence).startswith("ORDER STILL OPEN")
    assert "reads 1: a-1; cancel it in the broker's dashboard" in run.sentence


def test_an_order_that_never_was_is_not_called_cancelled() -> None:
    """A typing error, and none is open: what cannot be found in an empty list cannot be refused either."""
    run = cancelled(Gateway(orders={}, ended=["a-1"]), "cancel-one", order="a-l")
    assert not is_proved(run), run.sentence
    assert "no order of this id has ended: look at its spelling" in run.sentence


def test_an_order_that_has_ended_before_is_cancelled_already() -> None:
    run = cancelled(Gateway(orders={}, ended=["a-1"]), "cancel-one", order="a-1")
    assert is_proved(run), run.sentence
