"""One procedure from the question to the verdict, on a screen that nothing else can replace.

The dialog asks, hands an intent to the engine, and from then on only shows what the board says about the
run: closing it cancels nothing. How it is confirmed is the business of a subclass for each risk class.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import ClassVar

from textual import events
from textual.app import ComposeResult

from backends.model.clock import Instant
from backends.model.procedure import Procedure, Run
from backends.model.safetext import SafeText
from tui.actions import Action, key_text
from tui.desk import Desk
from tui.dialogs.arming import DEAF_SECONDS, Arming
from tui.face import EngineFace
from tui.moment import Moment
from tui.presenters.plan import Question, brief_lines, plan_lines
from tui.presenters.progress import failure_lines, is_lost, progress_lines, verdict_lines
from tui.presenters.state import is_proved, trading_now
from tui.screens.covering import CoveringScreen
from widgets.band import HeadlineView
from widgets.headline import Headline
from widgets.pane import Pane
from widgets.span import Span, Spans, spans_width
from widgets.text_panel import TextPanel

BOX = 104
TALL = 34
"""Widest and highest the dialog grows, in cells; the style sheet says the same."""

_LEAST = (76, 22)
"""Columns and lines below which there is no frame and only what decides is said."""

_SCROLLING = frozenset({"up", "down", "pageup", "pagedown", "home", "end"})
"""Keys left to the text; every other one ends in the dialog."""

_WHOLE = 10_000
"""Lines: nothing is cut, and what does not fit is scrolled to."""

_ROOMY = 30
"""Lines from which the header has two of them."""


class Stage(Enum):
    QUESTION = "question"
    RUNNING = "running"
    PROVED = "proved"
    NOT_PROVED = "not proved"
    """Stays until the operator takes note."""


class ProcedureDialog(CoveringScreen):
    """Asks about one procedure of one stack, then follows its run. No key passes it in silence."""

    AUTO_FOCUS: ClassVar[str] = "#text"

    def __init__(
        self,
        moment: Moment,
        procedure: Procedure,
        key: Action,
        engine: EngineFace,
        desk: Desk,
        run: Run | None = None,
    ) -> None:
        """With ``run`` it opens on that run, to follow it or to show how it ended."""
        super().__init__()
        self.procedure = procedure
        self.key_action = key
        self.stage = Stage.QUESTION if run is None else Stage.RUNNING
        self.operation: str | None = None if run is None else run.operation
        self._moment = moment
        self._opened_in = trading_now(moment.board, moment.now).state
        self._engine = engine
        self._desk = desk
        self._arming = Arming(moment.now)
        self._submitted: Instant = moment.now if run is None else run.started
        self._run = run
        self._was_pressed_again = False
        self._remark = ""
        self._is_whole = False
        self._headline: HeadlineView | None = None

    @property
    def stack_id(self) -> str:
        """The stack it was opened on; the target never moves after that."""
        return self._moment.stack.id

    @property
    def is_listening(self) -> bool:
        """Whether the confirm key would count now."""
        return self.stage is Stage.QUESTION and self._arming.hears(events.Event().time)

    @property
    def takes_keys(self) -> bool:
        """Whether keys are for the dialog itself; False while the keyboard is in a line to type into."""
        return self.focused is None or self.focused.id == "text"

    @abstractmethod
    def confirms(self, event: events.Key) -> bool:
        """Whether this key, in a dialog that listens, is the confirmation."""

    @abstractmethod
    def question_prompt(self, seconds_left: float, width: int) -> Spans:
        """The line that names the confirm key."""

    @abstractmethod
    def after_prompt(self, width: int) -> Spans:
        """The line that says what the keys do while it runs and when it has ended."""

    def compose(self) -> ComposeResult:
        it = self._moment
        title = f"{it.board.environment.value} · {self.procedure.title} · {it.stack.id}"
        prompt = TextPanel(id="prompt")
        prompt.can_focus = False
        yield Headline(id="headline")
        yield Pane(SafeText(title), TextPanel(id="text"), prompt, id="box")

    def on_mount(self) -> None:
        self.show(self._moment, self._headline)

    def drawn(self) -> None:
        """A frame of it went to the terminal. It listens a moment after the first with text on it."""
        if not self._arming.is_seen and self.is_mounted and self.query_one("#text").size.height:
            # The clock of key events, which are stamped when they are read.
            self._arming.seen(events.Event().time)
            self.set_timer(DEAF_SECONDS + 0.01, self._show_prompt)

    def on_resize(self) -> None:
        width, height = self.app.size
        self.set_class(width < _LEAST[0] or height < _LEAST[1], "-small")
        self.set_class(height < _ROOMY, "-low")
        self.show(self._moment, self._headline)

    def show(self, moment: Moment, headline: HeadlineView | None) -> None:
        """Draw the newest moment; also where idleness and the end of the run are noticed."""
        self._moment = moment
        self._headline = headline
        if self.operation is not None:
            found = (run for run in moment.board.runs if run.operation == self.operation)
            self._run = next(found, self._run)
        self._settle_stage()
        if self.stage is Stage.QUESTION and self._arming.left(moment.now) <= 0:
            self._close("abandoned", "dialog closed by itself after 30 s without a key; nothing was done")
            return
        if not self.is_mounted:
            return
        if headline is not None:
            self.query_one(Headline).show(headline)
        width, height = self._room()
        self.set_class(self.stage is Stage.NOT_PROVED, "-failed")
        self.query_one("#text", TextPanel).show(self._lines(width, height))
        self._show_prompt()

    def remark(self, text: str) -> None:
        """Say something about a key beside the keys that are there, until the next one."""
        self._remark = text
        self._show_prompt()

    def pressed_again(self) -> None:
        """The opening key was pressed while the question stands: one dialog, and one line in the journal."""
        self._arming.touched(self._moment.now)
        self.remark(f"{key_text(self.key_action.keys[0])} has opened this already")
        if not self._was_pressed_again:
            self._was_pressed_again = True
            self._record("pressed again", "key pressed again while its dialog was open")

    def take_note(self) -> None:
        """The operator has read the verdict: close, and say so in the journal."""
        if self.operation is not None:
            self._desk.note(self.operation)
        self._close("noted", f"operator took note of the verdict {self._verdict_word()}")

    def on_key(self, event: events.Key) -> None:
        """A key that came by way of a widget of the dialog."""
        if self.take_key(event):
            event.stop()
            event.prevent_default()

    def take_key(self, event: events.Key) -> bool:
        """Act on a key, or say why not; False for one that moves the text."""
        self._arming.touched(self._moment.now)
        self._remark = ""
        if event.key in _SCROLLING:
            self._show_prompt()
            return False
        if self.stage is not Stage.QUESTION:
            self._after_key(event)
        elif event.key == "escape":
            self._close("cancelled", "dialog closed by the operator; nothing was done")
        elif event.key == "d":
            self._is_whole = not self._is_whole
            self.show(self._moment, self._headline)
        elif not self.confirms(event):
            self._of_no_use(event)
        elif self._arming.hears(event.time):
            self._confirm()
        else:
            self.remark(f"{_name(event)} came too early: press it again")
        return True

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text confirms nothing."""
        event.stop()
        self.remark("pasted text counts for nothing here")

    def _confirm(self) -> None:
        intent = self._desk.intent(self._moment.stack, self.procedure, self._moment.board)
        self.operation = intent.id
        self._submitted = self._moment.now
        self.stage = Stage.RUNNING
        # The intent goes first: nothing of the screen may stand between the key and the effect.
        self._engine.submit(intent)
        self.show(self._moment, self._headline)

    def _after_key(self, event: events.Key) -> None:
        if event.key.lower() == "a" and self.stage in (Stage.PROVED, Stage.NOT_PROVED):
            self.take_note()
        elif event.key == "escape" and self.stage is not Stage.NOT_PROVED:
            self.dismiss()
        elif self.stage is Stage.RUNNING and self.confirms(event):
            self.remark("it is running; nothing is sent twice")
        else:
            self._of_no_use(event)

    def _of_no_use(self, event: events.Key) -> None:
        self.remark(f"{_name(event)} does nothing here")

    def _settle_stage(self) -> None:
        if self.operation is None or self.stage is Stage.QUESTION:
            return
        run = self._run
        if run is not None and run.verdict is not None:
            self.stage = Stage.PROVED if is_proved(run) else Stage.NOT_PROVED
            self._desk.shown(run.operation)
        elif is_lost(run, self._waited()):
            self.stage = Stage.NOT_PROVED
        else:
            self.stage = Stage.RUNNING

    def _waited(self) -> float:
        return max(0.0, self._moment.now.since(self._submitted))

    def _verdict_word(self) -> str:
        verdict = None if self._run is None else self._run.verdict
        return "no answer of the engine" if verdict is None else verdict.value

    def _room(self) -> tuple[int, int]:
        """Cells for text: what the terminal has, less header, frame and prompt."""
        width, height = self.app.size
        if self.has_class("-small"):
            return width - 1, max(1, height - 1)
        header = 1 if height < _ROOMY else 2
        return min(width, BOX) - 3, min(height - header, TALL) - 3

    def _lines(self, width: int, height: int) -> Sequence[Spans]:
        it = self._moment
        if self.stage is Stage.QUESTION:
            question = Question(it.stack, self.procedure, it.board, it.now, self._opened_in)
            if self.has_class("-small") and not self._is_whole:
                return brief_lines(question, width)
            return plan_lines(question, width, _WHOLE if self._is_whole else height)
        if self.stage is Stage.NOT_PROVED:
            return failure_lines(self.procedure, self._run, width)
        if self.stage is Stage.PROVED and self._run is not None:
            return verdict_lines(self.procedure, self._run, width)
        return progress_lines(self.procedure, self._run, self._waited(), width)

    def _show_prompt(self) -> None:
        if self.is_mounted:
            self.set_class(bool(self._remark), "-remark")
            self.query_one("#prompt", TextPanel).show([self._prompt(self._room()[0])])

    def _prompt(self, width: int) -> Spans:
        """The keys there are, without their colour as long as they do not count yet; then the remark."""
        said = (Span(SafeText(f" {self._remark}"), "state-warn"),) if self._remark else ()
        left = max(0, width - spans_width(said))
        if self.stage is not Stage.QUESTION:
            return (*self.after_prompt(left), *said)
        keys = self.question_prompt(self._arming.left(self._moment.now), left)
        if not self.is_listening:
            keys = tuple(Span(span.text, "muted") for span in keys)
        return (*keys, *said)

    def _close(self, event: str, detail: str) -> None:
        self._record(event, detail)
        self.dismiss()

    def _record(self, event: str, detail: str) -> None:
        self._engine.record(event, self._moment.stack.id, self.procedure.id, detail)


def _name(event: events.Key) -> str:
    """A key as the operator knows it."""
    return event.character if event.character and event.is_printable else key_text(event.key)
