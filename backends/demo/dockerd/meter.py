"""What a simulated container uses: numbers that grow and wander like those of a real one."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from typing import Any, Final

from backends.demo.dockerd.spec import Load
from backends.demo.dockerd.stamps import NEVER, SECOND, trimmed

CPUS: Final = os.cpu_count() or 1
MEMORY: Final = 16 * 1024**3
"""The limit of a container without one of its own: the simulated host's memory."""


class Meter:
    """Counters since the container's start, by the monotonic clock."""

    def __init__(self, load: Load, rng: random.Random) -> None:
        self._load = load
        self._rng = rng
        self.busy = 1.0
        """Factor on processor and network while something makes it work harder."""
        self._at = time.monotonic_ns()
        self._cpu = rng.randrange(10 * SECOND, 900 * SECOND)
        self._memory = float(load.memory)
        self._received = rng.randrange(10**6, 10**8)
        self._sent = rng.randrange(10**6, 10**8)

    def reset(self) -> None:
        """The container has started anew."""
        self._at = time.monotonic_ns()
        self._cpu, self._received, self._sent = SECOND // 2, 0, 0
        self._memory = self._load.memory * 0.8

    def sample(self, name: str, ident: str, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """One stats object of a running container; ``before`` is the one it follows, if any."""
        self._advance()
        zero = {"cpu_usage": _ZERO_USAGE, "throttling_data": _NO_THROTTLING}
        return {
            "read": trimmed(time.time_ns()),
            "preread": before["read"] if before else NEVER,
            "pids_stats": {"current": 12, "limit": 18_446_744_073_709_551_615},
            "blkio_stats": {"io_service_bytes_recursive": None, "io_serviced_recursive": None},
            "num_procs": 0,
            "storage_stats": {},
            "cpu_stats": self._counters(),
            "precpu_stats": before["cpu_stats"] if before else zero,
            "memory_stats": self._memory_stats(),
            "name": f"/{name}",
            "id": ident,
            "networks": {"eth0": self._network()},
        }

    def _advance(self) -> None:
        now = time.monotonic_ns()
        passed, self._at = now - self._at, now
        rng = self._rng
        self._cpu += int(passed * self._load.cpu / 100 * self.busy * rng.uniform(0.5, 1.5))
        flow = int(passed / SECOND * self._load.network * self.busy * rng.uniform(0.6, 1.4))
        self._received += flow
        self._sent += flow // 2
        target = self._load.memory * rng.uniform(0.95, 1.08)
        self._memory += (target - self._memory) * 0.1

    def _counters(self) -> dict[str, Any]:
        return {
            "cpu_usage": {
                "total_usage": self._cpu,
                "usage_in_kernelmode": self._cpu // 4,
                "usage_in_usermode": self._cpu - self._cpu // 4,
            },
            "system_cpu_usage": self._at * CPUS,
            "online_cpus": CPUS,
            "throttling_data": _NO_THROTTLING,
        }

    def _memory_stats(self) -> dict[str, Any]:
        used = int(self._memory)
        cache = used // 10
        return {
            "usage": used + cache,
            "stats": {"anon": used, "file": cache, "inactive_file": cache, "active_file": 0},
            "limit": MEMORY,
        }

    def _network(self) -> dict[str, int]:
        return {
            "rx_bytes": self._received, "rx_packets": self._received // 500, "rx_errors": 0, "rx_dropped": 0,
            "tx_bytes": self._sent, "tx_packets": self._sent // 500, "tx_errors": 0, "tx_dropped": 0,
        }  # fmt: skip


_NO_THROTTLING: Final = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}
_ZERO_USAGE: Final = {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}


def nothing(name: str, ident: str) -> dict[str, Any]:
    """What the engine says of a container that does not run: its name, and zeros."""
    zero = {"cpu_usage": _ZERO_USAGE, "throttling_data": _NO_THROTTLING}
    return {
        "read": NEVER, "preread": NEVER, "pids_stats": {}, "blkio_stats": {}, "num_procs": 0,
        "storage_stats": {}, "cpu_stats": zero, "precpu_stats": zero, "memory_stats": {},
        "name": f"/{name}", "id": ident,
    }  # fmt: skip
