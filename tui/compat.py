"""Everything that leans on names Textual keeps to itself. Each has a guard test; Textual is pinned exactly.

Faults of the toolkit that are mended here: its crash screen prints the values of local variables, which may
be secrets, and exits 0 when the input thread dies; a terminal that stops reading blocks its event loop;
keys are lost when they arrive in pieces, and all of them with the first byte that is not UTF-8; and what a
closed screen has drawn is kept.
"""

from __future__ import annotations

import codecs
import os
import selectors
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console, RenderableType
from rich.control import Control
from rich.text import Text
from textual import constants, events
from textual._compositor import Compositor, CompositorUpdate
from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Region
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from backends.model.safetext import SafeText
from tui.keystream import ESC, KeyStream, Kind, Piece

QUEUED_WRITES_LIMIT = 1
"""Writes waiting for the terminal beyond which a frame is skipped: a frame is one write."""

RETRY = 0.05
"""Seconds until a skipped frame is looked at again."""

_FRAMES = 30

_READ = 4096

# Of the class, as its first argument says: else its memory keeps every widget with all that it drew.
StylesCache.get_inner_outer = classmethod(  # type: ignore[assignment, method-assign]
    StylesCache.__dict__["get_inner_outer"]
)


class SteadyApp(App[None]):
    """An App that survives a terminal that does not read, loses no key and shows no secret in a crash."""

    _is_frame_owed = False

    def __init__(self) -> None:
        super().__init__()
        # Nothing here uses them, and each screen would be given both when it opens.
        self._disable_tooltips = self._disable_notifications = True

    def get_driver_class(self) -> type[Driver]:
        chosen = super().get_driver_class()
        return SteadyDriver if chosen is LinuxDriver else chosen

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Skip the frame while earlier ones are still queued; one whole repaint follows when they are out."""
        if queued_writes(self) <= QUEUED_WRITES_LIMIT:
            driver = self._driver
            with driver.one_write() if isinstance(driver, SteadyDriver) else nullcontext():
                super()._display(screen, renderable)
            if renderable is not None:
                self.drawn(screen)
            return
        if not self._is_frame_owed:
            self._is_frame_owed = True
            self.set_timer(RETRY, self._repay_frame)

    def refresh_css(self, animate: bool = True) -> None:
        """As the toolkit does; what it reads before there is a screen it would read again with the screen."""
        if self.screen_stack or not self.stylesheet._require_parse:
            super().refresh_css(animate=animate)
            return
        self.stylesheet.set_variables(self.get_css_variables())
        self.stylesheet.update(self, animate=animate)

    def drawn(self, screen: Screen[Any]) -> None:
        """A frame of this screen is on its way to the terminal. For the program to know of."""

    def _repay_frame(self) -> None:
        if queued_writes(self) > 0:
            self.set_timer(RETRY, self._repay_frame)
            return
        self._is_frame_owed = False
        self.refresh()

    def _fatal_error(self) -> None:
        """What is printed after a crash: where it happened, without values."""
        self._exit_renderables.append(crash_text())
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """Any panic is a failure to the shell, also one of the input thread."""
        self._return_code = 1
        super().panic(*renderables)


def announce(widget: Widget) -> None:
    """Tell the screen at once that this is to be painted, if it is: the toolkit waits until the widget's own
    queue is empty, and then it often is too late for the next frame."""
    widget._check_refresh()


class TightUpdate(CompositorUpdate):
    """A partial update that makes and sends what is to be painted and nothing beside it."""

    def __init__(self, compositor: Compositor, regions: Iterable[Region]) -> None:
        """The toolkit's has every widget between the first and the last of the ``regions`` draw all its
        lines, cuts them at each widget's edges, and sends them from there on."""
        self.pieces: list[tuple[int, int, Strip]] = []
        """Line, first cell and what to show there."""
        bare: dict[int, list[tuple[int, int]]] = {}
        for y, left, right in compositor._regions_to_spans(regions):
            bare.setdefault(y, []).append((left, right))
        # From the front to the back: what one shows is not asked of those behind it.
        for widget, (region, clip) in compositor.visible_widgets.items():
            if not bare:
                break
            shown = region.intersection(clip)
            lines = [y for y in bare if shown.y <= y < shown.bottom and _meets(bare[y], shown)]
            if lines:
                top = min(lines)
                crop = Region(shown.x, top, shown.width, max(lines) + 1 - top)
                strips = widget.render_lines(crop.translate(-region.offset))
                for y in lines:
                    bare[y] = self._cover(y, bare[y], shown, strips[y - top])
                    if not bare[y]:
                        del bare[y]

    def _cover(
        self, y: int, spans: list[tuple[int, int]], shown: Region, strip: Strip
    ) -> list[tuple[int, int]]:
        """Take what a widget shows in these spans of a line; what is left of them for those behind it."""
        left: list[tuple[int, int]] = []
        for span in spans:
            start, stop = max(span[0], shown.x), min(span[1], shown.right)
            if start >= stop:
                left.append(span)
                continue
            is_whole = (start, stop) == (shown.x, shown.right)
            self.pieces.append((y, start, strip if is_whole else strip.crop(start - shown.x, stop - shown.x)))
            left += [(one, end) for one, end in ((span[0], start), (stop, span[1])) if one < end]
        return left

    def render_segments(self, console: Console) -> str:
        sent: list[str] = []
        for y, x, strip in self.pieces:
            sent += [Control.move_to(x, y).segment.text, strip.render(console)]
        return "".join(sent)


