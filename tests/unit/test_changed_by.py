"""What a step has changed itself is no longer held to what was demanded before it."""

from __future__ import annotations

from backends.model.stack import Stack
from backends.procedures.conditions import changed_by
from backends.stacks.loader import built_in, load_stack

CLAIRE, DESK = load_stack(built_in()["claire-de-binare"]), load_stack(built_in()["hummingbot-desk"])


def changed(stack: Stack, procedure: str, step: str) -> set[str]:
    return changed_by([s for s in stack.procedures[procedure].steps if s.id == step], stack.facts)


def test_what_is_read_of_the_same_key_goes_with_what_a_step_proves() -> None:
    """With the entry that halts all, its id, its time and its reason are gone."""
    assert {"halt.stream", "halt.id", "halt.at", "halt.reason"} <= changed(CLAIRE, "resume", "stream")
    assert "execution.mode" not in changed(CLAIRE, "resume", "stream")


def test_what_is_read_of_the_same_files_goes_with_it() -> None:
    assert "halt.files" in changed(DESK, "resume-bot", "manual")
    assert {"halt.order", "kill.at", "recon.status", "risk.action"}.isdisjoint(
        changed(DESK, "resume-bot", "manual")
    )


def test_what_is_read_of_the_key_it_writes_goes_with_it() -> None:
    """The order to the bots is the newest then; a kill since is another file's."""
    assert "halt.order" in changed(DESK, "resume-bot", "intent")
    assert "kill.at" not in changed(DESK, "resume-bot", "intent")
