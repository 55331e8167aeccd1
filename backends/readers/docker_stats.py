"""What a container uses, from the engine's own once-a-second samples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec.json import decode

from backends.model.clock import Clock
from backends.model.service import Usage
from backends.readers.docker_stream import Feed

KEEP: Final = 5.0
"""Seconds a sample counts; after that the use is unknown, not what it was."""

_SAMPLE_LIMIT: Final = 1024 * 1024
NO_USAGE: Final = Usage()


class StatsFeed(Feed):
    """The streamed statistics of one running container."""

    def __init__(self, container: str, clock: Clock) -> None:
        super().__init__()
        self._container = container
        self._clock = clock
        self._rest = b""
        self._before: Mapping[str, Any] | None = None
        self._latest: tuple[float, Usage] | None = None

    def usage(self, now: float) -> Usage:
        """The newest sample, empty when it is older than ``KEEP``; ``now`` in monotonic seconds."""
        latest = self._latest
        return latest[1] if latest is not None and now - latest[0] <= KEEP else NO_USAGE

    @property
    def can_wait(self) -> bool:
        """Once there is a sample: the next is as good a moment later."""
        return self._latest is not None

    def request(self) -> tuple[str, dict[str, str]]:
        self._rest, self._before = b"", None
        return f"/containers/{self._container}/stats", {"stream": "1"}

    def data(self, body: bytes) -> None:
        *samples, self._rest = (self._rest + body).split(b"\n")
        if len(self._rest) > _SAMPLE_LIMIT:
            raise ValueError("a sample without an end")
        for raw in samples:
            if raw.strip():
                self._take(decode(raw))

    def ended(self, why: str | None, now: float) -> None:
        self._latest = None
        super().ended(why, now)

    def _take(self, sample: Mapping[str, Any]) -> None:
        if not isinstance(sample, dict):
            raise ValueError("a sample that is no object")
        if not memory(sample)[0] and _read_at(sample) is None:
            # What the engine sends of a container that has stopped: it uses nothing we know of.
            self._before, self._latest = None, None
            return
        used, limit = memory(sample)
        rx, tx = rates(self._before, sample)
        self._before = sample
        usage = Usage(cpu_percent(sample), used, limit, rx, tx)
        self._latest = (self._clock.now().mono, usage)


def cpu_percent(sample: Mapping[str, Any]) -> float | None:
    """Percent of one core between the two readings in a sample; None when there is only one.

    The share of the host's whole CPU time, times the number of its CPUs, as ``docker stats`` shows it.
    """
    now, before = _part(sample, "cpu_stats"), _part(sample, "precpu_stats")
    system, system_before = _count(now, "system_cpu_usage"), _count(before, "system_cpu_usage")
    used, used_before = (_count(_part(part, "cpu_usage"), "total_usage") for part in (now, before))
    if system is None or not system_before or used is None or used_before is None:
        return None
    cores = _count(now, "online_cpus") or len(_part(now, "cpu_usage").get("percpu_usage") or ())
    if system <= system_before or used < used_before or not cores:
        return None
    return (used - used_before) / (system - system_before) * cores * 100.0


def memory(sample: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Bytes in use without the file cache that can be dropped at once, and the limit; None when not said."""
    part = _part(sample, "memory_stats")
    used, limit = _count(part, "usage"), _count(part, "limit")
    detail = _part(part, "stats")
    # cgroup v1 names it for the whole tree; v2 has only the plain word, which in v1 means less.
    cache = _count(detail, "total_inactive_file" if "total_inactive_file" in detail else "inactive_file")
    if used is not None and cache is not None and cache < used:
        used -= cache
    return used, limit or None


def rates(before: Mapping[str, Any] | None, sample: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Bytes a second received and sent on all networks between two samples; None when it cannot be told."""
    if before is None:
        return None, None
    start, end = _read_at(before), _read_at(sample)
    if start is None or end is None or end <= start:
        return None, None
    return _rate(before, sample, "rx_bytes", end - start), _rate(before, sample, "tx_bytes", end - start)


def _rate(before: Mapping[str, Any], sample: Mapping[str, Any], name: str, seconds: float) -> float | None:
    first, last = _total(before, name), _total(sample, name)
    return (last - first) / seconds if first is not None and last is not None and last >= first else None


def _total(sample: Mapping[str, Any], name: str) -> int | None:
    """The sum over all networks; None for a container that shares the host's or has none."""
    networks = _part(sample, "networks")
    counts = [_count(_part(networks, network), name) for network in networks]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _read_at(sample: Mapping[str, Any]) -> float | None:
    """When the engine took the sample, epoch seconds; None for its zero time."""
    raw = sample.get("read")
    if not isinstance(raw, str) or raw.startswith("0001"):
        return None
    whole, _, fraction = raw.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(whole[:19] + "+00:00").timestamp() + float(f"0.{fraction[:9] or 0}")
    except ValueError:
        return None


def _part(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = holder.get(name)
    return part if isinstance(part, dict) else {}


def _count(holder: Mapping[str, Any], name: str) -> int | None:
    """A whole number that is not negative, or None for anything else."""
    raw = holder.get(name)
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0 else None
