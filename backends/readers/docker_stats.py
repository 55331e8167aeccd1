"""What a container uses, from the engine's own once-a-second samples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.json import decode

from backends.model.clock import Clock
from backends.model.service import Usage
from backends.readers.docker_stream import Feed

KEEP: Final = 4.0
"""Seconds a sample counts after it was read, which is up to two after it came; then the use is unknown, not
what it was."""

_SAMPLE_LIMIT: Final = 1024 * 1024
NO_USAGE: Final = Usage()


class StatsFeed(Feed):
    """The streamed statistics of one running container. A sample is kept as it came, and understood when the
    use is asked for: most never are.
    """

    def __init__(self, container: str, clock: Clock) -> None:
        super().__init__()
        self._container = container
        self._clock = clock
        self._stream = _Stream()

    def usage(self, now: float) -> Usage:
        """What the newest sample says, empty when it is older than ``KEEP``; ``now`` in monotonic seconds.

        From one other thread than that of ``data``. A sample that makes no sense says nothing, and ends the
        feed with what comes next.
        """
        stream = self._stream
        newest = stream.newest
        if newest is None or now - newest[0] > KEEP:
            return NO_USAGE
        if newest is not stream.asked:
            stream.asked, stream.usage = newest, NO_USAGE
            try:
                stream.usage = stream.understood(decode(newest[1]))
            except Exception as error:  # a sample without sense must not hide the other containers
                stream.fault = str(error) or type(error).__name__
        return stream.usage

    @property
    def can_wait(self) -> bool:
        """Once the processor's share can be told: the next sample is as good a moment later."""
        return self._stream.count > 1

    def request(self) -> tuple[str, dict[str, str]]:
        self._stream = _Stream()
        return f"/containers/{self._container}/stats", {"stream": "1"}

    def data(self, body: bytes) -> None:
        stream = self._stream
        if stream.fault:
            raise ValueError(stream.fault)
        whole, _, stream.rest = (stream.rest + body).rpartition(b"\n")
        if len(stream.rest) > _SAMPLE_LIMIT:
            raise ValueError("a sample without an end")
        if whole := whole.strip():
            stream.count += whole.count(b"\n") + 1
            stream.newest = self._clock.now().mono, whole[whole.rfind(b"\n") + 1 :]

    def ended(self, why: str | None, now: float) -> None:
        self._stream = _Stream()
        super().ended(why, now)


class _Stream(Struct):
    """What came since the feed was opened."""

    rest: bytes = b""
    """The beginning of a sample; this and the next two are the reading thread's."""
    count: int = 0
    """How many samples came."""
    newest: tuple[float, bytes] | None = None
    """The last of them, and when it came, monotonic seconds."""
    asked: tuple[float, bytes] | None = None
    """The one that was understood last; this and the rest are of the thread that asks."""
    usage: Usage = NO_USAGE
    before: Mapping[str, Any] | None = None
    fault: str = ""
    """Why the last one that was asked for makes no sense."""

    def understood(self, sample: Any) -> Usage:
        """What it says; the rates are those since the sample that was asked for before."""
        if not isinstance(sample, dict):
            raise ValueError("a sample that is no object")
        used, limit = memory(sample)
        if not used and _read_at(sample) is None:
            # What the engine sends of a container that has stopped: it uses nothing we know of.
            self.before = None
            return NO_USAGE
        rx, tx = rates(self.before, sample)
        self.before = sample
        return Usage(cpu_percent(sample), used, limit, rx, tx)


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
