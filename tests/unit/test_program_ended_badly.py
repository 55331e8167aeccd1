"""A program that ended badly, or a service that refused, has not done what was so before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.action import Action
from backends.model.procedure import Procedure, Receipt, ReceiptKind, Run, Step, StepState, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from backends.stacks.loader import built_in, load_stack
from tests.sim.desk import KIM, asked
from tests.sim.virtual import VirtualClock, simulate
from tests.sim.world import Paper

STACK = load_stack(built_in()["trading-platform"])
UP = STACK.procedures["compose-dev"]
"""Its proofs say that the services are healthy, which they also are when compose changed nothing."""
RELOAD = STACK.procedures["model-reload"]
"""Its proof says that a model is loaded, which is also the one of before."""
VERSION = SafeText("v1.2.0")


@dataclass
class Compose:
    """What ``says`` and does: all services are as they ``were`` until it ran, and healthy from then on."""

    says: ReceiptKind
    were: str
    runs: list[Step] = field(default_factory=list)

    async def act(self, _action: Action, _values: Mapping[str, Any], step: Step) -> Receipt:
        self.runs.append(step)
        return Receipt(self.says, SafeText("exit 15: required variable AUTH0_DOMAIN is missing a value"))

    async def look(self, fact: str, _within: float) -> Reading[Any]:
        after = "alive" if fact == "console.alive" else "healthy"
        known = {"kill.state": SafeText("ENGAGED"), "host.services": 0}
        value = known.get(fact, SafeText(after if self.runs else self.were))
        return Reading(fact, "x", Outcome.OK, VirtualClock().now(), 1.0, value=value)

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


def ran(compose: Compose, what: Procedure = UP, **shown: SafeText) -> Run:
    effectors = {step.action.source: compose for step in what.steps}
    room = Procedures(
        STACK, arm(KIM, is_watch=False), effectors, compose, Paper(), VirtualClock(), lambda run: None
    )
    phrase = what.phrase or STACK.id
    return simulate(room.execute(asked(what.id, stack=STACK.id, phrase=phrase, shown=shown)))


class Standing(Compose):
    """Everything runs and is healthy, whatever compose does."""

    async def look(self, fact: str, within: float) -> Reading[Any]:
        self.were = "alive" if fact == "console.alive" else "healthy"
        return await super().look(fact, within)


@pytest.mark.parametrize(
    ("says", "verdict"),
    [(ReceiptKind.UNKNOWN, Verdict.UNCONFIRMED), (ReceiptKind.FAILED, Verdict.FAILED)],
    ids=["it ended badly", "it never ran"],
)
def test_what_ran_before_proves_nothing_of_a_compose_that_changed_nothing(
    says: ReceiptKind, verdict: Verdict
) -> None:
    run = ran(Standing(says, "healthy"))
    assert run.verdict is verdict, run.sentence
    assert "AUTH0_DOMAIN" in run.sentence


def test_what_came_only_then_proves_that_it_was_done_all_the_same() -> None:
    run = ran(Compose(ReceiptKind.UNKNOWN, "exited"))
    assert run.verdict is Verdict.VERIFIED, run.sentence


def test_a_compose_that_ended_well_is_believed_when_all_is_as_it_must_be() -> None:
    run = ran(Standing(ReceiptKind.DONE, "healthy"))
    assert run.verdict is Verdict.VERIFIED, run.sentence


class Loaded(Compose):
    """A model is loaded, whatever the service is asked for."""

    async def look(self, fact: str, within: float) -> Reading[Any]:
        known = {"signal.model_loaded": True, "models.doubtful": 0}
        known |= dict.fromkeys(("models.version", "signal.model"), VERSION)
        read = await super().look(fact, within)
        return replace(read, value=known[fact]) if fact in known else read


@pytest.mark.parametrize(
    ("says", "state"),
    [
        (ReceiptKind.UNKNOWN, StepState.UNKNOWN),
        (ReceiptKind.FAILED, StepState.FAILED),
        (ReceiptKind.DONE, StepState.VERIFIED),
    ],
    ids=["no answer came", "it was refused", "it was done"],
)
def test_a_model_of_before_proves_nothing_of_a_reload_that_was_refused(
    says: ReceiptKind, state: StepState
) -> None:
    run = ran(Loaded(says, "healthy"), RELOAD, version=VERSION)
    assert not run.blockers, run.blockers
    assert run.steps[0].state is state, run.sentence
