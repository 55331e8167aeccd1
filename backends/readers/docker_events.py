"""The engine's own events: a reason to look at once, and rows for the log."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from backends.model.logline import LogLevel
from backends.readers.docker_stream import Feed

WANTED: Final = (
    "create", "start", "die", "stop", "kill", "oom", "pause", "unpause", "restart", "destroy",
    "health_status",
)  # fmt: skip
"""Filtered by the engine: the ``exec_*`` events of health checks would be most of the stream."""

_EVENT_LIMIT: Final = 1024 * 1024
_REMEMBERED: Final = 500
"""Events by which it is known what comes again after a break."""


class ContainerEvent(Struct, frozen=True):
    """Something happened to a container."""

    container: str
    """The container's id."""
    name: str
    """Its name, as raw as it came."""
    action: str
    """One of ``WANTED``."""
    detail: str
    """What follows a colon in the action: the health word."""
    exit_code: int | None
    signal: str | None
    ns: int
    """When, nanoseconds since the epoch by the engine's clock."""

    @property
    def level(self) -> LogLevel:
        if self.action == "oom":
            return LogLevel.CRITICAL
        is_bad_end = self.action == "die" and self.exit_code not in (0, None)
        if is_bad_end or self.detail == "unhealthy":
            return LogLevel.ERROR
        return LogLevel.WARNING if self.action in ("die", "kill", "pause", "destroy") else LogLevel.INFO

    @property
    def sentence(self) -> str:
        """What happened, for the operator."""
        if self.action == "die":
            return "container ended" + (f", exit code {self.exit_code}" if self.exit_code is not None else "")
        if self.action == "kill":
            return (
                f"container was sent signal {self.signal}" if self.signal else "container was sent a signal"
            )
        if self.action == "health_status":
            return f"health check now says: {self.detail or 'nothing'}"
        return _SENTENCES[self.action]


_SENTENCES: Final = {
    "create": "container created",
    "start": "container started",
    "stop": "container stopped on request",
    "oom": "container ran out of memory; the kernel killed a process in it",
    "pause": "container paused",
    "unpause": "container unpaused",
    "restart": "container restarted on request",
    "destroy": "container removed",
}


class EventsFeed(Feed):
    """One stream of container events. After a break it asks again from the last event it had."""

    def __init__(self, on_event: Callable[[ContainerEvent], None]) -> None:
        """``on_event`` is called on the pump's thread and must return at once."""
        super().__init__()
        self._on_event = on_event
        self._rest = b""
        self._last_ns = 0
        self._had: deque[ContainerEvent] = deque(maxlen=_REMEMBERED)

    def request(self) -> tuple[str, dict[str, str]]:
        self._rest = b""
        query = {"filters": json.dumps({"type": ["container"], "event": list(WANTED)})}
        if self._last_ns:
            query["since"] = f"{self._last_ns // 1_000_000_000}.{self._last_ns % 1_000_000_000:09d}"
        return "/events", query

    def data(self, body: bytes) -> None:
        *events, self._rest = (self._rest + body).split(b"\n")
        if len(self._rest) > _EVENT_LIMIT:
            raise ValueError("an event without an end")
        for raw in events:
            event = understood(json.loads(raw)) if raw.strip() else None
            # Told apart by what they say: what happens at once comes in any order of time, and after the
            # engine's clock was set back all that happens is of before.
            if event is not None and event not in self._had:
                self._last_ns = event.ns
                self._had.append(event)
                self._on_event(event)


def understood(raw: Mapping[str, Any]) -> ContainerEvent | None:
    """An event as the engine sends it; None for one that is not about a container or not wanted."""
    if not isinstance(raw, dict):
        raise ValueError("an event that is no object")
    actor = raw.get("Actor")
    action, _, detail = str(raw.get("Action", "")).partition(":")
    if raw.get("Type") != "container" or action not in WANTED or not isinstance(actor, dict):
        return None
    about = actor.get("Attributes")
    about = about if isinstance(about, dict) else {}
    code, ns = str(about.get("exitCode", "")), raw.get("timeNano")
    return ContainerEvent(
        container=str(actor.get("ID", "")),
        name=str(about.get("name", "")),
        action=action,
        detail=detail.strip(),
        exit_code=int(code) if code.isdecimal() and len(code) < 6 else None,
        signal=str(about["signal"])[:16] if "signal" in about else None,
        ns=ns if isinstance(ns, int) else 0,
    )
