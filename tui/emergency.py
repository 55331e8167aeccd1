"""How a procedure comes to its dialog: by its key or from the list; one dialog at a time, a refusal in watch
mode, a failure that comes forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from textual.screen import Screen

from backends.journal.drills import DrillBook
from backends.model.procedure import Procedure, RiskClass, Run
from backends.model.safetext import SafeText
from tui.actions import EMERGENCIES, Action, Way, action, key_text, way_from_list, way_of
from tui.desk import Desk, running
from tui.dialogs.arming import IDLE_SECONDS
from tui.dialogs.key_dialog import KeyDialog
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.stage import Stage
from tui.dialogs.typed_dialog import TypedDialog
from tui.face import EngineFace
from tui.moment import Moment
from tui.presenters.procedures import drilled_text
from widgets.roles import Role

REFUSAL_PERIOD = 1.0
"""Seconds between two journal lines about a key held down in watch mode."""

_READ_ONLY: Final = "WATCH – READ ONLY: {} is not possible here"

MISSED_FOR = 60.0
"""Seconds for which the room says that a question closed by itself: long enough to look up again."""


class Front(Protocol):
    """What it needs of the app."""

    @property
    def screen(self) -> Screen[object]: ...

    def moment(self, stack: str | None = None) -> Moment: ...

    def say(self, text: str, role: Role = "strong", seconds: float = ...) -> None: ...

    def put_on_top(self, screen: Screen[None]) -> None: ...


def _typed_dialog(*arguments: Any) -> ProcedureDialog:

    return TypedDialog(*arguments)


DIALOGS: dict[RiskClass, Callable[..., ProcedureDialog]] = {
    RiskClass.STOP: KeyDialog,
    RiskClass.MARKET: _typed_dialog,
    RiskClass.DEGRADE: _typed_dialog,
    RiskClass.RESTORE: _typed_dialog,
    RiskClass.ROUTINE: KeyDialog,
}
"""How each risk class is confirmed."""


class Emergencies:
    """Opens, attaches to and brings forward the dialogs of procedures."""

    def __init__(
        self, app: Front, engine: EngineFace, desk: Desk, drills: DrillBook, *, is_watch: bool
    ) -> None:
        self._app = app
        self._engine = engine
        self._desk = desk
        self._drills = drills
        self._is_watch = is_watch
        self._last_refusal: float | None = None
        self._missed: tuple[str, str, float] | None = None
        """Of the last question that closed by itself: what would have confirmed it, what is said, until
        when."""

    def heard(self, key: str) -> None:
        """A key of the main screen. To the one that would have confirmed a question which has closed by
        itself the answer is that it has."""
        if self._missed is None:
            return
        confirm, text, until = self._missed
        left = until - self._app.moment().now.mono
        if left > 0 and key.removeprefix("upper_").lower() == confirm:
            self._app.say(text, "state-warn", left)

    def press(self, it: Action) -> None:
        """The key of an emergency action was pressed, wherever the keyboard was."""
        dialog = self._over
        moment = self._app.moment(None if dialog is None else dialog.stack_id)
        name = it.procedure or it.id
        procedure = moment.stack.procedures.get(name)
        if self._is_watch:
            self._refuse(name, f"key {key_text(it.keys[0])} pressed in watch mode", moment)
            self._app.say(_READ_ONLY.format(f"{key_text(it.keys[0])} {it.label}"), "state-warn")
        elif dialog is not None and dialog.procedure.id == name:
            self._press_again(dialog, it)
        elif procedure is None:
            self._engine.record(
                "no path",
                moment.stack.id,
                name,
                f"key {key_text(it.keys[0])} pressed; the stack has no such procedure",
            )
            instead = f"{key_text(action('procedures').keys[0])} lists its own procedures"
            self._app.say(f"{moment.stack.id}: NO HALT PATH, nothing sent; {instead}", "state-warn")
        else:
            if dialog is not None:
                # Whatever else was being asked or shown: this key comes first.
                dialog.give_way()
            self._ask_or_attach(moment, procedure, way_of(it))

    def choose(self, name: str) -> None:
        """Enter was pressed on a procedure in the list: what has to be chosen first, then its dialog."""
        moment = self._app.moment()
        procedure = moment.stack.procedures.get(name)
        if procedure is None:
            return
        if self._is_watch:
            self._refuse(name, "its row was chosen in watch mode", moment)
            self._app.say(_READ_ONLY.format(procedure.title), "state-warn")
        elif running(moment.board, name) is not None and not (
            procedure.risk is RiskClass.STOP and procedure.params
        ):
            # Of a stop with something to choose, another one may be meant, and does not wait.
            self._ask_or_attach(moment, procedure, self._way(procedure))
        else:
            if procedure.risk is not RiskClass.STOP:
                # What it is about and what it demands may be read once a minute only.
                self._engine.refresh(moment.stack.id)
            self._collect(moment.stack.id, procedure, {})

    def show(self, run: Run, moment: Moment) -> bool:
        """Open a run, under way or ended; False when nothing here can show it."""
        procedure = moment.stack.procedures.get(run.procedure)
        if procedure is None:
            return False
        self._open(moment, procedure, self._way(procedure), run)
        return True

    def bring_forward(self, moment: Moment) -> bool:
        """Open a stop that ended without proof and was not seen yet; True when there was one."""
        dialog = self._app.screen
        if isinstance(dialog, ProcedureDialog) and dialog.stage in (Stage.QUESTION, Stage.NOT_PROVED):
            return False
        run = self._desk.to_raise(moment.board, moment.stack)
        if run is None:
            return False
        if isinstance(dialog, ProcedureDialog):
            # Of what runs or was proved the line stays; left open it must hide no failure.
            dialog.give_way()
        return self.show(run, moment)

    @property
    def _over(self) -> ProcedureDialog | None:
        """The dialog on top. One that came up by itself and was not on the terminal yet is not what an
        emergency key is about."""
        dialog = self._app.screen
        if not isinstance(dialog, ProcedureDialog):
            return None
        is_known = dialog.is_seen or dialog.stage in (Stage.QUESTION, Stage.RUNNING)
        return dialog if is_known else None

    def _collect(self, stack: str, procedure: Procedure, chosen: dict[str, str]) -> None:
        """Ask for the next value that is missing, or open the dialog when there is none."""
        moment = self._app.moment(stack)
        missing = next((param for param in procedure.params if param.name not in chosen), None)
        if missing is None:
            self._open(moment, procedure, self._way(procedure), None, chosen)
            return

        from tui.dialogs.ask_screen import AskScreen  # noqa: PLC0415  not for the first frame

        def answered(value: str) -> None:
            self._collect(stack, procedure, {**chosen, missing.name: value})

        self._app.put_on_top(AskScreen(moment, procedure, missing, answered))

    def _refuse(self, procedure: str, what: str, moment: Moment) -> None:
        now = moment.now.mono
        if self._last_refusal is None or now - self._last_refusal >= REFUSAL_PERIOD:
            self._last_refusal = now
            self._engine.record("refused", moment.stack.id, procedure, what)

    def _press_again(self, dialog: ProcedureDialog, it: Action) -> None:
        """One dialog, one execution: a second press attaches; after a verdict it asks anew."""
        if dialog.stage in (Stage.QUESTION, Stage.RUNNING):
            dialog.pressed_again()
        else:
            moment = self._app.moment(dialog.stack_id)
            run = next((it for it in moment.board.runs if it.operation == dialog.operation), None)
            if run is not None:
                self._desk.try_again(run)
            detail = "key pressed again after the verdict; it is asked anew"
            self._engine.record("pressed again", dialog.stack_id, dialog.procedure.id, detail)
            dialog.dismiss()
            self._open(moment, dialog.procedure, way_of(it), None)

    def _ask_or_attach(self, moment: Moment, procedure: Procedure, way: Way) -> None:
        run = running(moment.board, procedure.id)
        if run is not None:
            detail = f"key pressed again; attached to run {run.operation}"
            self._engine.record("attached", moment.stack.id, procedure.id, detail)
        self._open(moment, procedure, way, run)

    def _way(self, procedure: Procedure) -> Way:
        """By its own key where it has one."""
        own = next((it for it in EMERGENCIES if it.procedure == procedure.id), None)
        return way_from_list(procedure.title) if own is None else way_of(own)

    def _open(
        self,
        moment: Moment,
        procedure: Procedure,
        way: Way,
        run: Run | None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self._missed = None
        if run is None:
            self._desk.asked(procedure.id, moment.now)
        drilled = drilled_text(self._drills.last(moment.stack.id, procedure.id), moment.now)
        make = DIALOGS[procedure.risk]
        dialog = make(moment, procedure, way, self._engine, self._desk, run, params or {}, SafeText(drilled))
        dialog.on_idle, dialog.on_further = self._say_missed, self._go_further
        self._app.put_on_top(dialog)

    def _go_further(self, dialog: ProcedureDialog) -> None:
        """A stop was not proved: ask about the one that goes further, over what the first has come to. Its
        confirm key is another one: who hammers the first must not confirm the second."""
        moment = self._app.moment(dialog.stack_id)
        further = moment.stack.procedures[dialog.procedure.further or ""]
        self._ask_or_attach(moment, further, way_from_list(further.title, taken=dialog.way.confirm))

    def _say_missed(self, dialog: ProcedureDialog) -> None:
        """A question closed by itself: whoever looks up again must not believe that it was confirmed."""
        way = dialog.way
        again = f"{key_text(way.opener)} opens it again" if way.opener else "choose it again from the list"
        text = f"{dialog.verb} dialog closed after {IDLE_SECONDS:.0f} s: nothing was sent; {again}"
        self._missed = (way.confirm, text, self._app.moment().now.mono + MISSED_FOR)
        self._app.say(text, "state-warn", MISSED_FOR)
