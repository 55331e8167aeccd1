"""The containers of one Docker Engine: list, inspect, events, streamed statistics and logs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from backends.model.clock import Clock, SystemClock
from backends.model.fact import SourceError
from backends.model.logline import Marker
from backends.model.port import LogSink
from backends.model.safetext import NAME_LIMIT, SafeText
from backends.model.service import Health, RunState, Service, Usage
from backends.model.stack import ServiceSpec, Source
from backends.model.stamp import to_stamp
from backends.readers.docker_client import DockerClient, DockerRefusedError, Place
from backends.readers.docker_container import Detail, Entry, LastRun, detail, entries, service, time_of
from backends.readers.docker_events import ContainerEvent, EventsFeed
from backends.readers.docker_follow import Streams
from backends.readers.docker_logs import LogFeed
from backends.readers.docker_stats import NO_USAGE, StatsFeed
from backends.readers.docker_stream import Feed
from backends.readers.lane import Lane

_CHECK_AGAIN: Final = 5.0
"""Seconds after which a container that is not well is inspected again, for what its check printed."""

_STUCK: Final = 30.0
"""Seconds for which a container is left alone whose inspection hung."""


_SAME_END: Final = 0.5
"""Seconds by which the engine's records of one end may differ."""


class _Known(Struct):
    """What is remembered of a container between two polls."""

    seen: tuple[RunState, str]
    """State and status line of the list when it was inspected."""
    detail: Detail
    at: float
    is_stuck: bool = False


