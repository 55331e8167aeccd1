"""Any number of endless Docker answers (logs, statistics, events) read by one thread.

While much comes the thread naps after each round of reading: at ten thousand lines a second that costs a
third of what reading at once would, and an operator cannot see the difference.
"""

from __future__ import annotations

import random
import selectors
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from time import sleep
from typing import Final

from msgspec import Struct, field

from backends.model.clock import Clock
from backends.model.fact import SourceError
from backends.model.safetext import SafeText
from backends.readers.docker_answer import Answer
from backends.readers.docker_client import DockerClient, Wire

NAP: Final = 0.05
"""Seconds between two rounds of reading while something comes."""

_LEISURE: Final = 2.0
"""Seconds between two looks at what can wait, and between two rounds while nothing comes."""

_RECV: Final = 262_144
_ROUND: Final = 2 * 1024 * 1024
_REFUSAL_LIMIT: Final = 4096
_BACKOFF: Final = (0.5, 30.0)


class Feed(ABC):
    """One endless answer: what to ask for, and what to do with what comes. Lives on the pump's thread."""

    def __init__(self) -> None:
        self.retry_at = 0.0
        """When to open it (again), monotonic seconds; ``inf`` for not until someone sets it, and then tells
        the pump again what to follow."""
        self.failures = 0
        """How often in a row it ended badly."""

    @property
    def can_wait(self) -> bool:
        """Whether what comes next need not be read at once, but with what else has come by then."""
        return False

    @abstractmethod
    def request(self) -> tuple[str, dict[str, str]]:
        """Path and query to ask for now; called before each opening."""

    @abstractmethod
    def data(self, body: bytes) -> None:
        """The next piece of the answer's body. May raise ValueError for what makes no sense."""

    def ended(self, why: str | None, now: float) -> None:  # noqa: ARG002  # what follows a break says why
        """The answer is over: ``why`` it broke, or None when the engine ended it. Sets ``retry_at``."""
        self.retry_at = now + _wait(self.failures)
        self.failures += 1


def _wait(failures: int) -> float:
    """Seconds until the next attempt after so many failed in a row before this one."""
    first, most = _BACKOFF
    wait = min(most, first * 2.0 ** min(failures, 10))
    return wait * random.uniform(0.75, 1.25)  # noqa: S311  # jitter, not a secret


def _end(feed: Feed, why: str | None, now: float) -> None:
    """Tell a feed that it is over. One that fails at that is tried again later like any other."""
    try:
        feed.ended(why, now)
    except Exception:  # a fault in one feed must not end the others
        Feed.ended(feed, why, now)


class _Open(Struct):
    feed: Feed
    wire: Wire
    answer: Answer = field(default_factory=Answer)
    refusal: bytes = b""


