"""A window on a log that grows faster than anyone can read: what it costs is fixed by its height."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from backends.model.logline import LogLine
from backends.model.port import LogSource
from backends.model.safetext import NO_TEXT, SafeText
from widgets.cells import fit
from widgets.line_widget import Line, LineWidget
from widgets.log_line import LogLayout, paint_log_line

_SIDEWAYS: Final = 8


class LogView(LineWidget, can_focus=True):
    """Follows the end of a LogSource, or holds still while counting what comes in.

    It repaints when its owner calls ``tick`` and never because a line came.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "roll(-1)", "up", show=False),
        Binding("down", "roll(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "oldest", "oldest", show=False),
        Binding("end", "newest", "follow", show=False),
        Binding("left", "sideways(-1)", "left", show=False),
        Binding("right", "sideways(1)", "right", show=False),
    ]

    class Changed(Message):
        """It follows or holds still now, or the number of lines waiting is another."""

        def __init__(self, view: LogView, is_following: bool, pending: int) -> None:
            super().__init__()
            self.view = view
            self.is_following = is_following
            self.pending = pending

        @property
        def control(self) -> LogView:
            return self.view

    def __init__(
        self,
        source: LogSource | None = None,
        empty: SafeText = NO_TEXT,
        *,
        service_width: int = 17,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """``empty`` is what to say while there is no line."""
        super().__init__(id=id, classes=classes)
        self._source = source
        self._empty = empty
        self._service_width = service_width
        self._layout = LogLayout(0, False, 0)
        self._matches: Sequence[int] | None = None
        self._filter_label = NO_TEXT
        self._needle: re.Pattern[str] | None = None
        self._following = True
        self._top_ordinal = 0
        self._paused_end = 0
        self._sideways = 0
        self._marked: int | None = None
        self._ordinals: tuple[int, ...] = ()
        self._lines: dict[int, LogLine] = {}
        self._seen: tuple[int, int] | None = None
        """Up to where the rows on screen were chosen; None where there was no room for one."""
        self._told = (True, 0)
        self.is_flooded = False
        """Whether the last tick replaced every row: nobody could read them."""

    @property
    def is_following(self) -> bool:
        return self._following

    @property
    def pending(self) -> int:
        """Rows that came in since it holds still; 0 while it follows."""
        if self._following or self._source is None:
            return 0
        end = self._source.end
        if self._matches is None:
            return max(0, end - self._paused_end)
        return len(self._matches) - bisect_left(self._matches, self._paused_end)

    @property
    def ordinals(self) -> tuple[int, ...]:
        """Ordinals of the rows on screen, top to bottom."""
        return self._ordinals

    def watch_source(self, source: LogSource | None, empty: SafeText | None = None) -> None:
        """Show another log from its end, without filter."""
        self._source = source
        self._empty = self._empty if empty is None else empty
        self._matches, self._filter_label, self._marked = None, NO_TEXT, None
        self._lines.clear()
        self._ordinals = ()
        self.follow(True)
        self.touch_all()

    def follow(self, on: bool) -> None:
        """Follow the end, or hold the rows now on screen still."""
        if on != self._following:
            self._following = on
            self._paused_end = self._source.end if self._source is not None else 0
            self._top_ordinal = self._ordinals[0] if self._ordinals else self._paused_end
        if on:
            self._marked = None
        self._replace()
        self.count_now()
        self._tell()

    def show_only(self, matches: Sequence[int] | None, label: SafeText = NO_TEXT) -> None:
        """Show only the rows of these ordinals (ascending; it may grow and lose its head while shown),
        or all with None. ``label`` says what was asked for."""
        self._matches = matches
        self._filter_label = label
        self._replace()
        self.touch_all()
        self._tell()

    def highlight(self, text: SafeText | None) -> None:
        """Show where a text occurs, whatever its case; None for nowhere."""
        self._needle = re.compile(re.escape(text), re.IGNORECASE) if text else None
        self.touch_all()

    def jump_to(self, ordinal: int) -> None:
        """Hold still with this row in view, marked."""
        self._following = False
        self._paused_end = self._source.end if self._source is not None else 0
        self._marked = ordinal
        self._top_ordinal = self._shifted(ordinal, -(self._body // 3))
        self._replace()
        self.touch_all()
        self._tell()

    @property
    def has_news(self) -> bool:
        """Whether there are other rows to choose from than when those on screen were chosen."""
        return self._source is not None and self._state(self._source) != self._seen

    def tick(self) -> None:
        """Take in what the source has; costs next to nothing when it has nothing new."""
        if not self._is_on_screen():
            return
        before = self._ordinals
        if self.has_news:
            self._replace()
            if not self._following:
                self._tell()
        self.is_flooded = len(before) == self._body and before[-1:] < self._ordinals[:1]

    def count_now(self) -> None:
        """Say how many lines there are by now. Apart from ``tick``: a number is worth no frame of its own."""
        if self._has_status:
            self.touch(self._body)
        if not self._ordinals:
            self.touch(1)  # what it says instead counts the matches

    def settle(self) -> None:
        self._layout = LogLayout.at(self.size.width, self._service_width)
        self._ordinals = ()
        self._replace()

    def on_show(self) -> None:
        self.tick()  # what came while it was hidden

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_roll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_roll(-3)

    def action_roll(self, lines: int) -> None:
        """Scroll; up holds still, and down past the end follows again."""
        if self._following:
            if lines > 0:
                return
            self.follow(False)
        top = self._shifted(self._top_ordinal, lines)
        if lines > 0 and top > self._last_top():
            self.follow(True)
            return
        self._top_ordinal = top
        self._replace()

    def action_page(self, direction: int) -> None:
        self.action_roll(direction * max(1, self._body - 1))

    def action_oldest(self) -> None:
        self.follow(False)
        self._top_ordinal = 0
        self._replace()

    def action_newest(self) -> None:
        self.follow(True)

    def action_sideways(self, direction: int) -> None:
        start = max(0, self._sideways + direction * _SIDEWAYS)
        if start != self._sideways:
            self._sideways = start
            self.touch_all()

    def paint(self, y: int, line: Line) -> None:
        if y == self._body and self._has_status:
            self._paint_status(line)
        elif y < len(self._ordinals):
            row = self._lines.get(self._ordinals[y])
            if row is not None:
                is_marked = row.ordinal == self._marked
                paint_log_line(row, self._layout, line, self._sideways, self._needle, is_marked)
        elif y == 1 and not self._ordinals:
            line.add(" ")
            line.add(fit(self._nothing(), self.size.width - 1), "muted")

    def _nothing(self) -> SafeText:
        """Why there is no row: a view held still may lie below all that matches."""
        if self._matches is None:
            return self._empty
        above = len(self._matches) - self._lost()
        if not above:
            return SafeText("no line matches")
        return SafeText(f"no line matches from here on; {above:,} above: PgUp shows them, Space the newest")

    def _paint_status(self, line: Line) -> None:
        if not self._following:
            line.add(" PAUSED ", "badge-key")
            line.add(f" +{self.pending:,} new ", "accent")
        if self._matches is not None and self._source is not None:
            line.add(f" {self._filter_label}" if self._filter_label else " filtered", "strong")
            kept = self._source.end - self._source.first
            line.add(f"  {len(self._matches) - self._lost():,} of {kept:,} lines", "muted")

    @property
    def _has_status(self) -> bool:
        return not self._following or self._matches is not None

    @property
    def _body(self) -> int:
        """Lines that hold rows."""
        return max(0, self.size.height - (1 if self._has_status else 0))

    def _state(self, source: LogSource) -> tuple[int, int]:
        """What differs when there are other rows to choose from: the oldest, and the newest or the end."""
        first, matches = source.first, self._matches
        if matches is None:
            return first, source.end
        lost = bisect_left(matches, first)
        return (matches[lost], matches[-1]) if lost < len(matches) else (-1, -1)

    def _is_on_screen(self) -> bool:
        return self.is_attached and self.screen in self.app.screen_stack

    def _lost(self) -> int:
        """Matches whose row is no longer kept."""
        if self._matches is None or self._source is None:
            return 0
        return bisect_left(self._matches, self._source.first)

    def _shifted(self, ordinal: int, rows: int) -> int:
        """The ordinal that many rows further on (or back), among those shown."""
        if self._source is None:
            return 0
        if self._matches is None:
            return max(self._source.first, ordinal + rows)
        place = bisect_left(self._matches, ordinal) + rows
        if place >= len(self._matches):
            return self._source.end
        return self._matches[max(self._lost(), place)] if self._matches else 0

    def _last_top(self) -> int:
        """Top row when the last rows fill the view."""
        return self._shifted(self._source.end if self._source is not None else 0, -self._body)

    def _wanted(self) -> tuple[int, ...]:
        """The ordinals that belong on screen now."""
        source, body = self._source, self._body
        if source is None:
            return ()
        first, end = source.first, source.end
        if self._matches is None:
            top = max(first, end - body) if self._following else max(first, self._top_ordinal)
            return tuple(range(top, min(top + body, end)))
        lost = bisect_left(self._matches, first)
        if self._following:
            place = max(lost, len(self._matches) - body)
        else:
            place = max(lost, bisect_left(self._matches, self._top_ordinal))
        return tuple(self._matches[place : place + body])

    def _replace(self) -> None:
        """Bring the rows that belong on screen there, keeping the strips of those that only moved."""
        if self._source is None:
            return
        self._seen = self._state(self._source) if self._body else None
        wanted = self._wanted()
        self._fetch(wanted)
        before = self._ordinals
        self._ordinals = wanted
        drawn = self._strips
        if wanted == before:
            return
        strips: dict[int, Strip | None] = dict(zip(before, drawn, strict=False))
        kept: list[Strip | None] = [strips.get(ordinal) for ordinal in wanted[: len(drawn)]]
        self.put(kept + [None] * (len(drawn) - len(kept)))

    def _fetch(self, wanted: tuple[int, ...]) -> None:
        """Have the rows wanted at hand, asking the source only for those that are new."""
        source, have = self._source, self._lines
        missing = [ordinal for ordinal in wanted if ordinal not in have]
        fresh: list[LogLine] = []
        if source is not None and missing:
            if self._matches is None:
                fresh = source.window(missing[0], missing[-1] - missing[0] + 1)
            else:
                fresh = [row for row in map(source.line, missing) if row is not None]
        found = {row.ordinal: row for row in fresh}
        self._lines = {
            ordinal: row for ordinal in wanted if (row := have.get(ordinal) or found.get(ordinal)) is not None
        }

    def _tell(self) -> None:
        now = (self._following, self.pending)
        if self.is_running and now != self._told:
            self._told = now
            self.post_message(self.Changed(self, *now))
