"""The runbook: a text of the stack's own, read like any other. Headings are gone to, words are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.model.safetext import SafeText
from tui.moment import Moment
from tui.presenters.runbook import Runbook, marked
from tui.screens.overlay import Overlay
from widgets.pane import Pane
from widgets.text_panel import TextPanel
from widgets.typed_line import typed_line

if TYPE_CHECKING:
    from textual.widgets import Input


class RunbookScreen(Overlay):
    """Opens at a section when one is named."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close", show=False),
        Binding("o", "close", "close", show=False),
        Binding("n", "heading(1)", "next heading", show=False),
        Binding("p", "heading(-1)", "heading before", show=False),
        Binding("slash", "ask", "search", show=False),
        Binding("enter", "find", "next match", show=False),
    ]

    OTHER_KEYS = (("n p", "headings"), ("/", "search"), ("Enter", "next match"), ("Esc", "close"))

    def __init__(self, book: Runbook, section: str | None, moment: Moment, *, is_watch: bool) -> None:
        super().__init__(SafeText("Runbook"), moment, is_watch=is_watch)
        self._book = book
        self._section = section
        self._wanted = ""
        self._found: int | None = None

    def body(self) -> Sequence[Widget]:
        return [TextPanel(self._book.lines, id="text")]

    def on_mount(self) -> None:
        title = f"Runbook of {self.moment.stack.id}"
        self.query_one(Pane).label(SafeText(title), SafeText(""))
        if self._section is not None:
            self.call_after_refresh(self._open_at, self._section)

    def action_heading(self, step: int) -> None:
        line = self._book.beside(self._text.top, step)
        if line is not None:
            self._text.go_to(line)

    async def action_ask(self) -> None:
        if not self.query("#search"):
            await self.query_one(Pane).mount(typed_line(self._wanted, "text to look for", "search"))
        self.query_one("#search").focus()

    def action_find(self) -> None:
        """Go to the next line that holds the text; to the first one again after the last."""
        self._found = self._book.find(self._wanted, -1 if self._found is None else self._found)
        if self._found is not None:
            self._text.go_to(self._found)
        if self._wanted:
            said = f"'{self._wanted[:40]}'" if self._found is not None else f"no '{self._wanted[:40]}' in it"
            self.query_one(Pane).label(SafeText(f"Runbook of {self.moment.stack.id}"), SafeText(said))

    async def action_leave(self) -> None:
        """Leave the search, else the screen."""
        if self.query("#search"):
            await self._close_search()
        else:
            self.dismiss()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._wanted, self._found = event.value.strip(), None
        await self._close_search()
        self._text.show(marked(self._book, self._wanted))
        self.action_find()

    async def _close_search(self) -> None:
        await self.query("#search").remove()
        self._text.focus()

    @property
    def _text(self) -> TextPanel:
        return self.query_one(TextPanel)

    def _open_at(self, section: str) -> None:
        line = self._book.section(section)
        if line is None:
            said = SafeText(f"no section '{section}' in it")
            self.query_one(Pane).label(SafeText(f"Runbook of {self.moment.stack.id}"), said)
        else:
            self._text.go_to(line)
