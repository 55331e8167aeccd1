"""A container that was never started, or whose end went wrong, is stopped: Docker answers 304, no more.

Compose leaves one ``created`` whose dependency did not become healthy. A proof that takes nothing but
``exited`` calls such a stop unproved for ever, in the middle of an emergency.
"""

from __future__ import annotations

import pytest

from backends.model.action import DockerVerb
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
def test_a_stop_of_a_container_that_was_never_made_or_was_removed_is_proved(name: str) -> None:
    """Docker has nothing to stop then and says no; what is not there sends nothing."""
    stack = load_stack(built_in()[name])
    missed = [
        f"{procedure.id}/{step.id}"
        for procedure in stack.procedures.values()
        for step in procedure.steps
        if isinstance(step.action, DockerVerb) and step.action.verb in ("stop", "kill")
        for proof in step.proof
        if str(proof.fact).startswith("service:") and not proof.is_missing
    ]
    assert missed == []
