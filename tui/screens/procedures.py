"""Every procedure of the stack, by class. Enter opens the dialog of the one under the cursor; the mouse
does not, and nothing here does anything by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.journal.drills import DrillBook
from backends.model.safetext import SafeText
from tui.moment import Moment
from tui.presenters import procedures
from tui.screens.overlay import Overlay
from widgets.grid import Grid
from widgets.text_panel import TextPanel


class ProcedureScreen(Overlay):
    """Lists what can be run and what stands against it as of the newest board."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "close", "close", show=False),
        Binding("o", "runbook", "runbook", show=False),
    ]
    AUTO_FOCUS: ClassVar[str] = "#procedures"

    OTHER_KEYS = (("Enter", "open its dialog"), ("o", "runbook"), ("Esc", "close"))

    def __init__(
        self,
        moment: Moment,
        drills: DrillBook,
        choose: Callable[[str], None],
        read: Callable[[str | None], None],
        *,
        is_watch: bool,
    ) -> None:
        """``choose`` is called with the id of the procedure on which Enter was pressed, ``read`` with the
        section of the runbook about it."""
        super().__init__(SafeText(f"Procedures of {moment.stack.id}"), moment, is_watch=is_watch)
        self._stack = moment.stack.id
        self._drills = drills
        self._choose = choose
        self._read = read

    @property
    def other_keys(self) -> tuple[tuple[str, str], ...]:
        """In watch mode nothing opens a dialog."""
        return tuple(it for it in self.OTHER_KEYS if it[0] != "Enter" or not self._is_watch)

    def body(self) -> Sequence[Widget]:
        about = TextPanel(id="about")
        about.can_focus = False
        return [Grid(procedures.columns(), SafeText("this stack has no procedures"), id="procedures"), about]

    def on_resize(self) -> None:
        self.show_body()

    def show_body(self) -> None:
        it = self.moment
        if it.stack.id != self._stack:
            return
        grid = self.query_one("#procedures", Grid)
        grid.show(procedures.rows(it.stack, it.board, it.now, self._drills))
        self._show_about(grid.cursor)

    def on_grid_moved(self, event: Grid.Moved) -> None:
        event.stop()
        self._show_about(event.key)

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        """A double click: the mouse opens no dialog."""
        event.stop()

    def on_key(self, event: events.Key) -> None:
        key = self.query_one("#procedures", Grid).cursor
        if event.key == "enter" and key is not None:
            event.stop()
            event.prevent_default()
            self._choose(key)

    def action_runbook(self) -> None:
        procedure = self.moment.stack.procedures.get(self.query_one("#procedures", Grid).cursor or "")
        self._read(None if procedure is None else procedure.section)

    def _show_about(self, key: str | None) -> None:
        it = self.moment
        procedure = it.stack.procedures.get(key or "")
        panel = self.query_one("#about", TextPanel)
        if procedure is not None:
            width = max(20, panel.size.width - 1)
            panel.show(procedures.about(it.stack, procedure, it.board, it.now, width))
