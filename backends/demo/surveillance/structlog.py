"""The workers' log: one JSON object a line, as structlog renders it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from backends.demo.dockerd.log_store import STDERR, LogStore


def now() -> str:
    """The time as the system writes it: UTC with ``Z``."""
    return stamp(datetime.now(UTC))


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Events:
    """What one service says."""

    def __init__(self, log: LogStore, service: str) -> None:
        self._log = log
        self._service = service

    def info(self, event: str, **more: Any) -> None:
        self._say("info", event, more)

    def warning(self, event: str, **more: Any) -> None:
        self._say("warning", event, more)

    def error(self, event: str, **more: Any) -> None:
        self._say("error", event, more)

    def trace(self, error: BaseException) -> None:
        """What Python prints when it ends with an error."""
        lines = ("Traceback (most recent call last):", f"{type(error).__name__}: {error}")
        self._log.write([line.encode() for line in lines], STDERR)

    def _say(self, level: str, event: str, more: dict[str, Any]) -> None:
        line = {**more, "service": self._service, "event": event, "level": level, "timestamp": now()}
        self._log.write([json.dumps(line).encode()])
