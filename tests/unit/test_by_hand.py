"""What the room prints to be done by hand is done where it is meant."""

from __future__ import annotations

import re

import pytest

from backends.stacks.loader import built_in, load_stack

ADDRESSED = re.compile(r"docker exec (-it? )?[\w-]+ (sh -c '[^']*)?$")
"""What stands before a ``redis-cli`` that reaches the Redis of one container."""


@pytest.mark.parametrize("name", sorted(built_in()))
def test_no_redis_is_written_by_hand_but_the_one_that_is_named(name: str) -> None:
    """A bare redis-cli asks whatever listens on this host's 6379: another stack's, with its kill switch."""
    stack = load_stack(built_in()[name])
    wrong = {
        procedure.id: text[max(0, found.start() - 40) : found.end() + 40]
        for procedure in stack.procedures.values()
        for text in [str(procedure.fallback)]
        for found in re.finditer("redis-cli", text)
        if not text[found.end() :].startswith(" -u redis") and not ADDRESSED.search(text[: found.start()])
    }
    assert wrong == {}


def test_compose_of_claire_is_run_by_hand_where_its_files_and_secrets_are() -> None:
    """Without SECRETS_PATH Docker makes a folder in the place of each secret."""
    stack = load_stack(built_in()["claire-de-binare"])
    fallbacks = {each.id: str(each.fallback) for each in stack.procedures.values()}
    composed = {name: text for name, text in fallbacks.items() if "docker compose" in text}
    assert composed
    place = "In the checkout, with SECRETS_PATH set"
    wrong = [name for name, text in composed.items() if not text.startswith(place)]
    assert wrong == []
