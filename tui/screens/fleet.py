"""The fleet: every configured stack on one line. The header and the emergency keys mean the one under the
cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.model.safetext import SafeText
from tui.actions import action
from tui.moment import Moment
from tui.presenters import fleet
from tui.screens.overlay import Overlay
from widgets.grid import Grid
from widgets.pane import Pane


class FleetScreen(Overlay):
    """A row for each stack; Enter goes into it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "close", "close", show=False),
        Binding(",".join(action("help").keys), action("help").binding, "help", show=False),
        Binding("q", "app.quit", "quit", show=False),
    ]

    OTHER_KEYS = (("Enter", "enter the stack"), ("f", "comes back here"), ("?", "help"), ("q", "quit"))

    def __init__(
        self,
        moments: Callable[[], Sequence[Moment]],
        choose: Callable[[str], None],
        moment: Moment,
        *,
        is_watch: bool,
    ) -> None:
        """``choose`` makes the stack of that id the one the room is about."""
        super().__init__(SafeText("All stacks"), moment, is_watch=is_watch)
        self._moments = moments
        self._choose = choose
        self._is_placed = False

    def body(self) -> Sequence[Widget]:
        return [Grid(fleet.columns(), SafeText("no stack is configured"), id="fleet")]

    def show_body(self) -> None:
        moments = self._moments()
        grid = self.query_one(Grid)
        grid.show(fleet.rows(moments))
        if not self._is_placed:
            self._is_placed = True
            grid.select(self.moment.stack.id)
        self.query_one(Pane).label(fleet.summary(moments), SafeText("Enter: go into it"))

    def settle_choice(self) -> None:
        """Make the stack under the cursor the chosen one now."""
        cursor = self.query_one(Grid).cursor
        if cursor is not None:
            self._choose(cursor)

    def on_grid_moved(self, event: Grid.Moved) -> None:
        event.stop()
        self.settle_choice()

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        event.stop()
        self._choose(event.key)
        self.dismiss()
