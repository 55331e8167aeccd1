"""The demo's fault menu: switches what is wrong with the simulated world, and with nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.model.safetext import NO_TEXT, SafeText
from tui.moment import Moment
from tui.screens.overlay import Overlay
from widgets.glyphs import is_ascii
from widgets.grid import Grid
from widgets.grid_layout import Column
from widgets.pane import Pane
from widgets.row import Cell, Row


class Fault(Protocol):
    """One fault as the demo describes it."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def is_on(self) -> bool: ...


class Faults(Protocol):
    """A running demo's faults. Both answer how all of them stand, or raise with words for the operator."""

    async def list(self) -> Sequence[Fault]: ...

    async def switch(self, name: str, is_on: bool) -> Sequence[Fault]: ...


class FaultScreen(Overlay):
    """A row for each fault; Enter or Space switches it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "close", "close", show=False),
        Binding("space", "switch", "switch", show=False),
    ]

    OTHER_KEYS = (("Enter", "switch"), ("Esc", "close"))

    def __init__(self, faults: Faults, failures: tuple[type[Exception], ...], moment: Moment) -> None:
        """``failures`` are the errors that ``faults`` raises; any other is a fault of this program."""
        super().__init__(SafeText("Faults of the demo"), moment, is_watch=False)
        self._source = faults
        self._failures = failures
        self._known: dict[str, Fault] = {}

    def body(self) -> Sequence[Widget]:
        columns = (
            Column("sign", NO_TEXT, 4 if is_ascii() else 1),
            Column("state", SafeText("STATE"), 5),
            Column("title", SafeText("WHAT IS WRONG WHILE IT IS ON"), 40, least=10, flex=1),
            Column("name", SafeText("NAME"), 22, drop=1),
        )
        return [Grid(columns, SafeText("asking the demo …"), id="faults")]

    def on_mount(self) -> None:
        self._ask(self._source.list)

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        event.stop()
        self._switch(event.key)

    def action_switch(self) -> None:
        key = self.query_one(Grid).cursor
        if key is not None:
            self._switch(key)

    def _switch(self, name: str) -> None:
        fault = self._known.get(name)
        if fault is not None:
            self._ask(lambda: self._source.switch(name, not fault.is_on))

    def _ask(self, what: Callable[[], Awaitable[Sequence[Fault]]]) -> None:
        async def work() -> None:
            try:
                self._show(await what())
            except self._failures as error:
                self._say(SafeText(error))

        self.run_worker(work(), group="faults")

    def _show(self, faults: Sequence[Fault]) -> None:
        self._known = {fault.name: fault for fault in faults}
        self.query_one(Grid).show([_row(fault) for fault in faults], SafeText("this demo knows no faults"))
        on = sum(fault.is_on for fault in faults)
        self._say(SafeText(f"{on} on"))

    def _say(self, text: SafeText) -> None:
        self.query_one(Pane).label(SafeText("Faults of the demo"), text)


def _row(fault: Fault) -> Row:
    state = Cell(SafeText("ON" if fault.is_on else "off"), "badge-warn" if fault.is_on else "muted")
    glyph = Cell(SafeText(("[! ]" if is_ascii() else "▲") if fault.is_on else " "), "state-warn")
    title = Cell(SafeText(fault.title), "strong" if fault.is_on else "text")
    return Row(fault.name, (glyph, state, title, Cell(SafeText(fault.name), "muted")))
