"""What an emergency key does: one dialog at a time, a refusal in watch mode, a failure that comes forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from textual.screen import Screen

from backends.model.procedure import Procedure, RiskClass, Run
from tui.actions import EMERGENCIES, Action, key_text
from tui.desk import Desk, running
from tui.dialogs.procedure_dialog import ProcedureDialog, Stage
from tui.dialogs.stop_dialog import StopDialog
from tui.face import EngineFace
from tui.moment import Moment
from widgets.roles import Role

REFUSAL_PERIOD = 1.0
"""Seconds between two journal lines about a key held down in watch mode."""


class Front(Protocol):
    """What it needs of the app."""

    @property
    def screen(self) -> Screen[object]: ...

    def moment(self, stack: str | None = None) -> Moment: ...

    def say(self, text: str, role: Role = "strong") -> None: ...

    def put_on_top(self, screen: Screen[None]) -> None: ...


DIALOGS: dict[RiskClass, Callable[..., ProcedureDialog]] = {RiskClass.STOP: StopDialog}
"""How each risk class is confirmed."""


class Emergencies:
    """Opens, attaches to and brings forward the dialogs of emergency procedures."""

    def __init__(self, app: Front, engine: EngineFace, desk: Desk, *, is_watch: bool) -> None:
        self._app = app
        self._engine = engine
        self._desk = desk
        self._is_watch = is_watch
        self._last_refusal: float | None = None

    def press(self, it: Action) -> None:
        """The key of an emergency action was pressed, wherever the keyboard was."""
        moment = self._app.moment()
        name = it.procedure or it.id
        procedure = moment.stack.procedures.get(name)
        if self._is_watch:
            self._refuse(it, moment)
        elif isinstance(dialog := self._app.screen, ProcedureDialog):
            self._press_again(dialog, it)
        elif procedure is None:
            self._engine.record(
                "no path",
                moment.stack.id,
                name,
                f"key {key_text(it.keys[0])} pressed; the stack has no such procedure",
            )
            self._app.say(f"{it.label}: NO HALT PATH, this stack has no such procedure", "state-warn")
        else:
            run = running(moment.board, name)
            if run is not None:
                self._engine.record(
                    "attached", moment.stack.id, name, f"key pressed again; attached to run {run.operation}"
                )
            self._open(moment, procedure, it, run)

    def show(self, run: Run, moment: Moment) -> bool:
        """Open a run, under way or ended; False when nothing here can show it."""
        it = next((it for it in EMERGENCIES if it.procedure == run.procedure), None)
        procedure = moment.stack.procedures.get(run.procedure)
        if it is None or procedure is None:
            return False
        self._open(moment, procedure, it, run)
        return True

    def bring_forward(self, moment: Moment) -> bool:
        """Open a stop that ended without proof and was not seen yet; True when there was one."""
        if isinstance(self._app.screen, ProcedureDialog):
            return False
        run = self._desk.to_raise(moment.board, moment.stack)
        return run is not None and self.show(run, moment)

    def _refuse(self, it: Action, moment: Moment) -> None:
        now = moment.now.mono
        if self._last_refusal is None or now - self._last_refusal >= REFUSAL_PERIOD:
            self._last_refusal = now
            self._engine.record(
                "refused",
                moment.stack.id,
                it.procedure or it.id,
                f"key {key_text(it.keys[0])} pressed in watch mode",
            )
        self._app.say(
            f"WATCH – READ ONLY: {key_text(it.keys[0])} {it.label} is not possible here", "state-warn"
        )

    def _press_again(self, dialog: ProcedureDialog, it: Action) -> None:
        """One dialog, one execution: a second press attaches; after a verdict it asks anew."""
        if dialog.stage is Stage.QUESTION:
            dialog.pressed_again()
        elif dialog.stage is Stage.RUNNING:
            dialog.remark("it is running; nothing is sent twice")
        else:
            dialog.take_note()
            moment = self._app.moment(dialog.stack_id)
            self._open(moment, dialog.procedure, it, None)

    def _open(self, moment: Moment, procedure: Procedure, it: Action, run: Run | None) -> None:
        make = DIALOGS.get(procedure.risk)
        if make is None:
            self._app.say(f"{procedure.title}: its risk class has no dialog yet", "state-warn")
            return
        self._app.put_on_top(make(moment, procedure, it, self._engine, self._desk, run))
