"""A container that was never started, or whose end went wrong, is stopped: Docker answers 304, no more.

Compose leaves one ``created`` whose dependency did not become healthy. A proof that takes nothing but
``exited`` calls such a stop unproved for ever, in the middle of an emergency.
"""

from __future__ import annotations

import pytest

from backends.model.action import DockerVerb
from backends.model.procedure import RiskClass
from backends.stacks.loader import built_in, load_stack

ENDED = {"exited", "dead", "created"}


@pytest.mark.parametrize("name", sorted(built_in()))
def test_every_stop_of_a_container_is_proved_by_whatever_state_does_not_run(name: str) -> None:
    stack = load_stack(built_in()[name])
    missed = [
        f"{procedure.id}/{step.id}"
        for procedure in stack.procedures.values()
        for step in procedure.steps
        if isinstance(step.action, DockerVerb) and step.action.verb in ("stop", "kill")
        for proof in step.proof
        if str(proof.fact).startswith("service:") and proof.equals and not set(proof.equals) >= ENDED
    ]
    assert missed == []


@pytest.mark.parametrize("name", sorted(built_in()))
def test_no_stop_takes_a_container_that_is_not_there_for_one_that_does_not_run(name: str) -> None:
    """It may run under another name, or on another engine than the one that is asked."""
    stack = load_stack(built_in()[name])
    trusting = [
        f"{procedure.id}/{step.id}"
        for procedure in stack.procedures.values()
        for step in procedure.steps
        if procedure.risk is RiskClass.STOP and isinstance(step.action, DockerVerb)
        for proof in step.proof
        if str(proof.fact).startswith("service:") and proof.is_missing
    ]
    assert trusting == []