class Pump:
    """The thread. ``follow`` says which feeds it keeps open; each one fails and comes back alone."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], DockerClient],
        clock: Clock,
        after: Callable[[], float],
        lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``after`` is called on the thread after each round of reading, and again after the seconds that it
        returns or two; ``lost`` once when rounds begin to fail, with why: what was read last may be lost.
        """
        self._connect = connect
        self._clock = clock
        self._after = after
        self._lost = lost
        self._faults = 0
        """How many rounds in a row failed."""
        self._waiting: set[str] = set()
        """Those open that can wait: nothing they say begins a round."""
        self._leisure_at = 0.0
        """When those are read next."""
        self._arrange_at = 0.0
        """When there is next something to open or close."""
        self._read_at = 0.0
        """When something came last."""
        self._rest = 0.0
        """Seconds the next round may wait for something to come."""
        self._untold: str | None = None
        """Why a round failed, until ``lost`` has heard it."""
        self._wanted: Mapping[str, Feed] = {}
        self._open: dict[str, _Open] = {}
        self._client: DockerClient | None = None
        self._connect_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, None)
        self._stopping = threading.Event()
        # A daemon, because a transport that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. Once it does not, only another pump helps."""
        return self._thread.is_alive()

    def follow(self, feeds: Mapping[str, Feed]) -> None:
        """Keep exactly these open from now on. Safe from any thread."""
        is_news = feeds != self._wanted or any(feed.retry_at != inf for feed in feeds.values())
        self._wanted = dict(feeds)
        if is_news:
            self._ring()

    def stop(self, grace: float = 1.0) -> None:
        """End the thread and close everything; waits ``grace`` seconds at most."""
        self._stopping.set()
        self._ring()
        if self._thread.is_alive():
            self._thread.join(grace)

    def _ring(self) -> None:
        try:
            self._bell.send(b"!")
        except OSError:
            return  # full, so it will be heard; or closed, so nobody needs to hear

    def _run(self) -> None:
        behind: set[str] = set()
        try:
            while not self._stopping.is_set():
                try:
                    behind = self._round(behind)
                    self._faults = 0
                except Exception as error:  # told in the logs; the other streams must go on
                    behind = set()
                    self._recover(error)
        finally:
            for key in list(self._open):
                self._close(key)
            if self._client is not None:
                self._client.close()
            self._selector.close()
            self._bell.close()
            self._ear.close()

    def _round(self, behind: set[str]) -> set[str]:
        """Read what there is; the feeds that have more."""
        # What was left over is read again unasked: TLS may hold it where select cannot see it.
        events = self._selector.select(0 if behind else self._rest)
        now = self._clock.now().mono
        ready = {event.data for event, _ in events}
        if None in ready:
            ready.discard(None)
            self._hear()
        if now >= self._arrange_at:
            self._arrange(now)
        due = (ready | behind | self._at_leisure(now)) & self._open.keys()
        behind = {key for key in due if self._read(key)}
        self._tell()
        rest = self._after()
        nap = self._nap(now, bool(behind)) if ready or behind else 0.0
        if nap and not self._stopping.is_set():
            sleep(nap)
        until = min(self._arrange_at, self._leisure_at)
        self._rest = max(0.0, min(rest, until - now) - nap)
        return behind

    def _nap(self, now: float, is_behind: bool) -> float:
        """Seconds for what comes next to gather in. What comes alone is likely to stay so: none."""
        before, self._read_at = self._read_at, now
        if is_behind:
            return NAP / 10
        return NAP if now - before < 2 * NAP else 0.0

    def _at_leisure(self, now: float) -> set[str]:
        """Those that can wait, when they have waited long enough."""
        if now < self._leisure_at:
            return set()
        self._leisure_at = now + _LEISURE
        return set(self._waiting)

    def _tell(self) -> None:
        if self._untold is not None:
            self._lost(self._untold)
            self._untold = None

    def _recover(self, error: Exception) -> None:
        """Begin anew after a round that failed: close everything, say so, and wait longer each time."""
        why = SafeText(f"a fault in this program: {type(error).__name__} {error}", 200)
        now = self._clock.now().mono
        for key, item in list(self._open.items()):
            self._close(key)
            _end(item.feed, why, now)
        self._arrange_at = self._rest = 0.0
        if not self._faults:
            self._untold = why
        try:
            self._tell()
            self._after()
        except Exception:  # what failed may be the log itself: it is told after a round that works
            self._faults += 1
        self._stopping.wait(_wait(self._faults))
        self._faults += 1

    def _hear(self) -> None:
        try:
            self._ear.recv(4096)
        except OSError:
            return  # nothing rang after all
        self._arrange_at = 0.0

    def _arrange(self, now: float) -> None:
        """Close what is no longer wanted, open what is wanted and due."""
        wanted = self._wanted
        for key in [key for key, item in self._open.items() if wanted.get(key) is not item.feed]:
            self._close(key)
        self._arrange_at = inf
        for key, feed in wanted.items():
            if key in self._open:
                continue
            if feed.retry_at <= now and self._is_connected(now):
                self._start(key, feed)
            if key not in self._open:
                self._arrange_at = min(self._arrange_at, max(feed.retry_at, self._connect_at))

    def _is_connected(self, now: float) -> bool:
        if self._client is None and now >= self._connect_at:
            try:
                self._client = self._connect()
            except SourceError:
                # The poll of the container list meets the same and tells the operator.
                self._connect_at = now + random.uniform(1.0, 2.0)  # noqa: S311  # jitter, not a secret
        return self._client is not None

    def _start(self, key: str, feed: Feed) -> None:
        if self._client is None:
            return
        now = self._clock.now().mono
        try:
            wire = self._client.open(*feed.request())
        except SourceError as error:
            # A way over ssh that ended leads nowhere any more, ever.
            self._client.close()
            self._client = None
            _end(feed, str(error), now)
            return
        except Exception as error:  # a fault in one feed ends that one, visibly, and no other
            why = f"what to ask Docker for cannot be told: {type(error).__name__} {error}"
            _end(feed, SafeText(why, 200), now)
            return
        feed.retry_at = inf
        self._open[key] = _Open(feed, wire)
        self._selector.register(wire, selectors.EVENT_READ, key)

    def _read(self, key: str) -> bool:
        """Read what has come, at most a round's worth; True when there was more."""
        item = self._open[key]
        has_more = self._drain(key, item)
        if item.feed.can_wait and key in self._open and key not in self._waiting:
            self._selector.unregister(item.wire)
            self._waiting.add(key)
        return has_more

    def _drain(self, key: str, item: _Open) -> bool:
        budget = _ROUND
        # A plain socket that gave less than was asked for has no more; TLS and ssh must say so themselves.
        is_plain = type(item.wire) is socket.socket
        why: str | None = None
        while budget > 0:
            try:
                data = item.wire.recv(_RECV)
            except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
                return False  # nothing more now, said by a socket, an ssh channel or TLS
            except OSError as error:
                data, why = b"", f"the connection to Docker broke: {error.strerror or type(error).__name__}"
            budget -= len(data)
            if data:
                why = self._take(item, data)
            elif why is None and not item.answer.may_end:
                why = "the connection to Docker was cut"
            if not data or why or item.answer.is_done:
                self._finish(key, item, why)
                return False
            if is_plain and len(data) < _RECV:
                return False
        return True

    def _take(self, item: _Open, data: bytes) -> str | None:
        """Hand the body on; why the feed must end, or None."""
        try:
            body = item.answer.feed(data)
            if item.answer.status not in (None, 200):
                item.refusal = (item.refusal + body)[:_REFUSAL_LIMIT]
            elif body:
                item.feed.failures = 0
                item.feed.data(body)
        except Exception as error:  # a fault in one feed ends that one, visibly, and no other
            return SafeText(f"what Docker sent cannot be understood: {type(error).__name__} {error}", 200)
        return None

    def _finish(self, key: str, item: _Open, why: str | None) -> None:
        self._close(key)
        status = item.answer.status
        if why is None and status != 200:
            said = SafeText.from_bytes(item.refusal.strip(), 160)
            why = f"Docker answered {status}: {said}" if status else "Docker closed the connection"
        if status not in (None, 200, 404) and self._client is not None:
            with suppress(SourceError):
                self._client.agree()
        _end(item.feed, why, self._clock.now().mono)
        self._arrange_at = min(self._arrange_at, item.feed.retry_at)

    def _close(self, key: str) -> None:
        item = self._open.pop(key)
        self._waiting.discard(key)
        with suppress(OSError, KeyError, ValueError):  # closed already, or never registered
            self._selector.unregister(item.wire)
        with suppress(OSError):
            item.wire.close()
