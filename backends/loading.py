"""Loading client libraries one at a time: two threads that import parts of one library see half of it."""

from __future__ import annotations

import threading
from typing import Final

LOADING: Final = threading.Lock()
"""Held while a client library loads, by whoever loads it. Never wait for anything else meanwhile."""
