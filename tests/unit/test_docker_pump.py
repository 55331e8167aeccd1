"""The thread that reads Docker's streams: no fault stops it, and one stream's fault is its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any, cast

import pytest

from backends.logs.ring import LogRing
from backends.model.clock import SystemClock
from backends.model.fact import SourceError
from backends.model.stack import LogGrammar, Source, SourceKind
from backends.readers.docker_client import DockerClient
from backends.readers.docker_follow import Streams
from backends.readers.docker_logs import LogFeed
from backends.readers.docker_stream import Feed, Pump
from backends.readers.lane import Lane
from tests.clock import FakeClock


class Place:
    """Answers every question with an endless stream that says one word."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self._far: list[socket.socket] = []

    def open(self, path: str, _query: dict[str, str]) -> socket.socket:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.sendall(b"HTTP/1.1 200 OK\r\n\r\nword")
        self._far.append(far)
        self.opened.append(path)
        return near

    def say(self, more: bytes) -> None:
        """In every stream that is open."""
        for far in self._far:
            far.sendall(more)

    def end(self) -> None:
        for far in self._far:
            far.close()

    def close(self) -> None:
        self.end()


class Words(Feed):
    """Counts what came; ``fault`` names the call that fails."""

    def __init__(self, name: str, fault: str = "") -> None:
        super().__init__()
        self.name, self.fault = name, fault
        self.came = 0
        self.ends: list[str | None] = []

    def request(self) -> tuple[str, dict[str, str]]:
        self._fail("request")
        return self.name, {}

    def data(self, body: bytes) -> None:
        self._fail("data")
        self.came += len(body)

    def ended(self, why: str | None, now: float) -> None:
        self.ends.append(why)
        self._fail("ended")
        super().ended(why, now)

    def _fail(self, call: str) -> None:
        if call == self.fault:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no such letter")


@contextmanager
def pump(
    place: Place, after: Callable[[], float] = lambda: inf, lost: Callable[[str], None] = lambda _: None
) -> Iterator[Pump]:
    made = Pump("test", lambda: cast(DockerClient, place), SystemClock(), after, lost)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        place.end()


def until(is_so: Callable[[], object], seconds: float = 10.0) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("call", ["request", "data", "ended"])
def test_a_fault_in_one_feed_ends_that_one_alone_and_it_is_tried_again_later(call: str) -> None:
    place, bad, good = Place(), Words("bad", call), Words("good")
    with pump(place) as made:
        made.follow({"bad": bad, "good": good})
        until(lambda: good.came)
        place.end()
        until(lambda: bad.ends)  # `failures` is 0 again with what comes next
        until(lambda: good.came >= 8)
        assert made.is_alive
        bad.fault = ""
        until(lambda: bad.came >= (8 if call == "ended" else 4))


def test_a_round_that_fails_is_told_once_and_every_feed_comes_back() -> None:
    faults, told = [3], list[str]()
    place, feed = Place(), Words("feed")

    def after() -> float:
        if feed.came and faults[0]:
            faults[0] -= 1
            raise RuntimeError("the ring is broken")
        return inf

    with pump(place, after, told.append) as made:
        made.follow({"feed": feed})
        until(lambda: not faults[0])
        until(lambda: len(place.opened) > 1 and feed.came >= 8)
        assert made.is_alive
    assert told == ["a fault in this program: RuntimeError the ring is broken"]
    assert feed.ends[0] == told[0]


def test_why_a_round_failed_is_told_when_it_can_be() -> None:
    faults, told = [2], list[str]()

    def lost(why: str) -> None:
        if faults[0]:
            faults[0] -= 1
            raise RuntimeError("not yet")
        told.append(why)

    rounds = iter([True])

    def after() -> float:
        if next(rounds, False):
            raise RuntimeError("first")
        return inf

    with pump(Place(), after, lost):
        until(lambda: told)
    assert told == ["a fault in this program: RuntimeError first"]


def test_a_round_is_begun_when_what_follows_it_asks_for_one() -> None:
    asked = [0.02] * 10
    rounds: list[float] = []

    def after() -> float:
        rounds.append(time.monotonic())
        return asked.pop() if asked else inf

    with pump(Place(), after):
        until(lambda: len(rounds) >= 11)
    gaps = sorted(later - earlier for earlier, later in pairwise(rounds[:11]))
    assert gaps[0] < 0.1, "two seconds is how long it waits when nobody asks"


