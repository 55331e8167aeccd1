"""What this operator started from this screen: intents out, runs and verdicts back, what was noted."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.fact import Table
from backends.model.intent import Identity, Intent
from backends.model.procedure import Procedure, RiskClass, Run, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.confirm import PLANNED, seen_on
from backends.procedures.plan import Plan, make_plan
from tui.presenters.state import is_proved


def new_operation() -> str:
    """An operation id that no other room will make."""
    return secrets.token_hex(8)


class Answers(Struct, frozen=True):
    """What was typed to confirm."""

    reason: str = ""
    challenge: str | None = None
    phrase: str | None = None
    approval: str | None = None
    """Code of the request a second person has approved."""


NO_ANSWERS: Final = Answers()
NO_PARAMS: Final[Mapping[str, str]] = {}


def plan_on(board: Board, intent: Intent, stack: Stack, now: Instant) -> Plan:
    """What would exactly be done if everything is as that board shows it."""
    procedure = stack.procedures[intent.procedure]
    facts = [step.each.fact for step in procedure.steps if step.each is not None]
    values = {fact: board.readings[fact].value for fact in facts if fact in board.readings}
    tables = {fact: value for fact, value in values.items() if isinstance(value, Table)}
    return make_plan(intent, procedure, stack, now, tables, intent.shown)


class Desk:
    """Makes intents and remembers which verdicts the operator has taken note of."""

    def __init__(self, operator: Identity, new_id: Callable[[], str] = new_operation) -> None:
        self._operator = operator
        self._new_id = new_id
        self._noted: set[tuple[str, Verdict | None]] = set()
        self._raised: set[tuple[str, Verdict | None]] = set()
        """Operations with their verdicts: one that is taken back is another, and nobody has seen it."""
        self._again: Run | None = None
        self._asked: list[tuple[str, Instant]] = []

    def intent(
        self,
        stack: Stack,
        procedure: Procedure,
        board: Board,
        now: Instant,
        params: Mapping[str, str] = NO_PARAMS,
        answers: Answers = NO_ANSWERS,
    ) -> Intent:
        """A request to run the procedure, with an operation id of its own. What it tries again is noted."""
        again, self._again = self._again, None
        if again is not None and (again.stack, again.procedure) == (stack.id, procedure.id):
            self.note(again)
        return replace(self.draft(stack, procedure, board, now, params, answers), id=self._new_id())

    def draft(
        self,
        stack: Stack,
        procedure: Procedure,
        board: Board,
        now: Instant,
        params: Mapping[str, str],
        answers: Answers,
    ) -> Intent:
        """What would be requested now: what moves the market, loses something or restores is held to the
        plan and the values that board shows."""
        reason = answers.reason or f"{procedure.title} by {self._operator.user} from the control room"
        shown = seen_on(procedure, stack, board.readings)
        intent = Intent(
            id="",
            stack=stack.id,
            procedure=procedure.id,
            operator=self._operator,
            reason=SafeText(reason, 400),
            seen=board.seq,
            via="screen",
            params=dict(params),
            challenge=answers.challenge,
            phrase=answers.phrase,
            shown=shown,
            approval=answers.approval,
        )
        if procedure.risk not in PLANNED:
            return intent
        return replace(intent, plan=plan_on(board, intent, stack, now).hash)

    def asked(self, procedure: str, at: Instant) -> None:
        """The dialog of this procedure came up, to ask."""
        self._asked.append((procedure, at))

    def when_asked(self, run: Run) -> Instant | None:
        """When the dialog came up in which this run was confirmed; None when it was in none."""
        before = (at for name, at in self._asked if name == run.procedure and at.mono <= run.started.mono)
        return max(before, key=lambda at: at.mono, default=None)

    def note(self, run: Run) -> None:
        """The operator has taken note of the verdict that this run has."""
        self._noted.add(_verdict(run))

    def try_again(self, run: Run) -> None:
        """It is asked about anew: its verdict stands until that is confirmed, and comes forward if not."""
        self._again = run
        self._raised.discard(_verdict(run))

    def open_verdict(self, board: Board) -> Run | None:
        """The newest ended run whose verdict nobody has taken note of; one that failed comes first."""
        ended = [run for run in board.runs if run.verdict is not None and _verdict(run) not in self._noted]
        return next((run for run in ended if not is_proved(run)), ended[0] if ended else None)

    def to_raise(self, board: Board, stack: Stack) -> Run | None:
        """A stop that was not proved and was not put before the operator yet; each is returned once."""
        for run in board.runs:
            procedure = stack.procedures.get(run.procedure)
            is_stop = procedure is not None and procedure.risk is RiskClass.STOP
            is_known = _verdict(run) in self._raised | self._noted
            if run.verdict is not None and is_stop and not is_proved(run) and not is_known:
                self._raised.add(_verdict(run))
                return run
        return None

    def shown(self, run: Run) -> None:
        """This run's verdict is before the operator already."""
        self._raised.add(_verdict(run))


def _verdict(run: Run) -> tuple[str, Verdict | None]:
    return run.operation, run.verdict


def fate(run: Run) -> str:
    """What becomes of a run under way when the operator leaves."""
    if run.room:
        return "goes on to its end"
    if run.risk is RiskClass.RESTORE:
        return "sends nothing more once you leave"
    return "ends when you leave, for it waits for you" if run.awaits else "goes on to its end"


def running(board: Board, procedure: str | None = None) -> Run | None:
    """The run under way, another room's too; of that procedure, and this room's own, when one is named."""
    under_way = [run for run in board.runs if run.verdict is None]
    if procedure is None:
        return next(iter(under_way), None)
    return next((run for run in under_way if run.procedure == procedure and not run.room), None)
