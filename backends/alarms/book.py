"""The alarms of one stack over time: the same condition seen again is the same alarm."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from backends.alarms.rules import Conditions
from backends.model.alarm import Alarm, Priority
from backends.model.board import SERVICE, Board
from backends.model.clock import Instant
from backends.model.reading import Outcome, Quality, Reading
from backends.model.safetext import SafeText
from backends.model.service import Service
from backends.model.stack import Stack

LOOP_WINDOW = 600.0
LOOP_RESTARTS = 3
"""Restarts of one service within ``LOOP_WINDOW`` seconds that make a crash loop."""

LAST_KNOWN = " · last known"
"""Added to the title of an alarm whose evidence is lost."""


class AlarmBook:
    """Evaluates each board of one stack; remembers since when each alarm is active."""

    def __init__(self, stack: Stack, started: Instant) -> None:
        self._conditions = Conditions(stack, started)
        self._rules = {rule.id: rule.fact for rule in stack.alarms}
        self._after = {rule.id: rule.after for rule in stack.alarms if rule.after}
        self._begun: dict[str, Instant] = {}
        self._active: dict[str, Alarm] = {}
        self._restarts: dict[str, deque[tuple[float, int]]] = {}

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]:
        """The alarms active on ``board``, most urgent first, then oldest first."""
        found = {alarm.id: alarm for alarm in self._lasting(board, now)}
        for alarm in self._crash_loops(board, now):
            found[alarm.id] = alarm
        found |= {ident: alarm for ident, alarm in self._held(board, now) if ident not in found}
        self._active = {
            ident: replace(alarm, since=self._active[ident].since if ident in self._active else now)
            for ident, alarm in found.items()
        }
        return tuple(
            sorted(self._active.values(), key=lambda alarm: (alarm.priority.rank, alarm.since, alarm.id))
        )

    def _lasting(self, board: Board, now: Instant) -> Iterator[Alarm]:
        """The conditions but for those that must last and have not yet. One out of sight meanwhile has."""
        found = list(self._conditions.on(board, now))
        lost = {
            ident: since
            for ident, since in self._begun.items()
            if (reading := board.readings.get(self._rules[ident])) is not None and _is_lost(reading, now)
        }
        seen = {alarm.id: self._begun.get(alarm.id, now) for alarm in found if alarm.id in self._after}
        self._begun = lost | seen
        for alarm in found:
            has_lasted = now.since(self._begun.get(alarm.id, now)) >= self._after.get(alarm.id, 0.0)
            if has_lasted or alarm.id in self._active:
                yield alarm

    def _held(self, board: Board, now: Instant) -> Iterator[tuple[str, Alarm]]:
        """Alarms whose evidence is lost: what was wrong is not right because it cannot be seen any more."""
        for ident, alarm in self._active.items():
            reading = board.readings.get(alarm.subject)
            is_condition = ident in self._rules or ident.startswith(SERVICE)
            if reading is not None and is_condition and _is_lost(reading, now):
                title = alarm.title.removesuffix(LAST_KNOWN) + LAST_KNOWN
                yield ident, replace(alarm, title=SafeText(title))

    def _crash_loops(self, board: Board, now: Instant) -> list[Alarm]:
        """A container that starts again and again looks healthy in between; the count does not."""
        loops = []
        for key in self._restarts.keys() - board.readings.keys():
            del self._restarts[key]
        for key, reading in board.readings.items():
            service = reading.value
            if not key.startswith(SERVICE) or not isinstance(service, Service) or service.restarts is None:
                continue
            seen = self._restarts.setdefault(key, deque())
            if seen and service.restarts < seen[-1][1]:
                # Another container of that name, made since: its count began anew, and says nothing of the
                # one before.
                seen.clear()
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


def _is_lost(reading: Reading[Any], now: Instant) -> bool:
    """Whether it can no longer be seen what it is about: what was found missing just now was seen."""
    if reading.outcome is Outcome.MISSING:
        return not 0 <= reading.age(now) <= reading.stale_after
    return reading.quality(now) not in (Quality.FRESH, Quality.AGEING)
