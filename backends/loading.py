"""Loading client libraries one at a time: two threads that import parts of one library see half of it."""

from __future__ import annotations

import sys
import threading
from typing import Final

LOADING: Final = threading.Lock()
"""Held while a client library loads, by whoever loads it. Never wait for anything else meanwhile."""

# httpx would load its own command line too, where that can run, and with it click, rich and pygments: 50 ms
# and 3.5 MB of a room that has no use for them. It can do without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None is how a module is kept out
