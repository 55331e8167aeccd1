"""A demo beside a real systemd, for procedures that start and stop units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import started
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.systemd import RUNTIME, Systemd


@contextmanager
def demo_with_systemd(
    stack: str, start: Callable[[DemoWorld], Systemd]
) -> Iterator[tuple[DemoWorld, Systemd]]:
    """The demo of that stack and what ``start`` made for it; programs run here find it as a user's do."""
    world = start_demo(stack)
    systemd = None
    try:
        systemd = started("systemd", lambda: start(world))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(systemd.programs), prepend=":")
            patch.setenv("XDG_RUNTIME_DIR", RUNTIME)
            yield world, systemd
    finally:
        if systemd is not None:
            systemd.stop()
        world.stop()
