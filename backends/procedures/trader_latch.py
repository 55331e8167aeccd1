"""Traders that halt and go on by themselves: one that was halted from a room is on again only by a room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from backends.journal.entry import Kind, wall_of
from backends.journal.tail import NotYetError
from backends.model.action import DockerVerb
from backends.model.alarm import Alarm, Priority
from backends.model.board import SERVICE, Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure, RiskClass, Step, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import GateSpec, Stack
from backends.model.substitution import fill_known
from backends.model.trading import TradingState
from backends.procedures import latch
from backends.procedures.evidence import Sight
from backends.procedures.resumes import DONE, Record

ALARM: Final = "trading:trader-resumed"

RESUMED: Final = frozenset({latch.ALARM, ALARM})
"""What is over once somebody says to have seen it."""

PENDING: Final = 180.0
"""Seconds that what starts a trader, here or in another room, has to be journalled from when that trades: its
proof may be a minute that the trader writes."""

SLACK: Final = 2.0
"""Seconds by which a trader's clock may be ahead, and its last word older than it seems."""

EARLIER: Final = 30.0
"""Seconds by which a start may be proved before its trader was last seen halted."""

_ENDS: Final = frozenset({"stop", "kill"})
_STARTED: Final = (*DONE, Verdict.PARTIAL.value)
"""Verdicts of a run of which what was read back holds."""


class TraderLatch:
    """Watches the boards of a stack whose gates are traders, each a service with a state of its own.

    Whatever a trader does by itself says nothing. Only when a stop of a room on this host was proved for it,
    and it trades without a run of a room that started it since, is that the loudest alarm. ``recent`` gives
    the newest records of the journal, oldest first; it is asked when a trader begins to trade or a stop ends.
    """

    def __init__(self, stack: Stack, recent: Callable[[], Iterable[Record]]) -> None:
        self._stack = stack.id
        self._recent = recent
        halt = stack.procedures.get(stack.halt_path or "")
        self._section = None if halt is None else halt.section
        gates = stack.gates if stack.is_several else ()
        self._traders = [_Trader(gate, stack) for gate in gates if gate.service and not gate.latches]
        self._alarm: Alarm | None = None

    @property
    def alarm(self) -> Alarm | None:
        """Who trades again although nobody in a room started it; one alarm for all of them."""
        return self._alarm

    def acknowledge(self) -> None:
        """Somebody has seen who trades again and takes it so."""
        for each in self._traders:
            each.acknowledge()
        self._alarm = None

    def see(self, board: Board, now: Instant) -> None:
        """Take in a board."""
        asking = [each for each in self._traders if each.see(board, now)]
        if asking:
            records = self._records()
            for each in asking:
                each.judge(records, board, now)
        self._tell([each for each in self._traders if each.halted is not None], now)

    def _records(self) -> list[Record] | None:
        """Of this stack, real ones only; None while they cannot be read: that has an alarm of its own."""
        try:
            records = list(self._recent())
        except (NotYetError, OSError):
            return None
        return [it for it in records if it.get("stack") == self._stack and it.get("mode") == "live"]

    def _tell(self, back: list[_Trader], now: Instant) -> None:
        if not back:
            self._alarm = None
            return
        title = SafeText(f"UNEXPLAINED RESUME: {'; '.join(map(str, back))}")
        if self._alarm is None or self._alarm.title != title:
            since = now if self._alarm is None else self._alarm.since
            self._alarm = _resumed(title, since, self._section)


def latches(
    stack: Stack, reader: Callable[[], Callable[[], Iterable[Record]]]
) -> list[latch.Latch | TraderLatch]:
    """All that watches over the halts of this stack. ``reader`` makes each its own ``recent``: one that waits
    for the journal keeps no other from it."""
    found: list[latch.Latch | TraderLatch] = [TraderLatch(stack, reader())]
    if stack.is_several or any(gate.latches for gate in stack.gates):
        found.append(latch.Latch(stack.id, reader(), stack))
    return found


