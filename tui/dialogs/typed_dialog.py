"""The confirmation of what moves the market, loses something or restores: typed, never only pressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from textual import events
from textual.app import ComposeResult

from backends.model.intent import Intent
from backends.model.procedure import Procedure, RiskClass
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.confirm import REASON, params_wrong, phrase_of, seen_on, seen_wrong, typed_wrong
from tui.desk import NO_ANSWERS, Answers
from tui.dialogs.form import CANCEL, CONFIRM, Entry, Form
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.prompt import button_line
from tui.dialogs.second_person import SecondPerson
from tui.dialogs.stage import Stage
from tui.moment import Moment
from tui.presenters.block import block, label_cells, line
from widgets.band import HeadlineView
from widgets.cells import fit, tail
from widgets.roles import Role
from widgets.span import Span, Spans

CHALLENGE: Final = "challenge"
PHRASE: Final = "phrase"
WHY: Final = "reason"
SECOND: Final = "second"


class TypedDialog(ProcedureDialog):
    """The keyboard starts on Cancel. Enter goes on to the next line, and confirms only on the last button,
    when all that is demanded is typed and everything holds; the engine judges the same once more."""

    _second: SecondPerson | None = None
    _said = ""
    """Why the last key had no effect, until the next one."""
    _plan: str | None = None
    """What would be done by what was shown last, as far as all of it could be read."""

    def compose(self) -> ComposeResult:
        stack, procedure = self._moment.stack, self.procedure
        self._form = Form(_entries(procedure, stack, self._params))
        if procedure.needs_approval and not stack.is_single_operator:
            self._second = SecondPerson(self._engine.approvals(), stack, procedure)
        return super().compose()

    def takes(self, event: events.Key) -> bool:
        if not self.hears(event):
            return True
        self._said = ""
        key, form = event.key, self._form
        if key == "d" and form.entry is None:
            return False
        if key in ("tab", "shift+tab"):
            form.move(1 if key == "tab" else -1)
        elif key == "enter":
            self._enter()
        elif key in ("backspace", "ctrl+h"):
            form.erase()
        elif key == "ctrl+u":
            form.clear(form.focus)
        elif not (event.is_printable and event.character and form.insert(event.character)):
            return False
        self.redraw()
        return True

    def show(self, moment: Moment, headline: HeadlineView | None) -> None:
        super().show(moment, headline)
        self._hold_to_plan()
        if self._second is not None and self._second.request is not None and self.operation is None:
            # None ends the one before: on a slow disk a look takes longer than it is to the next frame.
            self.run_worker(self._look(self._second), group="consent")

    def idle_left(self) -> float:
        """A person who is being waited for may take as long as the request holds."""
        left = super().idle_left()
        if self._second is not None and self._second.is_pending:
            return max(left, self._second.left(self._moment.now))
        return left

    def form_lines(self, width: int) -> list[Spans]:
        lines = [self._entry_line(entry, width) for entry in self._form.entries]
        text, role = self._next()
        second = self._second
        if second is not None and second.is_pending and not self._said:
            # From edge to edge: what is to be typed elsewhere must not be broken.
            return [*lines, line(f" {second.command}", "strong")]
        return [*lines, *block("", text, width - 1, role)[:2]]

    def question_prompt(self, seconds_left: float, width: int) -> Spans:
        focus = self._form.focus
        buttons = [("Cancel", focus == CANCEL), (self.verb, focus == CONFIRM)]
        waits = self._second is not None and self._second.is_pending
        idle = "waits for consent" if waits else f"{seconds_left:.0f} s left"
        notes = [f"Tab next  Esc cancel  D every word  {idle}", f"Tab next  Esc cancel  {idle}", idle]
        return button_line(buttons, notes, width)

    def _hold_to_plan(self) -> None:
        """What was typed for one thing confirms no other: it is forgotten when what would be done, or what
        the operator has to have seen, becomes another. A request is held to its own plan."""
        if self.stage is not Stage.QUESTION or not self.stands or not self._is_readable():
            return
        before, self._plan = self._plan, self._draft(NO_ANSWERS).plan
        if before in (None, self._plan) or (self._second is not None and self._second.request is not None):
            return
        if self._form.forget(CHALLENGE if self.procedure.risk is RiskClass.MARKET else PHRASE):
            self._said = "what would be done has changed since it was typed: look at it, then type it anew"
            self._record("refused", "what was typed is dropped: what would be done has changed meanwhile")
            self.redraw()

    def _is_readable(self) -> bool:
        """Whether everything the plan is made of is known; until then it stands against it anyway."""
        readings, procedure = self._moment.board.readings, self.procedure
        tables = (readings.get(step.each.fact) for step in procedure.steps if step.each is not None)
        seen = seen_on(procedure, self._moment.stack, readings)
        return seen.keys() == procedure.seen.keys() and all(it and it.outcome is Outcome.OK for it in tables)

    def _enter(self) -> None:
        focus = self._form.focus
        if focus == CANCEL:
            self._close("cancelled", "dialog closed by the operator; nothing was done")
        elif focus == SECOND:
            self._ask()
        elif focus == CONFIRM:
            self._try()
        else:
            self._form.move(1)

    def _try(self) -> None:
        """Submit when nothing stands against it; else say what does, and put it on record."""
        wrong = self._objections()
        if wrong:
            self._said = wrong[0]
            self._record("refused", f"not confirmed: {wrong[0]}")
            if self._mistyped():
                self._form.clear(CHALLENGE if self.procedure.risk is RiskClass.MARKET else PHRASE)
            return
        answers = self._answers()
        self._form.wipe()
        self.submit(answers)

    def _ask(self) -> None:
        """Ask a second person for exactly what would be done now."""
        if self._second is None:
            return
        reason, against = self._form.text(WHY).strip(), self.checks().failing
        intent = self._draft(Answers(reason=reason))
        if len(reason) < REASON:
            self._said = f"first type the reason: the second person reads it (at least {REASON} characters)"
        elif mistyped := self._mistyped():
            self._said = f"first of all: {mistyped[0]}"
        elif against:
            self._said = str(against[0].sentence)
        elif self._second.holds(intent):
            self._said = "this is asked for already: the code that is shown holds"
        else:
            self.run_worker(self._request(self._second, intent), group="second person", exclusive=True)

    async def _request(self, second: SecondPerson, intent: Intent) -> None:
        await second.ask(intent)
        self._record("asked", f"a second person is asked, {second.why or second.command}")
        self.redraw()

    async def _look(self, second: SecondPerson) -> None:
        before = (second.request, second.by)
        await second.look()
        if (second.request, second.by) != before:
            # Whoever waited has the whole time again, and what was missing may be there.
            self._said = ""
            self._arming.touched(self._moment.now)
            self.redraw()

    def _answers(self) -> Answers:
        form, market = self._form, self.procedure.risk is RiskClass.MARKET
        request = None if self._second is None else self._second.request
        return Answers(
            reason=form.text(WHY).strip(),
            challenge=form.text(CHALLENGE) if market else None,
            phrase=None if market else form.text(PHRASE),
            approval=None if request is None else request.code,
        )

    def _draft(self, answers: Answers) -> Intent:
        it = self._moment
        return self._desk.draft(it.stack, self.procedure, it.board, it.now, self._params, answers)

    def _objections(self) -> list[str]:
        """What stands against it by what is known here: the same rules as the engine's own."""
        stack, procedure, readings = self._moment.stack, self.procedure, self._moment.board.readings
        intent = self._draft(self._answers())
        return [
            *typed_wrong(intent, procedure, stack, readings),
            *params_wrong(intent, procedure, stack, readings, self._moment.now),
            *self.checks().objections,
            *seen_wrong(intent, procedure, stack, readings),
            *self._unapproved(intent),
        ]

    def _unapproved(self, intent: Intent) -> Sequence[str]:
        second = self._second
        if second is None:
            return ()
        if second.request is None:
            return ("a second person must approve: go to its line, Enter asks",)
        if not second.holds(intent):
            return ("the situation or the reason has changed since: ask again",)
        return () if second.by is not None else (f"nobody has approved {second.request.code} yet",)

    def _mistyped(self) -> list[str]:
        """What is wrong with the word or value itself, rather than with the world or the reason."""
        stack, procedure = self._moment.stack, self.procedure
        intent = self._draft(replace(self._answers(), reason="-" * REASON))
        return list(typed_wrong(intent, procedure, stack, self._moment.board.readings))

    def _next(self) -> tuple[str, Role]:
        """What to do next: one line, below what is typed."""
        if self._said:
            return self._said, "state-bad"
        entry = self._form.entry
        if entry is not None:
            return f"type exactly: {entry.hint}" if entry.id == PHRASE else entry.hint, "accent"
        if self._form.focus == CANCEL:
            return "Tab goes to what must be typed; Enter here cancels", "muted"
        wrong = self._objections()
        if self._form.focus == SECOND and self._second is not None and self._second.request is None:
            return "Enter asks; then the other person types the command that is shown", "accent"
        if wrong:
            return f"not yet: {wrong[0]}", "state-warn"
        return "Everything is as it must be. Enter on the button does it.", "state-ok"

    def _entry_line(self, entry: Entry, width: int) -> Spans:
        is_here = self._form.focus == entry.id
        cells = label_cells(width)
        label = Span(SafeText(f"{'▌' if is_here else ' '}{fit(entry.label, cells - 1)} "), "accent")
        room = max(8, width - cells - 2)
        if entry.id == SECOND and self._second is not None:
            text, role = self._second.line(self._moment.now)
            return (label, Span(SafeText(fit(text, room)), role))
        if entry.text or is_here:
            cursor = [Span(SafeText("▌"), "accent")] if is_here else []
            return (label, Span(SafeText(tail(entry.text, room)), "strong"), *cursor)
        return (label, Span(SafeText(fit(entry.hint, room)), "muted"))


def _entries(procedure: Procedure, stack: Stack, params: dict[str, str]) -> list[Entry]:
    """The lines of its class; where a second person must consent, that line, and the reason they read."""
    why = Entry(WHY, "Reason", f"why, in at least {REASON} characters; it goes into the journal")
    is_asked = procedure.needs_approval and not stack.is_single_operator
    second = [Entry(SECOND, "Second person", is_button=True)] if is_asked else []
    if procedure.risk is RiskClass.MARKET:
        fact = stack.facts.get(procedure.challenge or "")
        if fact is None:
            return [why, *second]
        number = Entry(CHALLENGE, "Type", f"the number that stands above at: {fact.label}")
        return [number, why, *second]
    phrase = Entry(PHRASE, "Type exactly", phrase_of(procedure, stack, params) or "")
    is_told = is_asked or procedure.risk is RiskClass.RESTORE
    return [phrase, why, *second] if is_told else [phrase]