class DockerServiceReader:
    """The services a stack expects of one engine, and whatever else runs in the same compose project.

    ``services`` may be called from one asyncio loop. Its first success starts one thread that keeps the
    streams open: events, statistics of the expected containers that run, logs of those that are followed.
    """

    def __init__(
        self,
        source: Source,
        services: Sequence[ServiceSpec],
        *,
        poke: Callable[[], None] | None = None,
        logs: LogSink | None = None,
        clock: Clock | None = None,
        is_streaming: bool = True,
    ) -> None:
        """``poke`` is called on the reader's own thread when something happened to a container of this
        stack: poll now. ``logs`` takes lines and events; None follows no log. Without ``is_streaming``
        there are neither events nor statistics, and ``usage`` stays unknown: for a single look.
        """
        self._source = source
        self._specs = tuple(services)
        self._spec_of = {name: spec for spec in services for name in spec.match}
        self._poke = poke
        self._logs = logs
        self._clock = clock or SystemClock()
        self._is_streaming = is_streaming
        self._lane = Lane("Docker")
        self._turn = asyncio.Lock()
        self._client: DockerClient | None = None
        self._streams = Streams(source, logs, self._clock)
        self._listed: tuple[bytes, Sequence[Entry]] | None = None
        """The list of the last poll, as it came and understood."""
        self._known: dict[str, _Known] = {}
        self._stats: dict[str, StatsFeed] = {}
        self._log_feeds: dict[str, LogFeed] = {}
        self._events = EventsFeed(self._on_event)
        self._has_looked = False
        self._lock = threading.Lock()
        self._stirred: set[str] = set()
        """Containers an event named since the last poll; this and the next two under the lock."""
        self._last_run: dict[str, LastRun] = {}
        self._out_of_memory: set[str] = set()

    async def services(self) -> Mapping[str, Service | None]:
        """As ``ServiceReader.services``: one list request, and an inspection of what has changed."""
        async with self._turn:
            if self._client is not None:
                await self._client.follow()
            return await self._lane.call(self._look, self._source.deadline)

    async def clock(self) -> float:
        """As ``ServiceReader.clock``: what the engine says of its host."""
        async with self._turn:
            return await self._lane.call(self._tell_time, self._source.deadline)

    async def close(self) -> None:
        """End the thread and close all connections; a second at most."""
        await self._streams.close()
        if self._client is not None:
            await asyncio.to_thread(self._client.close)  # of a way over ssh the end is waited for

    def _tell_time(self) -> float:
        self._client = self._client or DockerClient(self._source, self._source.deadline)
        said = time_of(self._client.get("/info").get("SystemTime"))
        if said is None:
            raise SourceError("the engine does not tell its time")
        return said

    def _look(self) -> Mapping[str, Service | None]:
        ends = monotonic() + self._source.deadline
        try:
            if self._client is None:
                self._client = DockerClient(self._source, self._source.deadline)
            listed = self._client.ask("/containers/json", {"all": "1"}, self._list)
            with self._lock:
                stirred, self._stirred = self._stirred, set()
            matched = self._match(listed)
            others = self._others(listed, matched)
            for group in (matched, others):
                for name, entry in group.items():
                    group[name] = self._inspect(self._client, entry, stirred, ends)
        except SourceError:
            # A fresh connection next time agrees on the API version anew.
            if self._client is not None:
                self._client.close()
                self._client = None
            raise
        self._forget(listed)
        self._stream(matched, self._client.place)
        self._has_looked = True
        found: dict[str, Service | None] = {spec.name: None for spec in self._specs}
        found |= {name: self._service(name, entry, True) for name, entry in matched.items()}
        return found | {name: self._service(name, entry, False) for name, entry in others.items()}

    def _list(self, raw: bytes) -> Sequence[Entry]:
        if self._listed is None or raw != self._listed[0]:
            self._listed = raw, entries(json.loads(raw))
        return self._listed[1]

    def _match(self, listed: Sequence[Entry]) -> dict[str, Entry]:
        """The container of each expected service that has one."""
        by_name = {name: entry for entry in listed for name in entry.names}
        found: dict[str, Entry] = {}
        for spec in self._specs:
            entry = next((by_name[name] for name in spec.match if name in by_name), None)
            if entry is not None:
                found[spec.name] = entry
        return found

    def _others(self, listed: Sequence[Entry], matched: Mapping[str, Entry]) -> dict[str, Entry]:
        """Containers of the same compose projects that nobody expects, under names of their own."""
        projects = {entry.project for entry in matched.values()} - {None}
        known = {entry.ident for entry in matched.values()}
        taken = {spec.name for spec in self._specs}
        found: dict[str, Entry] = {}
        for entry in listed:
            if entry.project in projects and entry.ident not in known:
                name = str(SafeText(entry.name, NAME_LIMIT))
                if name in taken or name in found:
                    name = f"{name} ({entry.ident[:12]})"
                found[name] = entry
        return found

    def _inspect(self, client: DockerClient, entry: Entry, stirred: set[str], ends: float) -> Entry:
        """Learn what only inspecting tells, when there may be something new; the entry as it is by then."""
        known, now = self._known.get(entry.ident), monotonic()
        if known is not None and not _is_due(entry, known, entry.ident in stirred, now):
            return entry
        seen = (entry.state, entry.status)
        try:
            within = max(0.1, min(ends - now, self._source.deadline / 2))
            said = detail(client.get(f"/containers/{entry.ident}/json", within=within))
        except DockerRefusedError:
            # Gone since the list was made; the next list will say so.
            self._known[entry.ident] = _Known(seen, Detail(), now)
            return entry
        except SourceError:
            # One container the engine cannot inspect must not hide all others.
            kept = known.detail if known is not None and known.seen == seen else Detail()
            self._known[entry.ident] = _Known(seen, kept, now, is_stuck=True)
            return entry
        self._known[entry.ident] = _Known(seen, said, now)
        if said.ended is not None:
            with self._lock:
                self._last_run[entry.ident] = said.ended
        # What was inspected is newer than the list, and the two must not be mixed.
        return replace(entry, state=said.state or entry.state, health=said.health or entry.health)

    def _forget(self, listed: Sequence[Entry]) -> None:
        there = {entry.ident for entry in listed}
        self._known = {ident: known for ident, known in self._known.items() if ident in there}
        with self._lock:
            self._last_run = {ident: run for ident, run in self._last_run.items() if ident in there}
            self._out_of_memory &= there

    def _service(self, name: str, entry: Entry, is_expected: bool) -> Service:
        with self._lock:
            last_run = self._last_run.get(entry.ident)
        return service(
            name, entry, self._known[entry.ident].detail, last_run, self._usage(entry), is_expected
        )

    def _usage(self, entry: Entry) -> Usage:
        feed = self._stats.get(self._run_key(entry))
        return feed.usage(self._clock.now().mono) if feed is not None else NO_USAGE

    def _run_key(self, entry: Entry) -> str:
        """Differs after each start, so that a restarted container gets a new stream."""
        return f"stats:{entry.ident}:{self._known[entry.ident].detail.started}"

    def _stream(self, matched: Mapping[str, Entry], place: Place) -> None:
        """Keep the streams open that the list asks for, and no others."""
        feeds: dict[str, Feed] = {}
        if self._is_streaming:
            feeds["events"] = self._events
        if self._logs is not None:
            followed = [
                matched[spec.name] for spec in self._specs if spec.is_followed and spec.name in matched
            ]
            names = {entry.ident: name for name, entry in matched.items()}
            self._log_feeds = {
                f"logs:{entry.ident}": self._log_feed(self._logs, names[entry.ident], entry)
                for entry in followed
            }
            feeds |= self._log_feeds
        if self._is_streaming:
            running = [entry for entry in matched.values() if entry.state is RunState.RUNNING]
            self._stats = {
                key: self._stats.get(key) or StatsFeed(entry.ident, self._clock)
                for entry in running
                for key in (self._run_key(entry),)
            }
            # Last: they are opened in this order, and a processor's share needs two samples anyway.
            feeds |= self._stats
        self._streams.follow(feeds, place)

    def _log_feed(self, sink: LogSink, name: str, entry: Entry) -> LogFeed:
        known = self._known[entry.ident].detail
        feed = self._log_feeds.get(f"logs:{entry.ident}")
        if feed is None:
            started = known.started if self._has_looked else None
            feed = LogFeed(f"/containers/{entry.ident}", name, sink, self._clock, started)
        feed.set_run((known.started, known.finished), entry.state is RunState.RUNNING)
        return feed

    def _on_event(self, event: ContainerEvent) -> None:
        """On the pump's thread. Only what concerns this stack is passed on."""
        spec = self._spec_of.get(event.name)
        with self._lock:
            self._stirred.add(event.container)
            if event.action == "oom":
                self._note_oom(event.container, event.ns / 1e9)
            if event.action == "die" and event.exit_code is not None:
                self._end_run(event.container, event.exit_code, event.ns / 1e9)
        if spec is None:
            return
        if self._logs is not None:
            line = to_stamp(event.ns) + b" " + event.sentence.encode()
            self._logs.mark(self._logs.source(spec.name), Marker.EVENT, line, event.level)
        if self._poke is not None:
            self._poke()

    def _note_oom(self, container: str, at: float) -> None:
        """It belongs to the run that goes on, or to the one that just ended: the engine mixes the order."""
        known = self._last_run.get(container)
        if known is not None and abs(at - known.finished) < _SAME_END:
            self._last_run[container] = replace(known, oom_killed=True)
        else:
            self._out_of_memory.add(container)

    def _end_run(self, container: str, exit_code: int, at: float) -> None:
        """Remember how a run ended, for the time when it runs again. Under the lock."""
        is_oom = container in self._out_of_memory
        self._out_of_memory.discard(container)
        known = self._last_run.get(container)
        # What inspecting said of this same end is worth more: an event may have been missed.
        if known is None or known.finished < at - _SAME_END:
            self._last_run[container] = LastRun(exit_code, is_oom, at)


def _is_due(entry: Entry, known: _Known, is_stirred: bool, now: float) -> bool:
    """Whether a container should be inspected again: changed, named by an event, or not well for a while."""
    rested = now - known.at
    if known.is_stuck:
        return rested >= _STUCK
    if is_stirred or known.seen != (entry.state, entry.status):
        return True
    is_ill = entry.state is RunState.RUNNING and entry.health in (Health.UNHEALTHY, Health.STARTING)
    return is_ill and rested >= _CHECK_AGAIN
