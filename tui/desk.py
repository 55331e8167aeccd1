"""What this operator started from this screen: intents out, runs and verdicts back, what was noted."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from backends.model.board import Board
from backends.model.intent import Identity, Intent
from backends.model.procedure import Procedure, RiskClass, Run
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from tui.presenters.state import is_proved


def new_operation() -> str:
    """An operation id that no other room will make."""
    return secrets.token_hex(8)


class Desk:
    """Makes intents and remembers which verdicts the operator has taken note of."""

    def __init__(self, operator: Identity, new_id: Callable[[], str] = new_operation) -> None:
        self._operator = operator
        self._new_id = new_id
        self._noted: set[str] = set()
        self._raised: set[str] = set()

    def intent(self, stack: Stack, procedure: Procedure, board: Board) -> Intent:
        """A request to run the procedure, as seen on that board."""
        reason = f"{procedure.title} by {self._operator.user} from the control room"
        return Intent(
            id=self._new_id(),
            stack=stack.id,
            procedure=procedure.id,
            operator=self._operator,
            reason=SafeText(reason),
            seen=board.seq,
            via="screen",
        )

    def note(self, operation: str) -> None:
        """The operator has taken note of this verdict."""
        self._noted.add(operation)

    def open_verdict(self, board: Board) -> Run | None:
        """The newest ended run whose verdict nobody has taken note of; one that failed comes first."""
        ended = [run for run in board.runs if run.verdict is not None and run.operation not in self._noted]
        return next((run for run in ended if not is_proved(run)), ended[0] if ended else None)

    def to_raise(self, board: Board, stack: Stack) -> Run | None:
        """A stop that was not proved and was not put before the operator yet; each is returned once."""
        for run in board.runs:
            procedure = stack.procedures.get(run.procedure)
            is_stop = procedure is not None and procedure.risk is RiskClass.STOP
            is_known = run.operation in self._raised or run.operation in self._noted
            if run.verdict is not None and is_stop and not is_proved(run) and not is_known:
                self._raised.add(run.operation)
                return run
        return None

    def shown(self, operation: str) -> None:
        """This run's verdict is before the operator already."""
        self._raised.add(operation)


def running(board: Board, procedure: str | None = None) -> Run | None:
    """The run under way, another room's too; of that procedure, and this room's own, when one is named."""
    under_way = [run for run in board.runs if run.verdict is None]
    if procedure is None:
        return next(iter(under_way), None)
    return next((run for run in under_way if run.procedure == procedure and not run.room), None)
