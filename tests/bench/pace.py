"""How fast this machine is now, against the one on which limits were set."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.table import REFERENCE


def floor() -> float:
    """Milliseconds of ``python -c pass``: what any Python program starts with."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return 1000 * (time.monotonic() - begun)


def pace() -> float:
    """How many times as long as the reference this machine takes; never less than 1. The best of three."""
    return max(1.0, min(floor() for _ in range(3)) / REFERENCE)
