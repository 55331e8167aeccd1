"""Everything that leans on names Textual keeps to itself. Each has a guard test; Textual is pinned exactly.

Two faults of the toolkit are mended here: its crash screen prints the values of local variables, which may
be secrets, and exits 0 when the input thread dies; and a terminal that stops reading blocks its event loop.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from textual.app import App
from textual.screen import Screen

from backends.model.safetext import SafeText

QUEUED_WRITES_LIMIT = 3
"""Writes waiting for the terminal beyond which a frame is skipped: one frame is one write, or three."""

RETRY = 0.05
"""Seconds until a skipped frame is looked at again."""

_FRAMES = 30


class SteadyApp(App[None]):
    """An App that survives a terminal that does not read, and that crashes without showing secrets."""

    _is_frame_owed = False

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Skip the frame while earlier ones are still queued; one whole repaint follows when they are out."""
        if queued_writes(self) <= QUEUED_WRITES_LIMIT:
            super()._display(screen, renderable)
            if renderable is not None:
                self.drawn(screen)
            return
        if not self._is_frame_owed:
            self._is_frame_owed = True
            self.set_timer(RETRY, self._repay_frame)

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
