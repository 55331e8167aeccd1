"""The current board of one stack, swapped whole, and what is remembered between boards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from backends.board import derive
from backends.board.derivation import Deriver
from backends.board.ingest import Readings, never, period_of
from backends.model.alarm import Alarm
from backends.model.board import SERVICE, Board, SourceHealth
from backends.model.clock import Clock, Instant
from backends.model.procedure import Run
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Service
from backends.model.stack import ROOM, SourceKind, Stack

TRAIL = 60
"""Samples kept for a sparkline."""

BEAT = 0.98
"""Seconds after which a board is published again although nothing new was heard: at each look of the room,
one a second. As long as can be, because a board of sources that answer was made at most a second ago."""

RUNS = 20
"""Runs kept on the board, besides those under way."""


class AlarmBook(Protocol):
    """Turns a board into the alarms that are active on it."""

    def evaluate(self, board: Board, now: Instant) -> tuple[Alarm, ...]: ...


class Store:
    """Holds one stack's board. Written by the engine's loop only; ``board`` may be read from any thread."""

    def __init__(
        self,
        stack: Stack,
        clock: Clock,
        alarms: AlarmBook,
        changed: Callable[[], None],
        dated: Callable[[Readings], Readings] = dict,
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """``dated`` adds to readings how long ago or unchanged they certainly are. ``soon`` calls what it is
        given in a moment, on the engine's loop; without it each poll makes a board by itself."""
        self._stack = stack
        self._clock = clock
        self._alarms = alarms
        self._changed = changed
        self._dated = dated
        self._soon = soon
        self._taken: list[tuple[Readings, SourceHealth]] = []
        """What polls gave that is on no board yet."""
        self._trails: dict[str, deque[float | None]] = {}
        self._runtimes = {spec.source for spec in stack.services}
        self._real: frozenset[str] = frozenset()
        """The facts that say that money is real, or did last."""
        self.deriver = Deriver(stack)
        now = clock.now()
        readings = never(self._keys(), now)
        self.board = Board(
            stack=stack.id,
            seq=0,
            taken=now,
            environment=stack.environment,
            readings=readings,
            sources={
                source.id: SourceHealth(source.id, source.title, source.kind is SourceKind.ROOM or None, now)
                for source in stack.sources.values()
            },
            trading=derive.trading(stack, readings, now, None),
        )

    def _keys(self) -> list[tuple[str, Any, float]]:
        sources = self._stack.sources
        facts = [
            (fact.id, sources[fact.source], period_of(fact, sources[fact.source]))
            for fact in self._stack.facts.values()
            if not fact.on_demand
        ]
        services = [
            (SERVICE + spec.name, sources[spec.source], sources[spec.source].every)
            for spec in self._stack.services
        ]
        return facts + services

    def apply(self, readings: Readings, health: SourceHealth) -> None:
        """Take in what one poll of one source gave: the next board has it, and comes in a moment, with what
        others answer meanwhile. To conclude anew from a board costs more than to read a source."""
        is_first = not self._taken
        self._taken.append((self._dated(readings), health))
        if self._soon is None:
            self._publish_taken()
        elif is_first:
            self._soon(self._publish_taken)

    def _publish_taken(self) -> None:
        if self._taken:
            self._publish(self._with_taken())

    def _with_taken(self) -> Board:
        """The board with what polls gave since, from which nothing was concluded yet."""
        taken, self._taken = self._taken, []
        merged, sources = dict(self.board.readings), dict(self.board.sources)
        for readings, health in taken:
            for key in self._unexpected_gone(merged, readings, health):
                del merged[key]
                self._trails.pop(key, None)
            merged |= readings
            sources[health.id] = health
            self.deriver.remember(readings)
            self._remember(readings)
        now = self._clock.now()
        for name in self.deriver.made_from({key for readings, _ in taken for key in readings}):
            merged[name] = self.deriver.make(name, merged, now)
        return replace(self.board, readings=merged, sources=sources)

    def _unexpected_gone(self, known: Readings, fresh: Readings, health: SourceHealth) -> list[str]:
        """Services the stack file does not name leave the board when their runtime no longer lists them."""
        if not health.is_up or health.id not in self._runtimes:
            return []
        expected = {SERVICE + spec.name for spec in self._stack.services}
        return [
            key
            for key, reading in known.items()
            if key.startswith(SERVICE)
            and key not in expected
            and key not in fresh
            and reading.source == health.id
        ]

    def _remember(self, readings: Mapping[str, Reading[Any]]) -> None:
        for key, reading in readings.items():
            if not key.startswith(SERVICE):
                continue
            service = reading.value
            used = service.usage.memory if isinstance(service, Service) else None
            trail = self._trails.setdefault(key, deque(maxlen=TRAIL))
            trail.append(None if used is None else float(used))

    def show_run(self, run: Run) -> None:
        """Put a procedure's newest state on the board."""
        others = tuple(known for known in self.board.runs if known.operation != run.operation)
        newest_first = sorted((run, *others), key=lambda known: known.started, reverse=True)
        # One of our own that is under way stays: it may wait for a person, and leaving the room waits for it.
        places = enumerate(newest_first)
        kept = (each for place, each in places if place < RUNS or not (each.verdict or each.room))
        # Without what polls gave meanwhile, from which is concluded first: a stop begins with this.
        self._publish(replace(self.board, runs=tuple(kept)))

    def tick(self) -> None:
        """What has grown old is concluded anew although nothing was heard, and silence means a fault."""
        if self._clock.now().since(self.board.taken) >= BEAT:
            self._publish(self._with_taken())

    def _publish(self, board: Board) -> None:
        now = self._clock.now()
        board = replace(board, seq=self.board.seq + 1, taken=now)
        self._real = derive.real_money(self._stack, board.readings, now, self._real)
        board = replace(
            board,
            environment=derive.environment(self._stack, self._real),
            trading=derive.trading(self._stack, board.readings, now, self.board.trading),
            trails={key: tuple(trail) for key, trail in self._trails.items()},
        )
        self.board = replace(board, alarms=self._alarms.evaluate(board, now))
        self._changed()


def health_after(before: SourceHealth, error: SafeText | None, now: Instant, retry: Instant) -> SourceHealth:
    """The health of a source after one poll; ``error`` is None when it answered."""
    is_up = error is None
    return SourceHealth(
        id=before.id,
        title=before.title,
        is_up=is_up,
        since=before.since if before.is_up is is_up else now,
        last_ok=now if is_up else before.last_ok,
        failures=0 if is_up else before.failures + 1,
        error=error,
        retry_at=None if is_up else retry,
    )


def is_all_asked(board: Board) -> bool:
    """Whether every source has answered or failed at least once. What is derived may need longer."""
    return all(health.is_up is not None for health in board.sources.values()) and all(
        reading.outcome is not Outcome.NEVER or reading.source == ROOM for reading in board.readings.values()
    )
