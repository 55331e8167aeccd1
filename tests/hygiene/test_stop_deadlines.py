"""A step of a stop gives up soon; which shipped one may take longer is listed here, each with why.

A server has 250 ms to let a stop in and 500 ms to answer its call, and the effect a second to be read back:
whoever writes a step need not say so. A step that may take longer has to be argued for here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Final

from backends.model.action import Observe
from backends.model.procedure import Proof, RiskClass, Step
from backends.stacks import schema, schema_do
from backends.stacks.loader import built_in, describe

Limits = tuple[float, float, float]
"""Seconds to connect, for the call, and until its effect must have been read back."""

USUAL: Final = (0.25, 0.5, 1.0)
DOCKER: Final = "the engine answers when the container has ended: after its grace and some seconds more"
BROKER: Final = "the gateway asks the broker before it answers, and tells the database after that"
BOT: Final = "a bot looks at what it is told every few seconds"

ARGUED: Final[dict[str, tuple[Limits, str]]] = {
    "claire-de-binare/halt/stream": ((0.25, 0.5, 2.5), "execution looks at its stream once a second"),
    "claire-de-binare/pause/allocation": ((0.25, 0.5, 1.5), "a service writes down what it has read"),
    "claire-de-binare/halt*/execution": ((0.25, 6.0, 10.0), DOCKER),
    "claire-de-binare/halt-hard/signal": ((0.25, 6.0, 10.0), DOCKER),
    "claire-de-binare/halt-hard/risk": ((0.25, 8.0, 10.0), DOCKER),
    "claire-de-binare/halt-hard/execution-kill": ((0.25, 3.0, 5.0), DOCKER),
    "hummingbot-desk/*/watchdog": ((0.25, 12.0, 6.0), DOCKER),
    "hummingbot-desk/*/kill": ((0.5, 8.0, 8.0), "the service cancels at the exchange before it answers"),
    "hummingbot-desk/*/manual*": ((0.25, 2.0, 8.0), f"a file is copied and written anew; {BOT}"),
    "hummingbot-desk/*/intent*": ((0.25, 0.5, 8.0), BOT),
    "hummingbot-desk/*/stop*": (
        (0.25, 65.0, 8.0),
        "a bot needs its minute of grace to cancel its orders; a shorter one leaves them at the exchange",
    ),
    "trading-bot/halt*/mode": ((0.25, 0.5, 1.5), "read twice, that no other writer has put it back"),
    "trading-bot/halt*/engine": ((0.25, 10.0, 10.0), "systemd answers when the unit has ended"),
    "trading-bot/halt/quotes": ((0.25, 0.5, 3.0), "read three times: the last quotes may be under way"),
    "trading-bot/halt*/orders": ((0.25, 0.5, 2.0), "the last orders may be under way"),
    "trading-platform/halt/orchestrator": ((0.25, 1.5, 1.5), "a service on the way that may be busy"),
    "trading-platform/stop-senders/*": ((0.25, 5.0, 4.0), DOCKER),
    "trading-platform/cancel-all/symbol": ((0.25, 4.0, 6.0), BROKER),
    "trading-platform/cancel-all/order": ((0.25, 3.0, 5.0), BROKER),
    "trading-platform/cancel-all/none": ((0.25, 0.5, 7.0), "read twice, once every order had its time"),
    "trading-platform/cancel-one/service": ((0.25, 3.0, 6.0), BROKER),
    "trading-platform/cancel-one/manual": ((0.25, 4.0, 5.0), BROKER),
}  # fmt: skip
"""By stack, procedure and step; in every generation."""


def limits(step: Step) -> Limits:
    return step.connect, step.deadline, max((proof.within for proof in step.proof), default=0.0)


def slower() -> Iterator[tuple[str, Limits]]:
    """Every step of a shipped stop that may take longer than usual."""
    for ident, path in built_in().items():
        described = describe(path)
        for form in (described, *described.others):
            for procedure in form.build(form.sources()).procedures.values():
                for step in procedure.steps if procedure.risk is RiskClass.STOP else ():
                    if any(one > usual for one, usual in zip(limits(step), USUAL, strict=True)):
                        yield f"{ident}/{procedure.id}/{step.id}", limits(step)


def test_who_says_nothing_gives_a_server_a_quarter_and_half_a_second_and_the_effect_one() -> None:
    step = Step("x", "X", Observe(), (Proof("fact"),))
    assert limits(step) == USUAL
    said = schema.StepSpec("x", "X", schema_do.ObserveSpec(), [schema.ProofRow("fact")])
    assert (said.connect, said.deadline, said.proof[0].within) == USUAL


def test_every_step_of_a_stop_that_may_take_longer_is_argued_for() -> None:
    found = list(slower())
    for name, taken in found:
        reasons = [limit for pattern, (limit, _) in ARGUED.items() if fnmatch(name, pattern)]
        assert reasons == [taken], name
    idle = [pattern for pattern in ARGUED if not any(fnmatch(name, pattern) for name, _ in found)]
    assert idle == [], "what is no longer slower needs no excuse"
