"""The exit status under faults: a fallback, a contradiction and an unknown are three different numbers."""

from __future__ import annotations

import pytest

from tests.servers.demo import start_demo
from tests.terminal.program import command

HALT = ("run", "halt", "--stack", "trading-platform", "--reason", "drill")


@pytest.mark.parametrize(
    ("faults", "statuses"),
    [
        (("redis-hang",), {8}),
        (("redis-refuse",), {8}),
        (("halt-not-obeyed",), {5, 7}),
    ],
    ids=lambda it: "+".join(it) if isinstance(it, tuple) else None,
)
def test_each_fault_has_its_status(faults: tuple[str, ...], statuses: set[int]) -> None:
    options = [part for fault in faults for part in ("--fault", fault)]
    world = start_demo(*options)
    try:
        done = command(world.config, world.env, *HALT)
        assert done.returncode in statuses, done.stdout + done.stderr
        if done.returncode != 8:
            assert "By hand:" in done.stdout
    finally:
        world.stop()
