"""Every event of a container is told once, whatever the clocks do."""

from __future__ import annotations

import json

from backends.readers.docker_events import EventsFeed

BASE = 1_790_000_000 * 10**9


def event(ns: int, action: str = "die", container: str = "a") -> bytes:
    actor = {"ID": container, "Attributes": {"name": container, "exitCode": "137"}}
    said = {"Type": "container", "Action": action, "Actor": actor, "timeNano": BASE + ns}
    return json.dumps(said).encode() + b"\n"


def told(*streams: bytes) -> list[tuple[str, str]]:
    """Container and action of what is told of streams that break one after the other."""
    got: list[tuple[str, str]] = []
    feed = EventsFeed(lambda it: got.append((it.container, it.action)))
    for body in streams:
        feed.request()
        feed.data(body)
        feed.ended("cut", 0.0)
    return got


def test_two_that_end_at_once_are_both_told_in_whatever_order_they_come() -> None:
    assert told(event(5) + event(4, container="b")) == [("a", "die"), ("b", "die")]
    assert told(event(5) + event(5, container="b")) == [("a", "die"), ("b", "die")]


def test_after_the_engines_clock_was_set_back_all_that_happens_is_still_told() -> None:
    hour = 3600 * 10**9
    assert told(event(hour) + event(7, "start")) == [("a", "die"), ("a", "start")]
    feed = EventsFeed(lambda _: None)
    feed.data(event(hour) + event(7, "start"))
    assert feed.request()[1]["since"] == "1790000000.000000007"


def test_what_comes_again_after_a_break_is_told_once() -> None:
    first = event(1) + event(3, "start") + event(2, container="b")
    assert told(first, first + event(9)) == [("a", "die"), ("a", "start"), ("b", "die"), ("a", "die")]
