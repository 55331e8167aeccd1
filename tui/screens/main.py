"""The room: containers, risk keys, alerts and logs under one header."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from backends.model.alarm import Priority
from backends.model.safetext import SafeText
from tui.actions import action, available, room_bindings
from tui.compat import announce
from tui.moment import Moment
from tui.presenters import alerts, containers, facts
from tui.screens.hints import hints
from tui.screens.logs import LogPane
from widgets.alike import Background
from widgets.band import LEAST_HEIGHT, LEAST_WIDTH, HeadlineView
from widgets.footer import Footer
from widgets.grid import Grid
from widgets.headline import Headline
from widgets.pane import Pane
from widgets.span import Spans
from widgets.text_panel import TextPanel

PANES = ("containers", "facts", "alerts", "logs")
"""In the order of the number keys and of Tab."""

WIDE = 110
TALL = 32
"""Cells from which there are two columns with the logs below; less is the compact layout."""


class _Panes(Container, Background):
    """The four of them."""


class MainScreen(Screen[None], Background):
    """Draws a moment into its panes. It decides nothing and remembers only the view."""

    BINDINGS: ClassVar[list[BindingType]] = list(room_bindings())
    AUTO_FOCUS: ClassVar[str] = "#containers"
    # The widgets draw it; the toolkit would paint the whole screen for it.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, moment: Moment, size: Size, *, is_watch: bool, is_demo: bool, is_live: bool) -> None:
        """``size`` is the terminal's, so that nothing is laid out twice. Without ``is_live`` the log is
        looked at only when somebody says so."""
        super().__init__(classes=" ".join(name for name, fits in _fitting(size).items() if fits))
        self.moment = moment
        self.zoomed: str | None = None
        self.sort = containers.Sort.WORST
        self._actions = available(is_watch=is_watch, is_demo=is_demo)
        self._is_watch = is_watch
        self._is_live = is_live
        self._facts_width = 0
        self._kind = containers.title(moment.stack)
        self._service_table = containers.ServiceTable()
        self._fact_table = facts.FactTable()

    def compose(self) -> ComposeResult:
        yield Headline(id="headline")
        notice = TextPanel(id="notice")
        notice.can_focus = False
        yield notice
        yield _Panes(
            Pane(SafeText(""), Grid(containers.columns(self._kind), id="containers"), id="containers-pane"),
            Pane(SafeText(""), Grid(facts.columns(0), id="facts"), id="facts-pane"),
            Pane(SafeText(""), Grid(alerts.columns(), id="alerts"), id="alerts-pane"),
            LogPane(is_live=self._is_live, id="logs-pane"),
            id="panes",
        )
        yield Footer()

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    @property
    def log_pane(self) -> LogPane:
        return self.query_one(LogPane)

    def pane(self, name: str) -> Widget:
        """The widget of a pane that takes the keyboard."""
        return self.log_pane.view if name == "logs" else self.query_one(f"#{name}", Grid)

    @property
    def current(self) -> str:
        """The pane the keyboard is in; the containers when it is in none."""
        return next((name for name in PANES if self.pane(name).has_focus), PANES[0])

    def selected(self) -> str | None:
        """The board key or alarm id under the cursor of the current pane."""
        pane = self.pane(self.current)
        return pane.cursor if isinstance(pane, Grid) else None

    def set_focus(
        self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False
    ) -> None:
        super().set_focus(widget, scroll_visible, from_app_focus)
        for pane in self.query(Pane):
            announce(pane)
        if self.is_mounted:
            self.call_after_refresh(self._draw_footer)

    def go_to(self, name: str) -> None:
        """Put the keyboard into a pane, zoomed if another one is."""
        if self.zoomed is not None:
            self.zoom(name)
        self.pane(name).focus()

    def go(self, step: int) -> None:
        """The next pane, or the one before."""
        self.go_to(PANES[(PANES.index(self.current) + step) % len(PANES)])

    def zoom(self, name: str | None) -> None:
        """Show one pane on the whole screen, or all with None."""
        self.zoomed = name
        self.set_class(name is not None, "-zoom")
        for it in PANES:
            self.query_one(f"#{it}-pane").set_class(it == name, "-zoomed")
        self.call_after_refresh(self._draw_panes)

    def action_next_pane(self) -> None:
        self.go(1)

    def action_previous_pane(self) -> None:
        self.go(-1)

    def action_pane_containers(self) -> None:
        self.go_to("containers")

    def action_pane_facts(self) -> None:
        self.go_to("facts")

    def action_pane_alerts(self) -> None:
        self.go_to("alerts")

    def action_pane_logs(self) -> None:
        self.go_to("logs")

    def action_zoom(self) -> None:
        self.zoom(self.current if self.zoomed is None else None)

    def action_follow(self) -> None:
        self.log_pane.toggle_follow()
        self._draw_footer()

    async def action_filter(self) -> None:
        if self.zoomed is not None:
            self.zoom("logs")
        await self.log_pane.ask()

    def action_level(self) -> None:
        self.log_pane.next_floor()

    def action_sort_worst(self) -> None:
        self._sort_by(containers.Sort.WORST)

    def action_sort_name(self) -> None:
        self._sort_by(containers.Sort.NAME)

    def action_sort_cpu(self) -> None:
        self._sort_by(containers.Sort.CPU)

    def action_sort_memory(self) -> None:
        self._sort_by(containers.Sort.MEMORY)

    async def action_back(self) -> None:
        if not await self.log_pane.close_filter() and self.zoomed is not None:
            self.zoom(None)

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        event.stop()
        self.app.call_later(self.app.run_action, action("detail").binding)

    def _sort_by(self, sort: containers.Sort) -> None:
        self.sort = sort
        self._draw_panes()

    def show(self, moment: Moment, headline: HeadlineView, notice: Spans) -> None:
        """Draw the newest moment; what did not change costs nothing."""
        self.moment = moment
        if not self.is_mounted:
            return
        self.show_head(headline)
        self.set_class(bool(notice), "-notice")
        if notice:
            self.query_one("#notice", TextPanel).show([notice])
        self._draw_panes()
        self._draw_footer()

    def show_head(self, headline: HeadlineView) -> None:
        """Draw the newest headline alone; all else stays at its moment."""
        if self.is_mounted:
            self.query_one(Headline).show(headline)

    def _lay_out(self) -> None:
        for name, fits in _fitting(self.app.size).items():
            self.set_class(fits, name)
        self.call_after_refresh(self._draw_panes)

    def _is_shown(self, name: str) -> bool:
        return not self.has_class("-small") and self.zoomed in (None, name)

    def _draw_panes(self) -> None:
        it = self.moment
        if self._is_shown("containers"):
            rows, summary = self._service_table.draw(it.stack, it.board, it.now, self.sort)
            grid, kind = self.query_one("#containers", Grid), containers.title(it.stack)
            if kind != self._kind:
                self._kind = kind
                grid.set_columns(containers.columns(kind))
            grid.show(rows, SafeText("this stack names no services"))
            self._label("containers", f"1 {kind}  {summary}", self.sort.value)
        if self._is_shown("facts"):
            self._draw_facts()
        if self._is_shown("alerts"):
            empty = alerts.empty(it.board, it.now)
            self.query_one("#alerts", Grid).show(alerts.rows(it.board, it.now), empty)
            self._label("alerts", f"3 Alerts  {alerts.summary(it.board)}", "Enter: what to do")
        is_critical = any(alarm.priority is Priority.CRITICAL for alarm in it.board.alarms)
        self.query_one("#alerts-pane").set_class(is_critical, "-alarm")
        if self._is_shown("logs"):
            self.log_pane.label_now()

    def _draw_facts(self) -> None:
        it = self.moment
        grid = self.query_one("#facts", Grid)
        width = grid.size.width
        if width != self._facts_width:
            self._facts_width = width
            grid.set_columns(facts.columns(width))
        rows, summary = self._fact_table.draw(it.stack, it.board, it.now, width)
        grid.show(rows, SafeText("this stack names no values to watch"))
        self._label("facts", f"2 Risk keys  {summary}", "")

    def _label(self, name: str, title: str, subtitle: str) -> None:
        self.query_one(f"#{name}-pane", Pane).label(SafeText(title), SafeText(subtitle))

    def _draw_footer(self) -> None:
        labels = {"follow": self.log_pane.follow_word}
        # A log line is no row: all of it is read where it stands.
        shown = (it for it in self._actions if it.id != "detail" or self.current != "logs")
        self.query_one(Footer).show(hints(shown, is_watch=self._is_watch, labels=labels))


def _fitting(size: Size) -> dict[str, bool]:
    """The style classes of the screen, and whether they are for a terminal of this size."""
    is_wide = size.width >= WIDE and size.height >= TALL
    return {
        "-small": size.width < LEAST_WIDTH or size.height < LEAST_HEIGHT,
        "-wide": is_wide,
        "-compact": not is_wide,
    }