class _Trader:
    """One of them."""

    def __init__(self, gate: GateSpec, stack: Stack) -> None:
        self._gate = gate
        self._stops = frozenset(_stops(gate, stack))
        self._starts = frozenset(_starts(gate, stack))
        self._is_known = False
        """Whether the journal was asked since it trades."""
        self._on: Instant | None = None
        """Since when it trades."""
        self._seen_halted = float("-inf")
        """When it was last seen halted, by the host's clock."""
        self._ended = float("-inf")
        """When the newest stop on the board had ended, as of the last look into the journal."""
        self._settled = 0.0
        """Halts until then were seen to be over, by the host's clock."""
        self.halted: float | None = None
        """When it was halted that trades again without a reason, by the host's clock."""

    def __str__(self) -> str:
        return f"{self._gate.label} halted {_clock(self.halted or 0.0)}, trading now"

    def acknowledge(self) -> None:
        if self.halted is not None:
            self._settled, self.halted = self.halted, None

    def see(self, board: Board, now: Instant) -> bool:
        """Whether the journal must be asked about it."""
        state = next((it.state for it in board.trading.gates if it.fact == self._gate.fact), None)
        if state is TradingState.HALTED:
            self._is_known, self._on, self.halted = False, None, None
            self._seen_halted = now.wall
        if state is not TradingState.TRADING:
            return False
        self._on = self._on or now
        stops = (run.ended.mono for run in board.runs if run.risk is RiskClass.STOP and run.ended is not None)
        ended = max(stops, default=float("-inf"))
        if ended > self._ended:
            self._ended, self._is_known = ended, False
        return not self._is_known and self.halted is None

    def judge(self, records: list[Record] | None, board: Board, now: Instant) -> None:
        """Whether it was halted and nobody has started it since; without records, later."""
        if records is None:
            return
        halted, stopped, pending = self._told(records)
        if halted is None:
            # It was started since: that counts for good, also when it pauses by itself and goes on later.
            self._is_known, self._settled = True, max(self._settled, stopped)
        elif halted <= self._settled:
            self._is_known = True
        elif self._spoke(board) > halted + SLACK:
            is_pending = pending or self._is_being_started(board)
            if not is_pending or (self._on is not None and now.since(self._on) >= PENDING):
                self._is_known, self.halted = True, halted

    def _told(self, records: list[Record]) -> tuple[float | None, float, bool]:
        """By the journal: when it was halted, unless it was started since; when it was last halted at all, 0
        for never; and whether a start is under way."""
        halted: float | None = None
        stopped = 0.0
        pending: set[object] = set()
        for record in records:
            kind, operation = record.get("kind"), record.get("operation")
            if kind == Kind.INTENT.value and any(name == record.get("procedure") for name, _ in self._starts):
                pending.add(operation)
            elif kind in (Kind.OUTCOME.value, Kind.REFUSED.value):
                pending.discard(operation)
                held = set(_held(record))
                if record.get("class") == RiskClass.STOP.value:
                    if held & self._stops:
                        halted = stopped = wall_of(record)
                elif self._is_start(record, held):
                    halted = None
        return halted, stopped, bool(pending)

    def _is_start(self, record: Record, held: set[str]) -> bool:
        is_late = wall_of(record) >= self._seen_halted - EARLIER
        done = record.get("verdict") in _STARTED
        return done and is_late and any((record.get("procedure"), fact) in self._starts for fact in held)

    def _is_being_started(self, board: Board) -> bool:
        procedures = {name for name, _ in self._starts}
        return any(
            run.verdict is None and not run.is_dry and run.procedure in procedures for run in board.runs
        )

    def _spoke(self, board: Board) -> float:
        """When it said itself that it trades, by the host's clock."""
        reading = board.readings[self._gate.fact]
        return reading.received.wall - (reading.observed_lag or 0.0)


def _stops(gate: GateSpec, stack: Stack) -> Iterator[str]:
    """The facts by which a stop proves that this trader is halted."""
    for _, step, chosen in _steps(gate, stack, is_stop=True):
        action = step.action
        is_ended = (
            isinstance(action, DockerVerb)
            and action.verb in _ENDS
            and fill_known(action.service, chosen) == gate.service
        )
        for proof in step.proof:
            fact = fill_known(proof.fact, chosen)
            is_halted = fact == gate.fact and proof.equals and set(proof.equals) <= gate.halted
            if is_ended or is_halted:
                yield fact


def _starts(gate: GateSpec, stack: Stack) -> Iterator[tuple[str, str]]:
    """The procedures that start this trader, each with a fact about it by which that is proved."""
    own = {gate.fact, f"{SERVICE}{gate.service}"}
    for procedure, step, chosen in _steps(gate, stack, is_stop=False):
        for proof in step.proof:
            fact = fill_known(proof.fact, chosen)
            is_own = fact in own or fact.partition(".")[0] == gate.service
            if is_own and not proof.is_missing and proof.at_most is None:
                yield procedure.id, fact


def _steps(
    gate: GateSpec, stack: Stack, *, is_stop: bool
) -> Iterator[tuple[Procedure, Step, Mapping[str, Any]]]:
    """Each step of the stops, or of the others, with this trader chosen where one is chosen."""
    for procedure in stack.procedures.values():
        chosen = {each.name: gate.service for each in procedure.params if gate.service in each.one_of}
        if (procedure.risk is RiskClass.STOP) is is_stop:
            yield from ((procedure, step, chosen) for step in procedure.steps)


def _held(record: Record) -> Iterator[str]:
    """The facts that were read back as they should be."""
    after = record.get("after")
    for each in after if isinstance(after, list) else ():
        if isinstance(each, Mapping) and each.get("sight") == Sight.HOLDS.value:
            yield str(each.get("fact"))


def _clock(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%H:%M:%SZ")


def _resumed(title: SafeText, since: Instant, section: str | None) -> Alarm:
    return Alarm(
        id=ALARM,
        priority=Priority.CRITICAL,
        title=title,
        cause=SafeText(
            "no room on this host started it since: another tool, a watchdog, a restart, a person"
        ),
        consequence=SafeText("it places orders although nobody here released the halt"),
        response=SafeText("Halt again now. Then find who or what resumed, before anything else."),
        since=since,
        subject="trading",
        section=section,
    )
