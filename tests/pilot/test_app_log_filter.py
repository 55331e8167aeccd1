"""What an operator types as a filter, and a long log filtered by the engine's own search."""

from __future__ import annotations

import gc
import time

import pytest

from backends.logs.query import FilteredLog
from backends.logs.ring import CAPACITY, LogRing
from backends.model.logline import LogFilter, LogLevel
from backends.model.stack import LogGrammar
from tests.pilot.rooms import make_room, opened
from tests.unit.test_log_ring import at
from tui.screens.logs import parsed


def test_an_exclamation_mark_hides_what_holds_the_text() -> None:
    assert parsed("!health", LogLevel.INFO) == LogFilter(LogLevel.INFO, "health", is_inverse=True)
    assert parsed("!", None) == LogFilter(text="!")


def test_what_looks_like_a_pattern_is_only_text() -> None:
    assert parsed("(a+)+$", None) == LogFilter(text="(a+)+$")


class Timed(FilteredLog):
    asked = longest = 0.0

    def advance(self, seconds: float) -> bool:
        Timed.asked = max(Timed.asked, seconds)
        gc.disable()  # to look for garbage in all that other tests have left takes a quarter of a second
        start = time.thread_time()
        try:
            return super().advance(seconds)
        finally:
            Timed.longest = max(Timed.longest, time.thread_time() - start)
            gc.enable()


async def test_a_full_log_is_filtered_in_small_bites_while_it_is_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = LogRing(LogGrammar(()), ("gateway",), rate=10 * CAPACITY, patience=0.0)
    ring.append(0, [at(i, f"INFO order {i} {'filled' if i % 4 == 0 else 'open'}") for i in range(CAPACITY)])
    ring.settle()
    app = make_room()
    monkeypatch.setattr(app.engine, "logs", lambda _: ring)
    monkeypatch.setattr(app.engine, "filtered", lambda _, wanted: Timed(ring, wanted))
    async with opened(app, (120, 40)) as room:
        await room.press("slash", *"filled")
        pane = room.app.room.log_pane
        assert pane._matches is not None
        hidden = CAPACITY // 4 * 3
        await room.until(lambda: pane._matches is not None and pane._matches.hidden == hidden)
        pane.view.tick()
        pane.label_now()
        await room.settle()
        assert f"filter 'filled', {hidden:,} hidden" in room.text()
        assert f"order {CAPACITY - 4} filled" in room.text()
        assert f"order {CAPACITY - 3} open" not in room.text()
    assert 0.0 < Timed.asked < 0.01
    assert Timed.longest < 0.1


async def test_the_footer_names_enter_only_where_there_is_a_row() -> None:
    async with opened(make_room()) as room:
        assert "Enter detail" in room.text()
        await room.press("4")
        await room.settle()
        assert "Enter detail" not in room.text()
        await room.press("3")
        await room.settle()
        assert "Enter detail" in room.text()
