"""One procedure from the question to the verdict, on a screen that nothing else can replace.

The dialog asks, hands an intent to the engine, and from then on only shows what the board says about the
run: closing it cancels nothing. How it is confirmed is the business of a subclass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult

from backends.engine import Mode
from backends.model.clock import Instant
from backends.model.procedure import Procedure, RiskClass, Run, Verdict
from backends.model.safetext import NO_TEXT, SafeText
from backends.procedures.sign_in import ages
from tui.actions import Way, key_text
from tui.desk import NO_ANSWERS, NO_PARAMS, Answers, Desk, running
from tui.dialogs.arming import Arming
from tui.dialogs.keyed_screen import SCROLLING, KeyedScreen, name_of
from tui.dialogs.prompt import ATTEST, FURTHER, INTERRUPT, further_key, key_line
from tui.dialogs.stage import Stage
from tui.face import EngineFace
from tui.moment import Moment
from tui.presenters.checks import Checks, check
from tui.presenters.plan import Question, brief_lines, plan_lines
from tui.presenters.progress import ended_lines, is_lost, progress_lines
from tui.presenters.standing import Standing, standing
from tui.presenters.state import is_held, trading_now
from widgets.band import HeadlineView
from widgets.headline import Headline
from widgets.pane import Pane
from widgets.span import Span, Spans, spans_width
from widgets.text_panel import TextPanel

_LEAST = (76, 22)
"""Columns and lines below which there is no frame and only what decides is said."""

_WHOLE = 10_000
"""Lines: nothing is cut, and what does not fit is scrolled to."""

_WIDEST = 140
"""Cells it grows to, for lines the eye can follow; the style sheet says the same. It takes all lines."""

_ROOMY = 30
"""Lines from which the header has two of them."""

NOTED: Final = 20
"""Presses of its own key that are noted one by one."""


class ProcedureDialog(KeyedScreen):
    """Asks about one procedure of one stack, then follows its run."""

    AUTO_FOCUS: ClassVar[str] = "#text"

    def __init__(
        self,
        moment: Moment,
        procedure: Procedure,
        way: Way,
        engine: EngineFace,
        desk: Desk,
        run: Run | None = None,
        params: Mapping[str, str] = NO_PARAMS,
        drilled: SafeText = NO_TEXT,
    ) -> None:
        """With ``run`` it opens on that run, to follow it or to show how it ended. ``params`` are the
        chosen values; ``drilled`` says when it was last practised."""
        super().__init__(moment)
        self.procedure = procedure
        self.way = way
        self.stage = Stage.QUESTION if run is None else Stage.RUNNING
        self.operation: str | None = None if run is None else run.operation
        self.on_idle: Callable[[ProcedureDialog], None] = lambda _: None
        """Told when the question has closed by itself."""
        self.on_further: Callable[[ProcedureDialog], None] = lambda _: None
        """Told when the stop that goes further is wanted."""
        self._opened_in = trading_now(moment.board, moment.now).state
        self._engine = engine
        self._desk = desk
        self._params = dict(params)
        self._drilled = drilled
        self._submitted: Instant = moment.now if run is None else run.started
        self._run = run
        self._awaited: str | None = None
        self._presses = 0
        """Of its own key, since it was opened by it."""
        self._is_whole = False

    @property
    def is_listening(self) -> bool:
        """Whether a key that confirms, or takes note, would count now."""
        return (self.stage is not Stage.RUNNING or self._is_waiting) and super().is_listening

    @property
    def takes_keys(self) -> bool:
        return self.focused is None or self.focused.id == "text"

    @property
    def verb(self) -> str:
        """What is confirmed, in the words of its title: ``HALT TRADING``."""
        return self.procedure.title.partition(":")[0].partition(",")[0].upper()

    @property
    def shown_params(self) -> dict[str, str]:
        """What was chosen, without what must not be seen."""
        secret = {param.name for param in self.procedure.params if param.is_secret}
        return {name: value for name, value in self._params.items() if name not in secret}

    @abstractmethod
    def takes(self, event: events.Key) -> bool:
        """Do what the key means while the question stands; False when it means nothing there."""

    def confirms(self, event: events.Key) -> bool:  # noqa: ARG002  for those that one key confirms
        """Whether this is the one key that confirms."""
        return False

    @abstractmethod
    def question_prompt(self, seconds_left: float, width: int) -> Spans:
        """The line that names what confirms."""

    def form_lines(self, width: int) -> list[Spans]:  # noqa: ARG002  for those that have something typed
        """What is typed, below the text; none where nothing is."""
        return []

    def idle_left(self) -> float:
        """Seconds until it closes by itself."""
        return self._arming.left(self._moment.now)

    def compose(self) -> ComposeResult:
        """With everything in it already: what comes in later costs a second layout and a second frame."""
        self._classify()
        form, text = self._body()
        title = f"{self._moment.board.environment.value} · {self.procedure.title} · {self.stack_id}"
        typed, prompt = _still("form", form), _still("prompt", [self._prompt()])
        typed.display = bool(form)
        yield Headline(self._headline, id="headline")
        yield Pane(
            SafeText(title), TextPanel(text, id="text"), typed, prompt, subtitle=self._drilled, id="box"
        )

    def on_resize(self) -> None:
        self.show(self._moment, self._headline)

    def show(self, moment: Moment, headline: HeadlineView | None) -> None:
        """Draw the newest moment; idleness and the end of the run are noticed here too."""
        self._moment = moment
        self._headline = headline
        if self.operation is not None:
            found = (run for run in moment.board.runs if run.operation == self.operation)
            self._run = next(found, self._run) or self._attached(moment)
        before = self.stage
        self._settle_stage()
        if self.stage is not before:
            # It was about a key of the stage before.
            self._remark = ""
        if self.stage is Stage.QUESTION and self.idle_left() <= 0:
            self._close("abandoned", "dialog closed by itself after 30 s without a key; nothing was done")
            self.on_idle(self)
            return
        if not self.stands:
            return
        if headline is not None:
            self.query_one(Headline).show(headline)
        self.redraw()

    def _attached(self, moment: Moment) -> Run | None:
        """The run that the engine has attached this one to: it had begun while the question stood, as when
        the room itself puts a lost halt back."""
        run = None if self._params else running(moment.board, self.procedure.id)
        if run is not None:
            self.operation = run.operation
        return run

    def redraw(self) -> None:
        """Draw what is known already, after a key."""
        if not self.stands:
            return
        self._classify()
        form, text = self._body()
        self.query_one("#form").display = bool(form)
        self.query_one("#form", TextPanel).show(form)
        self.query_one("#text", TextPanel).show(text)
        self.show_prompt()

    def pressed_again(self) -> None:
        """The opening key was pressed again: still one dialog and one execution, and each press is in the
        journal, up to as many as somebody presses rather than a key that is stuck."""
        self.touched()
        is_running = self.stage is Stage.RUNNING
        why = "it is running; nothing is sent twice"
        self.remark(why if is_running else "its key was pressed again: it is open already")
        self._presses += 1
        if self._presses <= NOTED:
            what = "its run was under way" if is_running else "its dialog was open"
            end = "; further presses are not noted" if self._presses == NOTED else ""
            self._record("pressed again", f"key pressed again while {what}, {self._presses} in all{end}")

    def give_way(self) -> None:
        """Something else comes first: a question is given up, a run is left to itself."""
        if self.stage is Stage.QUESTION:
            self._close("abandoned", "dialog closed by another emergency key; nothing was done")
        elif self.stage is not Stage.NOT_PROVED:
            self.dismiss()

    def take_note(self) -> None:
        """The operator has read the verdict: close, and say so in the journal."""
        word = "no answer of the engine"
        if self._run is not None and self._run.verdict is not None:
            self._desk.note(self._run)
            word = self._run.verdict.value
        self._close("noted", f"operator took note of the verdict {word}")

    def take_key(self, event: events.Key) -> bool:
        self.touched()
        if event.key in SCROLLING:
            self.show_prompt()
            return False
        if self.stage is not Stage.QUESTION:
            self._after_key(event)
        elif event.key == "escape":
            self._close("cancelled", "dialog closed by the operator; nothing was done")
        elif self.takes(event):
            pass
        elif event.key.removeprefix("upper_").lower() == "d":
            self._is_whole = not self._is_whole
            self.redraw()
        else:
            self._of_no_use(event)
        return True

    def submit(self, answers: Answers = NO_ANSWERS) -> None:
        """Hand the intent to the engine; what was typed or chosen in secret is not kept."""
        it = self._moment
        intent = self._desk.intent(it.stack, self.procedure, it.board, it.now, self._params, answers)
        self.operation = intent.id
        self._submitted = it.now
        self.stage = Stage.RUNNING
        # The intent goes first: nothing of the screen may stand between the key and the effect.
        self._engine.submit(intent)
        self._params = self.shown_params
        self.show(it, self._headline)

    @property
    def _is_waiting(self) -> bool:
        """Whether the run waits for a person."""
        return self.stage is Stage.RUNNING and self._run is not None and self._run.awaits is not None

    @property
    def _further(self) -> Procedure | None:
        """The stop that goes further, where this one has ended without being confirmed and keys may act."""
        is_written = self._run is not None and self._run.verdict is Verdict.WRITTEN
        may = self._engine.mode is Mode.ARMED and (self.stage is Stage.NOT_PROVED or is_written)
        return self._moment.stack.procedures.get(self.procedure.further or "") if may else None

    def _after_key(self, event: events.Key) -> None:
        key = event.key.removeprefix("upper_").lower()
        is_running = self.stage is Stage.RUNNING and self.operation is not None
        if key == "a" and self.stage in (Stage.PROVED, Stage.NOT_PROVED):
            if self.hears(event):  # it may have come up by itself, under a finger on its way elsewhere
                self.take_note()
        elif key == FURTHER and self._further is not None:
            if self.hears(event):
                self._record("going further", f"key pressed that asks about {self.procedure.further}")
                self.on_further(self)
        elif key == "escape" and self.stage is not Stage.NOT_PROVED:
            self.dismiss()
        elif key == ATTEST and self._is_waiting and self._run is not None:
            if self.hears(event):
                self._engine.attest(self.stack_id, self._run.operation, self._run.awaits or "")
        elif key == INTERRUPT and is_running and self._can_interrupt:
            self._engine.interrupt(self.stack_id, self.operation or "")
        elif self.stage is Stage.RUNNING and self.confirms(event):
            self.remark("it is running; nothing is sent twice")
        else:
            self._of_no_use(event)

    def _of_no_use(self, event: events.Key) -> None:
        self.remark(f"{name_of(event)} does nothing here")

    @property
    def _can_interrupt(self) -> bool:
        """A stop always goes to its end, and another room's run is not ours to end."""
        is_ours = self._run is None or not self._run.room
        return is_ours and self.procedure.risk is not RiskClass.STOP and self._waited() > 0.5

    def _settle_stage(self) -> None:
        if self.operation is None or self.stage is Stage.QUESTION:
            return
        run = self._run
        if run is not None and run.awaits != self._awaited:
            self._awaited = run.awaits
            # Whoever was typing something else does not confirm a step that has just come up.
            self._arming = Arming(self._moment.now)
        if run is not None and run.verdict is not None:
            self.stage = Stage.PROVED if is_held(run) else Stage.NOT_PROVED
            self._desk.shown(run)
        elif is_lost(run, self._waited()):
            self.stage = Stage.NOT_PROVED
        else:
            self.stage = Stage.RUNNING

    def _waited(self) -> float:
        return max(0.0, self._moment.now.since(self._submitted))

    def _classify(self) -> None:
        """The style by the terminal's size and by how the run ended."""
        width, height = self.app.size
        self.set_class(width < _LEAST[0] or height < _LEAST[1], "-small")
        self.set_class(height < _ROOMY, "-low")
        self.set_class(self.stage is Stage.NOT_PROVED, "-failed")

    def _body(self) -> tuple[list[Spans], Sequence[Spans]]:
        """What is typed, and the text above it."""
        width, height = self._room()
        form = self.form_lines(width) if self.stage is Stage.QUESTION else []
        return form, self._lines(width, max(1, height - len(form)))

    def _room(self) -> tuple[int, int]:
        """Cells for text: what the terminal has, less header, frame and prompt."""
        width, height = self.app.size
        if self.has_class("-small"):
            return width - 1, max(1, height - 1)
        header = 1 if height < _ROOMY else 2
        return min(width, _WIDEST) - 3, height - header - 3

    def checks(self) -> Checks:
        """The preconditions as they stand."""
        it, procedure = self._moment, self.procedure
        held = self._engine.held(it.stack.id, procedure.id) if procedure.held_for > 0 else 0.0
        return check(it.stack, procedure, self.shown_params, it.board, it.now, held)

    def _lines(self, width: int, height: int) -> Sequence[Spans]:
        it = self._moment
        if self.stage is Stage.QUESTION:
            shown = {**self.shown_params, **ages(self.procedure, self._params, it.now.wall)}
            question = Question(
                it.stack, self.procedure, it.board, it.now, self._opened_in, shown, self.checks()
            )
            if self.has_class("-small") and not self._is_whole:
                return brief_lines(question, width)
            return plan_lines(question, width, _WHOLE if self._is_whole else height)
        if self.stage is Stage.RUNNING:
            return progress_lines(self.procedure, self._run, self._waited(), width, it.stack.venue_phone)
        is_so = Standing.HOLDS if self._run is None else standing(self._run, it.board, it.now)
        return ended_lines(self.procedure, self._run, width, it.stack.venue_phone, is_so)

    def show_prompt(self) -> None:
        """Draw the keys there are, without their colour as long as they do not count yet; then the remark."""
        if not self.stands:
            return
        self.set_class(bool(self._remark), "-remark")
        self.query_one("#prompt", TextPanel).show([self._prompt()])

    def _prompt(self) -> Spans:
        width = self._room()[0]
        said = (Span(SafeText(f" {self._remark}"), "state-warn"),) if self._remark else ()
        left = max(0, width - spans_width(said))
        is_question = self.stage is Stage.QUESTION
        keys = self.question_prompt(self.idle_left(), left) if is_question else self._after_prompt(left)
        if (is_question or self._is_waiting) and not self.is_listening:
            keys = tuple(Span(span.text, "muted") for span in keys)
        return (*keys, *said)

    def _after_prompt(self, width: int) -> Spans:
        if self.stage is Stage.PROVED:
            keys = [*further_key(self._further, width), ("A", "take note"), ("Esc", "close; its line stays")]
            return key_line(keys, "", width)
        if self.stage is Stage.NOT_PROVED:
            again = [(key_text(self.way.opener), "try again")] if self.way.opener else []
            taken = "taken over by hand" if self.procedure.risk is RiskClass.STOP else "take note"
            return key_line([*further_key(self._further, width), ("A", taken), *again], "", width)
        keys = [(ATTEST.upper(), "I confirm it")] if self._is_waiting else []
        keys += [("Esc", "close this view")]
        keys += [(INTERRUPT.upper(), "send nothing more")] if self._can_interrupt else []
        room = "" if self._run is None else self._run.room
        note = f"this is another room's: {room}" if room else "closing does not cancel it"
        return key_line(keys, note, width)

    def _close(self, event: str, detail: str) -> None:
        self._record(event, detail)
        self._params = {}
        self.dismiss()

    def _record(self, event: str, detail: str) -> None:
        self._engine.record(event, self._moment.stack.id, self.procedure.id, detail)


def _still(ident: str, lines: Sequence[Spans]) -> TextPanel:
    """A panel the keyboard never goes to."""
    panel = TextPanel(lines, id=ident)
    panel.can_focus = False
    return panel
