"""One value of a procedure, chosen from what there is now or typed, before its dialog opens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.widget import Widget

from backends.model.condition import Param
from backends.model.procedure import Procedure
from backends.model.safetext import SafeText
from backends.model.secret import Secret
from backends.procedures.sign_in import objection
from backends.secret_file import CredentialError, from_file
from tui.crash import SECRETS
from tui.dialogs.form import Entry, Form
from tui.dialogs.keyed_screen import SCROLLING, KeyedScreen, name_of
from tui.dialogs.prompt import key_line
from tui.moment import Moment
from tui.presenters.block import block, line
from tui.presenters.choice import Options, option_columns, options
from widgets.band import HeadlineView
from widgets.cells import tail
from widgets.grid import Grid
from widgets.headline import Headline
from widgets.pane import Pane
from widgets.row import Row
from widgets.span import Span, Spans
from widgets.text_panel import TextPanel

MASK: Final = "****"
"""For a secret of any length: its length is nobody's business either."""

FROM_FILE: Final = "@"


class AskScreen(KeyedScreen):
    """Takes one value and hands it on; starts nothing. A secret is masked and forgotten when it closes."""

    AUTO_FOCUS: ClassVar[str] = "Grid"
    SEEN: ClassVar[str] = "#typed"

    def __init__(
        self, moment: Moment, procedure: Procedure, param: Param, answer: Callable[[str], None]
    ) -> None:
        super().__init__(moment)
        self.procedure = procedure
        self._param = param
        self._answer = answer
        self._form = Form([Entry("value", param.label)])
        self._form.focus = "value"
        self._options: Options | None = None
        self._said = ""

    def compose(self) -> ComposeResult:
        it = self._moment
        self._options = options(self._param, it.stack, it.board, it.now)
        self.set_class(self._options is None, "-typed")
        title = f"{it.board.environment.value} · {self.procedure.title} · {it.stack.id}"
        parts: list[Widget] = []
        if self._options is not None:
            parts.append(
                Grid(option_columns(self._options.titles), SafeText("there is nothing to choose from"))
            )
        for ident in ("typed", "prompt"):
            panel = TextPanel(id=ident)
            panel.can_focus = False
            parts.append(panel)
        yield Headline(id="headline")
        yield Pane(SafeText(title), *parts, id="box")

    def on_mount(self) -> None:
        self.show(self._moment, self._headline)

    def show(self, moment: Moment, headline: HeadlineView | None) -> None:
        """Draw the newest moment; closes when nobody has pressed a key for long."""
        self._moment = moment
        self._headline = headline
        if self._arming.left(moment.now) <= 0:
            self._close()
            return
        if not self.stands:
            return
        if headline is not None:
            self.query_one(Headline).show(headline)
        self._redraw()

    def take_key(self, event: events.Key) -> bool:
        self.touched()
        if event.key in SCROLLING:
            return False
        self._said = ""
        if event.key == "escape":
            self._close()
        elif self.hears(event):
            self._act(event)
        return True

    def _act(self, event: events.Key) -> None:
        if event.key == "enter":
            self._take()
        elif event.key in ("backspace", "ctrl+h"):
            self._form.erase()
        elif event.key == "ctrl+u":
            self._form.clear("value")
        elif not (event.is_printable and event.character and self._form.insert(event.character)):
            self.remark(f"{name_of(event)} does nothing here")
        if self.is_current:
            self._redraw()

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """A double click: nothing is chosen by the mouse."""
        event.stop()

    def _take(self) -> None:
        """Hand on the row under the cursor, or what was typed where there is no list."""
        value = self._form.text("value")
        if self._options is not None:
            chosen = self.query_one(Grid).cursor
            if chosen is not None:
                self._done(chosen)
            return
        if self._param.is_secret and value.startswith(FROM_FILE):
            try:
                value = from_file(Path(value[1:]).expanduser()).value.reveal()
            except CredentialError as error:
                self._said = str(error)
                return
        if not re.fullmatch(self._param.pattern, value):
            self._said = "that value is not allowed here"
            return
        if why := objection(self._param, value, self._moment.now.wall):
            self._said = why
            return
        if self._param.is_secret:
            SECRETS.register(Secret(value))
        self._done(value)

    def _done(self, value: str) -> None:
        self._close()
        self._answer(value)

    def _close(self) -> None:
        self._form.wipe()
        self.dismiss()

    def _redraw(self) -> None:
        width = max(20, min(self.app.size.width, 104) - 5)
        if self._options is not None:
            it = self._moment
            self._options = options(self._param, it.stack, it.board, it.now) or self._options
            self.query_one(Grid).show(self._matching(self._options))
        self.query_one("#typed", TextPanel).show(self._typed_lines(width))
        self.show_prompt()

    def show_prompt(self) -> None:
        """Draw the keys there are, or the remark."""
        if not self.stands:
            return
        width = max(20, min(self.app.size.width, 104) - 5)
        if self._remark:
            self.query_one("#prompt", TextPanel).show([line(f" {self._remark}", "state-warn")])
            return
        keys = [("Enter", "choose" if self._options is not None else "go on"), ("Esc", "leave it as it is")]
        left = f"closes in {self._arming.left(self._moment.now):.0f} s"
        self.query_one("#prompt", TextPanel).show([key_line(keys, left, width)])

    def _matching(self, known: Options) -> list[Row]:
        typed = self._form.text("value").casefold()
        return [row for row in known.rows if any(typed in cell.text.casefold() for cell in row.cells)]

    def _typed_lines(self, width: int) -> list[Spans]:
        entry = self._form.entries[0]
        is_masked = self._param.is_secret and not entry.text.startswith(FROM_FILE)
        text = MASK if is_masked and entry.text else entry.text
        label = "Filter" if self._options is not None else entry.label
        typed = (Span(SafeText(tail(text, width - 20)), "strong"), Span(SafeText("▌"), "accent"))
        lines: list[Spans] = [(Span(SafeText(f" {label}: "), "accent"), *typed)]
        if self._said:
            return [*lines, *block("", self._said, width, "state-bad")]
        return [*lines, *block("", self._hint(), width, "muted")]

    def _hint(self) -> str:
        if self._options is not None:
            note = f"; list: {self._options.note}" if self._options.note else ""
            return f"Up and Down choose, letters narrow the list{note}"
        if self._param.is_secret:
            return "never shown and not kept; or @FILE, a file that is yours alone (chmod 600)"
        listed = self._param.fact is not None
        return "its list cannot be read now: type it exactly" if listed else "type it exactly"
