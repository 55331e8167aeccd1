"""What a container uses, from the engine's samples: as ``docker stats`` counts, unknown when it cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backends.model.service import Usage
from backends.readers.docker_stats import NO_USAGE, StatsFeed, cpu_percent, memory, rates
from tests.clock import FakeClock


def cpu(total: int, system: int | None, cores: int | None = 4) -> dict[str, Any]:
    part: dict[str, Any] = {"cpu_usage": {"total_usage": total, "percpu_usage": [1, 2]}}
    if system is not None:
        part |= {"system_cpu_usage": system}
    return part | ({"online_cpus": cores} if cores else {})


def sample(second: int = 1, rx: int | None = None, **parts: Any) -> dict[str, Any]:
    networks = {} if rx is None else {"eth0": {"rx_bytes": rx, "tx_bytes": 5}, "eth1": {"rx_bytes": 1}}
    return {
        "read": f"2026-11-21T04:00:{second:02d}.500000000Z",
        "precpu_stats": cpu(100, 1000),
        "cpu_stats": cpu(150, 2000),
        "memory_stats": {"usage": 900, "limit": 4000, "stats": {"inactive_file": 100}},
        "networks": networks,
    } | parts


@pytest.mark.parametrize(
    ("now", "before", "percent"),
    [
        (cpu(150, 2000), cpu(100, 1000), 20.0),
        # An old engine does not say how many CPUs are on line: those it counted, two here.
        (cpu(150, 2000, None), cpu(100, 1000), 10.0),
        (cpu(100, 2000), cpu(100, 1000), 0.0),
        # The first sample of a stream has nothing before it.
        (cpu(150, 2000), cpu(0, None), None),
        (cpu(150, 2000), cpu(0, 0), None),
        (cpu(150, 1000), cpu(100, 1000), None),
        # Counters that went back belong to another run.
        (cpu(50, 2000), cpu(100, 1000), None),
        ({}, {}, None),
    ],
)
def test_cpu_is_a_share_of_one_core_or_unknown(
    now: dict[str, Any], before: dict[str, Any], percent: float | None
) -> None:
    assert cpu_percent({"cpu_stats": now, "precpu_stats": before}) == percent


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        # cgroup v1 names the cache of the whole tree; its plain inactive_file is not that.
        ({"usage": 900, "limit": 9, "stats": {"total_inactive_file": 200, "inactive_file": 1}}, (700, 9)),
        ({"usage": 900, "limit": 9, "stats": {"inactive_file": 100}}, (800, 9)),
        ({"usage": 900, "limit": 0, "stats": {"inactive_file": 1000}}, (900, None)),
        ({}, (None, None)),
        ({"usage": "many", "limit": -1}, (None, None)),
    ],
)
def test_memory_is_counted_without_the_file_cache(
    said: dict[str, Any], answer: tuple[int | None, int | None]
) -> None:
    assert memory({"memory_stats": said}) == answer


def test_network_rates_need_two_samples_and_growing_counters() -> None:
    first, second = sample(1, rx=100), sample(3, rx=500)
    assert rates(None, second) == (None, None)
    assert rates(first, second) == (200.0, 0.0)
    assert rates(second, sample(4, rx=0)) == (None, 0.0)
    assert rates(sample(1), sample(2)) == (None, None)


def test_a_sample_counts_for_four_seconds_and_then_the_use_is_unknown(fake_clock: FakeClock) -> None:
    feed = StatsFeed("abc", fake_clock)
    raw = json.dumps(sample()).encode() + b"\n"
    feed.data(raw[:50])
    assert feed.usage(fake_clock.now().mono) == NO_USAGE
    feed.data(raw[50:])
    used = Usage(cpu=20.0, memory=800, memory_limit=4000)
    assert feed.usage(fake_clock.advance(4.0).mono) == used
    assert feed.usage(fake_clock.advance(0.1).mono) == NO_USAGE


def test_when_the_stream_ends_or_the_container_stops_the_use_is_unknown_at_once(
    fake_clock: FakeClock,
) -> None:
    feed = StatsFeed("abc", fake_clock)
    stopped = {"read": "0001-01-01T00:00:00Z", "memory_stats": {}}
    for ending in (lambda: feed.ended(None, 0.0), lambda: feed.data(json.dumps(stopped).encode() + b"\n")):
        feed.data(json.dumps(sample()).encode() + b"\n")
        assert feed.usage(fake_clock.now().mono).memory == 800
        ending()
        assert feed.usage(fake_clock.now().mono) == NO_USAGE


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'"\xff"',
        b'{"read": "2026-11-21T04:00:01Z", "cpu_stats": {"cpu_usage": {"total_usage": 2, "percpu_usage": 7},'
        b' "system_cpu_usage": 2}, "precpu_stats": {"cpu_usage": {"total_usage": 1}, "system_cpu_usage": 1}}',
    ],
)
def test_a_sample_without_sense_hides_the_one_before_and_ends_the_feed_with_what_comes_next(
    raw: bytes, fake_clock: FakeClock
) -> None:
    feed, good = StatsFeed("abc", fake_clock), json.dumps(sample()).encode() + b"\n"
    feed.data(good + raw + b"\n")
    assert feed.usage(fake_clock.now().mono) == feed.usage(fake_clock.now().mono) == NO_USAGE
    with pytest.raises(ValueError, match=r"."):
        feed.data(good)
    feed.ended("it makes no sense", 0.0)
    feed.request()
    feed.data(good)
    assert feed.usage(fake_clock.now().mono).memory == 800


def test_the_newest_of_what_came_counts_and_rates_are_those_since_it_was_asked_for_before(
    fake_clock: FakeClock,
) -> None:
    def said(*samples: dict[str, Any]) -> Usage:
        feed.data(b"".join(json.dumps(each).encode() + b"\n" for each in samples))
        return feed.usage(fake_clock.now().mono)

    feed = StatsFeed("abc", fake_clock)
    assert said(sample(1, rx=100), sample(2, rx=200)).net_rx is None
    assert said(sample(3, rx=900), sample(4, rx=1000)).net_rx == 400.0
    assert feed.usage(fake_clock.now().mono).net_rx == 400.0
    feed.ended(None, 0.0)
    feed.request()
    assert said(sample(5, rx=5000)).net_rx is None, "nobody knows what was in between"


def test_the_first_two_samples_are_read_at_once_and_others_when_there_is_time(fake_clock: FakeClock) -> None:
    feed = StatsFeed("abc", fake_clock)
    for can_wait in (False, True):
        feed.data(json.dumps(sample()).encode() + b"\n")
        assert feed.can_wait is can_wait
    feed.ended(None, 0.0)
    assert not feed.can_wait


def test_a_sample_without_an_end_is_refused(fake_clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="without an end"):
        StatsFeed("abc", fake_clock).data(b" " * 2_000_000)
