"""Which tests run side by side, in what order, and which have the machine to themselves.

The tests of a file share its servers and stay together in one process, as do those of one ``xdist_group``.
A test marked ``alone`` measures time: it runs at the end, and no other beside it.
"""

from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

_ALONE: Final = "alone"

DOCKER: Final = pytest.mark.xdist_group("docker")
"""For the modules that use the Docker Engine: one process runs them, on one engine, which then ends."""

SENDERS: Final = pytest.mark.xdist_group("senders")
"""For tests that start the platform's programs on this host, and those that prove that none of them runs."""

_FIRST: Final = "tests/terminal/"
"""Where the longest stories are. They begin right after what Docker's one process runs: all others would wait
for one that begins late."""

HELD: Final = "CONTROLROOM_TEST_TURN_HELD"
"""Set for a pytest that a test starts: it runs in that test's turn. For one of its own it would wait behind
whoever wants to be alone, who waits for that test to end."""

_DOOR, _FLOOR = Path(__file__), Path(__file__).with_name("conftest.py")
"""What the processes lock in turn: any two files they share."""


def workers() -> int:
    """How many processes the tests are spread over: one more than there are processors, because many wait."""
    return (os.cpu_count() or 1) + 1


def arrange(items: list[pytest.Item]) -> None:
    """Put ``items`` into groups, and in the order in which they begin."""
    for item in items:
        if _is_alone(item):
            item.add_marker(pytest.mark.xdist_group(_ALONE))
        elif not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
    items.sort(
        key=lambda item: (_is_alone(item), not is_about_docker(item), not item.nodeid.startswith(_FIRST))
    )


@contextmanager
def turn(item: pytest.Item) -> Iterator[None]:
    """Hold a test's turn: beside others, or alone."""
    if os.environ.get(HELD):
        yield
        return
    with _DOOR.open() as door, _FLOOR.open() as floor:
        # Whoever wants to be alone keeps the door until the floor is empty: nobody else enters meanwhile.
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(floor, fcntl.LOCK_EX if _is_alone(item) else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        if _is_alone(item):
            # To look for garbage in all that thousands of tests have left takes a quarter of a second.
            gc.collect()
            gc.freeze()
        yield


def is_about_docker(item: pytest.Item) -> bool:
    """Whether it is of a module that uses the Docker Engine."""
    return DOCKER.mark in item.iter_markers(DOCKER.name)


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker(_ALONE) is not None