def _meets(spans: Iterable[tuple[int, int]], shown: Region) -> bool:
    return any(start < shown.right and end > shown.x for start, end in spans)


def _tight(compositor: Compositor) -> TightUpdate | None:
    regions = compositor._dirty_regions.copy()
    compositor._dirty_regions.clear()
    return TightUpdate(compositor, regions) if regions else None


# Every screen makes a compositor of its own, and of this class.
Compositor.render_partial_update = _tight  # type: ignore[assignment, method-assign]


def queued_writes(app: App[Any]) -> int:
    """How many writes wait for the terminal; 0 where there is no writer thread (tests, Windows)."""
    writer = getattr(app._driver, "_writer_thread", None)
    return 0 if writer is None else int(writer._queue.qsize())


def crash_text() -> Text:
    """Where the exception being handled came from: its type, files and lines.

    Neither the values of variables nor the exception's own message: both may hold a secret.
    """
    kind, _, trace = sys.exc_info()
    lines = ["Control Room stopped: a fault in this program. Trading goes on as it was."]
    for frame in traceback.extract_tb(trace)[-_FRAMES:]:
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    if kind is not None:
        lines.append(f"  {kind.__module__}.{kind.__qualname__}")
    return Text("\n".join(SafeText(line) for line in lines))


class SteadyDriver(LinuxDriver):
    """Textual's driver with an input thread that gives its parser only whole sequences, and frames that go
    to the thread which writes in one piece: each piece wakes it, and it takes the interpreter at once."""

    exit_event: Bell
    _held: list[str] | None = None

    def __init__(self, *settings: Any, **more: Any) -> None:
        super().__init__(*settings, **more)
        self.exit_event = Bell()

    @contextmanager
    def one_write(self) -> Iterator[None]:
        """What is written meanwhile goes out together at the end."""
        held: list[str] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
            if held:
                super().write("".join(held))

    def write(self, data: str) -> None:
        """Write, or keep it for the piece it is of."""
        if self._held is None:
            super().write(data)
        else:
            self._held.append(data)

    def run_input_thread(self) -> None:
        """Wait for input and pass on what it means, until the program ends."""
        keys = Keys()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self.exit_event.ear, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                deadline = keys.stream.deadline()
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                # What has silence for its meaning is asked at a time before the last look at the line.
                asked = time.monotonic()
                if not selector.select(left):
                    found = keys.silent(asked)
                elif self.exit_event.is_set():
                    return
                elif data := self._read():
                    found = keys.read(data, time.monotonic())
                else:
                    return
                for event in found:
                    self.process_message(event)

    def _get_terminal_size(self) -> tuple[int, int]:
        """As the app measures it: for a terminal of no size the toolkit's two guesses differ, and the screen
        would be laid out for the one and the other for ever."""
        width, height = self._app.console.size
        return width, height

    def _read(self) -> bytes:
        """What there is; nothing when the terminal is gone, which is for others to notice and act upon."""
        try:
            return os.read(self.fileno, _READ)
        except OSError:
            return b""


class Bell(threading.Event):
    """An event that whoever waits for input can hear, and so need not wake ten times a second to look for."""

    def __init__(self) -> None:
        super().__init__()
        self.ear, self._clapper = socket.socketpair()
        """``ear`` can be read while it is set."""

    def set(self) -> None:
        if not self.is_set():
            super().set()
            self._clapper.send(b"!")

    def clear(self) -> None:
        if self.is_set():
            super().clear()
            self.ear.recv(1)


class Keys:
    """Bytes in, Textual's events out."""

    def __init__(self) -> None:
        self.stream = KeyStream(constants.ESCAPE_DELAY)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parser = XTermParser()

    def read(self, data: bytes, now: float) -> list[Message]:
        """What these bytes complete."""
        return self._events(self.stream.feed(self._decoder.decode(data), now))

    def silent(self, until: float) -> list[Message]:
        """What it means that nothing was read up to a time."""
        return self._events(self.stream.due(until))

    def _events(self, pieces: Iterable[Piece]) -> list[Message]:
        return [event for piece in pieces for event in self._parsed(piece)]

    def _parsed(self, piece: Piece) -> list[Message]:
        if piece.kind is Kind.PASTE:
            return [events.Paste(piece.text.replace("\x00", ""))]
        if piece.kind is Kind.TEXT:
            return list(self._parser.feed(piece.text))
        found = list(self._parser.feed(piece.text))
        unknown = self._give_up()
        if piece.kind is Kind.LATE and not found:
            return list(self._parser.feed(piece.text.removeprefix(ESC)))
        return found if piece.kind in (Kind.SEQUENCE, Kind.LATE) else [*found, *unknown]

    def _give_up(self) -> list[Message]:
        """End a sequence that the parser would wait on; what it makes of it then."""
        if self._parser._timeout_time is None:
            return []
        self._parser._timeout_time = 0.0
        return list(self._parser.tick())