def test_while_nothing_comes_there_are_no_rounds_and_none_for_being_told_the_same_again() -> None:
    place, feed = Place(), Words("feed")
    rounds: list[float] = []
    with pump(place, lambda: rounds.append(time.monotonic()) or inf) as made:
        made.follow({"feed": feed})
        until(lambda: feed.came and rounds)
        time.sleep(0.1)
        del rounds[:]
        for _ in range(60):
            made.follow({"feed": feed})
            time.sleep(0.02)
        assert len(rounds) <= 1


def test_a_feed_is_opened_when_it_falls_due_though_nothing_comes() -> None:
    class Brief(Words):
        def ended(self, why: str | None, now: float) -> None:
            super().ended(why, now)
            self.retry_at = now + 0.1 if len(self.ends) == 1 else inf

    place, feed = Place(), Brief("feed")
    with pump(place) as made:
        made.follow({"feed": feed})
        until(lambda: feed.came)
        place.end()
        until(lambda: len(place.opened) == 2, 1.5)
        until(lambda: feed.came == 8)
        place.end()
        until(lambda: feed.retry_at == inf and len(feed.ends) == 2)
        feed.retry_at = 0.0
        made.follow({"feed": feed})
        until(lambda: len(place.opened) == 3, 1.5)


def test_a_line_alone_is_followed_by_no_nap_and_many_are(monkeypatch: pytest.MonkeyPatch) -> None:
    place, feed, clock = Place(), Words("feed"), FakeClock()
    done: list[str] = []
    monkeypatch.setattr("backends.readers.docker_stream.sleep", lambda _: done.append("nap"))

    def say() -> list[str]:
        """What was done in the round in which a word comes, and in the next."""
        came, other = feed.came, Words("other")
        other.retry_at = inf
        del done[:]
        place.say(b"word")
        until(lambda: feed.came > came and "after" in done)
        made.follow({"feed": feed, "other": other})
        until(lambda: done.count("after") > 1)
        return done

    made = Pump("test", lambda: cast(DockerClient, place), clock, lambda: done.append("after") or inf)
    made.start()
    try:
        made.follow({"feed": feed})
        until(lambda: feed.came)
        clock.advance(1.0)
        assert "nap" not in say()
        clock.advance(0.01)
        assert "nap" in say()
    finally:
        made.stop()


def test_what_can_wait_is_read_every_other_second_and_begins_no_round_and_is_whole() -> None:
    class Patient(Words):
        can_wait = property(lambda self: self.came > 0)

    place, patient = Place(), Patient("patient")
    rounds: list[float] = []

    def after() -> float:
        rounds.append(time.monotonic())
        return inf

    with pump(place, after) as made:
        made.follow({"patient": patient})
        until(lambda: patient.came)
        del rounds[:]
        began = time.monotonic()
        for _ in range(60):
            place.say(b"word")
            time.sleep(0.02)
        until(lambda: patient.came == 61 * 4)
        assert len(rounds) <= (time.monotonic() - began) / 2 + 1
        place.end()
        until(lambda: patient.failures)
        until(lambda: patient.came > 61 * 4)


@pytest.mark.parametrize(
    ("peers", "gaps"),
    [
        ((None, "10.0.0.1"), 0),
        (("10.0.0.1", None), 0),
        (("10.0.0.1", None, "10.0.0.1"), 0),
        (("10.0.0.1", "10.0.0.2"), 1),
        (("10.0.0.1", None, "10.0.0.2"), 1),
    ],
)
async def test_only_an_address_that_is_known_shows_that_another_engine_answers(
    peers: Sequence[str | None], gaps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(LogFeed, "mark_gap", lambda _, why: told.append(why))
    ring = LogRing(LogGrammar(()))
    place = Source("docker", SourceKind.DOCKER, "Docker", "tcp://127.0.0.1:1", every=1.0, deadline=1.0)
    streams = Streams(place, ring, SystemClock())
    feed = LogFeed("/containers/one", "one", ring, SystemClock())
    for peer in peers:
        streams.follow({"one": feed}, ("context", peer))
    assert len(told) == gaps
    streams.follow({"one": feed}, ("another context", None))
    streams.follow({"one": feed}, ("another context", "10.0.0.3"))
    assert len(told) == gaps + 1
    await streams.close()


async def test_a_cancel_that_comes_with_the_answer_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(Lane("Docker").call(lambda: "answer", 5.0))
    post = loop.call_soon_threadsafe

    def both(what: Callable[..., Any], *arguments: Any) -> None:
        what(*arguments)
        task.cancel()

    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call: post(partial(both, *call)))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_cannot_be_asked_for_want_of_a_thread_is_asked_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    lane = Lane("Docker")
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", start)
        with pytest.raises(SourceError, match="Docker was not asked: no thread can be had"):
            await lane.call(lambda: "answer", 5.0)
    assert await lane.call(lambda: "answer", 5.0) == "answer"
