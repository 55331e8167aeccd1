"""The log pane: the view, its filter, and a title that says what is being shown and what is not."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from textual.message import Message

from backends.model.logline import LogFilter, LogLevel
from backends.model.port import LogMatches, LogSource
from backends.model.safetext import SafeText
from tui.bridge import Bridge
from widgets.log_view import LogView
from widgets.pane import Pane
from widgets.typed_line import typed_line

if TYPE_CHECKING:
    from textual.widgets import Input

_PERIOD: Final = 0.25
"""Seconds between two repaints, twice as many while rows go by unread. More is not read by anyone and costs a
slow link its keys."""

_BITE: Final = 0.008
"""Seconds of looking at lines before the screen gets its turn."""

_FLOORS: Final = (None, LogLevel.INFO, LogLevel.WARNING, LogLevel.ERROR)
"""The lowest levels an operator can choose, in the order of choosing; None shows all."""


def parsed(text: str, minimum: LogLevel | None) -> LogFilter:
    """What an operator typed: a literal text in any case, with ``!`` in front for lines without it."""
    is_inverse = text.startswith("!") and len(text) > 1
    return LogFilter(minimum=minimum, text=text[1:] if is_inverse else text, is_inverse=is_inverse)


class LogPane(Pane):
    """Follows a log, holds it still, filters it; looks at it when lines came, and never for nothing."""

    class Closed(Message):
        """The filter's input was left; the keyboard belongs to the log again."""

    def __init__(self, *, is_live: bool, id: str) -> None:
        """Without ``is_live`` the owner calls ``look`` after lines came."""
        self.view = LogView(empty=SafeText("no log line has come yet"), id="logs")
        super().__init__(SafeText("4 Logs"), self.view, id=id)
        self._filtered: Callable[[LogFilter], LogMatches] | None = None
        self._text = ""
        self._floor: LogLevel | None = None
        self._matches: LogMatches | None = None
        self._is_busy = False
        self._was_following = True
        self._is_live = is_live
        self._ticked = float("-inf")
        self._bridge: Bridge | None = None

    def on_unmount(self) -> None:
        self._close_bridge()

    def watch_source(self, source: LogSource, filtered: Callable[[LogFilter], LogMatches]) -> None:
        """Show this log, of which ``filtered`` finds rows; text and level of the filter stay."""
        self._close_bridge()
        if self._is_live:
            self._bridge = Bridge(source, self._on_lines, _PERIOD)
        self._filtered = filtered
        self.view.watch_source(source)
        self._apply()

    @property
    def follow_word(self) -> str:
        """What the follow key does now."""
        return "pause" if self.view.is_following else "follow"

    def toggle_follow(self) -> None:
        """Hold the log still, or follow it again."""
        self.view.follow(not self.view.is_following)
        self.label_now()

    def next_floor(self) -> None:
        """Raise the lowest level shown, and after the highest show all again."""
        self._floor = _FLOORS[(_FLOORS.index(self._floor) + 1) % len(_FLOORS)]
        self._apply()

    async def ask(self) -> None:
        """Open the line in which a filter is typed."""
        if lines := self.query("#filter"):
            lines.first().focus()
            return
        line = typed_line(self._text, "text to look for; !text for lines without it", "filter")
        await self.mount(line)
        line.focus()

    async def close_filter(self) -> bool:
        """Drop the filter's text and its line; False when there was none."""
        had = bool(self._text) or bool(self.query("#filter"))
        await self._take_line_away()
        if self._text:
            self._text = ""
            self._apply()
        if had:
            self.view.focus()
        return had

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._text = event.value
        self._apply()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self._take_line_away()
        self.view.focus()

    def on_log_view_changed(self, event: LogView.Changed) -> None:
        event.stop()
        # The counts in the title follow with the beat: a title repaints its whole pane.
        if event.is_following is not self._was_following:
            self._was_following = event.is_following
            self.label_now()

    def label_now(self) -> None:
        """Say in the title: following or held, what is filtered, how much is hidden, how much waits; the
        view says it too."""
        self.view.count_now()
        parts = ["following" if self.view.is_following else f"PAUSED, {self.view.pending:,} new below"]
        if self._text:
            parts.append(f"filter '{self._text[:40]}'")
        if self._floor is not None:
            parts.append(f"{self._floor.value} and up")
        if self._matches is not None:
            parts.append(f"{self._matches.hidden:,} hidden")
        self.label(SafeText(f"4 Logs  {', '.join(parts)}"))

    async def _take_line_away(self) -> None:
        for line in self.query("#filter"):
            # It never takes its leave of the screen, which would keep it and be open as long as the room is.
            self.screen.text_selection_started_signal.unsubscribe(line)
            await line.remove()

    def _apply(self) -> None:
        wanted = parsed(self._text, self._floor)
        if self._filtered is None or not (wanted.text or wanted.minimum):
            self._matches = None
            self.view.show_only(None)
            self.view.highlight(None)
        else:
            self._matches = self._filtered(wanted)
            self.look()
            label = "" if not wanted.text else f"{'without' if wanted.is_inverse else 'with'} '{wanted.text}'"
            self.view.show_only(self._matches.ordinals, SafeText(label))
            self.view.highlight(SafeText(wanted.text) if wanted.text and not wanted.is_inverse else None)
        self.label_now()

    def _on_lines(self) -> None:
        """Lines came. Where a filter lets none of them through this is all: a look costs several times as
        much."""
        try:
            is_done = self._is_busy or self._found_none()
        except Exception:  # what failed is asked again below, and heard of there
            is_done = False
        if not is_done:
            # By way of the toolkit, which ends the room with a word when it fails.
            self.call_next(self.look)

    def _found_none(self) -> bool:
        """Whether all lines that came were looked at, and nothing is shown that a look would change."""
        if self._matches is None or not self._matches.advance(_BITE) or self.view.has_news:
            return False
        self._pace(is_flooded=False)
        return True

    def look(self) -> None:
        """Take in new lines, through a filter one bite at a time: keys have their turn between two bites."""
        if self._is_busy:
            return
        if self._matches is not None and not self._matches.advance(_BITE):
            self._is_busy = True
            self.set_timer(0.001, self._look_on)
            if monotonic() - self._ticked < _PERIOD:
                return
        self._ticked = monotonic()
        self.view.tick()
        self._pace(is_flooded=self.view.is_flooded)

    def _pace(self, *, is_flooded: bool) -> None:
        if self._bridge is not None:
            self._bridge.period = 2 * _PERIOD if is_flooded else _PERIOD

    def _look_on(self) -> None:
        self._is_busy = False
        self.look()

    def _close_bridge(self) -> None:
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None
