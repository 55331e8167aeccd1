"""When a screen has done all there is to do: told by what it still has before it, not by the time it takes.

The toolkit's own ``wait_for_idle`` sleeps until the process uses little of the processor: too long on a quiet
machine, and on a busy one over before anything was done. Of timers it waits for those that lay out and draw;
for no other, no thread and no ``min_sleep``: a test that does says for what, with ``Scene.until``.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import textual.app
import textual.pilot
from textual._context import active_app
from textual.app import App

_ROUNDS: Final = 3
"""How often in turn there must be nothing to do: an awaited answer arrives a turn of the loop later."""

_FRAME: Final = 0.001
"""Seconds between two looks while a frame waits for its timer."""

_DIRT: Final = (
    "_layout_required", "_dirty_widgets", "_repaint_required", "_callbacks", "_scroll_required",
    "_recompose_required",
)  # fmt: skip
"""What makes a screen draw."""


def install() -> None:
    """Let every pilot of this process wait like this."""
    textual.pilot.wait_for_idle = _wait_for_idle
    textual.app.wait_for_idle = _wait_for_idle


async def _wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 20.0) -> None:
    """Returns when the running app has nothing before it, or after ``max_sleep`` seconds all the same."""
    app, loop = active_app.get(), asyncio.get_running_loop()
    ends, rounds = time.monotonic() + max_sleep, 0
    while rounds < _ROUNDS and time.monotonic() < ends:
        await asyncio.sleep(0)
        if loop._ready:  # type: ignore[attr-defined] # no loop tells otherwise whether it has more to do
            rounds = 0
        elif _has_nothing_before_it(app):
            rounds += 1
        else:
            rounds = 0
            await asyncio.sleep(_FRAME)


def _has_nothing_before_it(app: App[Any]) -> bool:
    """No message is on its way, and its screen shows what it should; covered ones do not draw, nor does the
    last of one that was left."""
    return app._exit or (
        # The toolkit lets a new size rest for a moment before it tells the screens.
        app._resize_event is None
        and not any(
            pump._pending_message is not None or pump._next_callbacks or pump.message_queue_size
            for pump in (app, *app._registry)
        )
        and not any(getattr(app.screen, dirt) for dirt in _DIRT)
    )
