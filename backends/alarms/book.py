"""The alarms of one stack over time: the same condition seen again is the same alarm."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from backends.alarms.rules import conditions
from backends.model.alarm import Alarm, Priority
from backends.model.board import SERVICE, Board
from backends.model.clock import Instant
from backends.model.safetext import SafeText
from backends.model.service import Service
from backends.model.stack import Stack

LOOP_WINDOW = 600.0
LOOP_RESTARTS = 3
"""Restarts of one service within ``LOOP_WINDOW`` seconds that make a crash loop."""


class AlarmBook:
    """Evaluates each board of one stack; remembers since when each alarm is active."""

    def __init__(self, stack: Stack, started: Instant) -> None:
        self._stack = stack
        self._started = started
        self._active: dict[str, Alarm] = {}
        self._restarts: dict[str, deque[tuple[float, int]]] = {}

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]:
        """The alarms active on ``board``, most urgent first, then oldest first."""
        found = {alarm.id: alarm for alarm in conditions(self._stack, board, self._started, now)}
        for alarm in self._crash_loops(board, now):
            found[alarm.id] = alarm
        self._active = {
            ident: replace(alarm, since=self._active[ident].since) if ident in self._active else alarm
            for ident, alarm in found.items()
        }
        return tuple(
            sorted(self._active.values(), key=lambda alarm: (alarm.priority.rank, alarm.since, alarm.id))
        )

    def _crash_loops(self, board: Board, now: Instant) -> list[Alarm]:
        """A container that starts again and again looks healthy in between; the count does not."""
        loops = []
        for key, reading in board.readings.items():
            service = reading.value
            if not key.startswith(SERVICE) or not isinstance(service, Service) or service.restarts is None:
                continue
            seen = self._restarts.setdefault(key, deque())
            if not seen or seen[-1][1] != service.restarts:
                seen.append((now.mono, service.restarts))
            while len(seen) > 1 and now.mono - seen[1][0] > LOOP_WINDOW:
                seen.popleft()
            count = service.restarts - seen[0][1]
            if count >= LOOP_RESTARTS:
                loops.append(
                    Alarm(
                        id=key,
                        priority=Priority.HIGH,
                        title=SafeText(
                            f"{service.name} is in a crash loop: {count} restarts in 10 min,"
                            f" last exit code {service.exit_code}"
                        ),
                        cause=SafeText("it dies soon after each start; the reason is in its last log lines"),
                        consequence=SafeText("what it does happens only in the moments it runs"),
                        response=SafeText("Read its log before the last exit; stop it if it does harm."),
                        since=now,
                        subject=key,
                    )
                )
        return loops
