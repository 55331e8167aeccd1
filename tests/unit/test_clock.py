"""The room's own clock, which is all that ages rest on."""

from __future__ import annotations

import time

import pytest

from backends.model.clock import SystemClock

NIGHT = 8 * 3600.0
GOES_ON = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The system's clock that goes on while it sleeps: Linux has one of its own for that."""


def test_what_was_read_grows_old_while_the_host_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = SystemClock(), time.clock_gettime
    before = clock.now()
    monkeypatch.setattr(time, "clock_gettime", lambda which: told(which) + NIGHT * (which == GOES_ON))
    assert clock.now().since(before) >= NIGHT
