"""The log: following, holding still, filtering, markers; and that it paints only when it must."""

from __future__ import annotations

import pytest

from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.safetext import SafeText
from tests.pilot.stage import Ring, Stage, strips, text_of
from widgets.line_widget import Line
from widgets.log_line import clock_text, tone_of
from widgets.log_view import LogView


def view(ring: Ring | None, **rest: object) -> LogView:
    return LogView(ring, SafeText("no log line yet: 3 services are followed"), **rest)


def texts(it: LogView) -> list[str]:
    """What stands right of the bar, line by line."""
    return [line.partition("│")[2].rstrip() for line in text_of(it)]


async def test_it_follows_the_end() -> None:
    ring = Ring()
    app = Stage(view(ring))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        ring.fill(3)
        it.tick()
        assert texts(it) == ["line 0", "line 1", "line 2", "", ""]
        ring.fill(100)
        it.tick()
        await pilot.pause()
        assert texts(it) == [f"line {n}" for n in range(98, 103)]
        assert it.is_following and it.pending == 0


async def test_before_the_first_line_it_says_what_it_waits_for() -> None:
    app = Stage(view(Ring()))
    async with app.run_test(size=(100, 5)):
        assert "no log line yet: 3 services are followed" in "\n".join(text_of(app.query_one(LogView)))


async def test_it_paints_when_it_is_told_to_and_not_for_each_line() -> None:
    ring = Ring()
    ring.fill(5)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        ring.fill(5)
        await pilot.pause()
        assert texts(it) == [f"line {n}" for n in range(5)], "nobody ticked"
        it.tick()
        assert texts(it) == [f"line {n}" for n in range(5, 10)]


async def test_it_is_flooded_while_every_look_replaces_every_row() -> None:
    ring = Ring()
    ring.fill(5)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 5)):
        it = app.query_one(LogView)
        it.tick()
        assert not it.is_flooded
        for _ in range(3):
            ring.fill(1000)
            it.tick()
            assert it.is_flooded
            assert it.ordinals[-1] == ring.end - 1
        ring.fill(1)
        it.tick()
        assert not it.is_flooded
        assert it.ordinals[-1] == ring.end - 1


async def test_holding_still_keeps_the_rows_and_counts_what_comes() -> None:
    ring = Ring()
    ring.fill(50)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        it.follow(False)
        held = texts(it)[:4]
        ring.fill(1234)
        drawn = strips(it)
        it.tick()
        assert strips(it) == drawn, "a number is not worth a frame of its own"
        it.count_now()
        await pilot.pause()
        assert texts(it)[:4] == held
        assert text_of(it)[4].startswith(" PAUSED  +1,234 new")
        it.follow(True)
        await pilot.pause()
        assert texts(it)[-1] == "line 1283"
        assert [(m.is_following, m.pending) for m in app.heard] == [(False, 0), (False, 1234), (True, 0)]


async def test_scrolling_up_holds_still_and_past_the_end_follows_again() -> None:
    ring = Ring()
    ring.fill(50)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 6)) as pilot:
        it = app.query_one(LogView)
        it.focus()
        it.tick()
        await pilot.press("down")
        assert it.is_following
        await pilot.press("up", "up")
        assert not it.is_following
        assert it.ordinals == (42, 43, 44, 45, 46)
        await pilot.press("pageup")
        assert it.ordinals[0] == 38
        await pilot.press("home")
        assert it.ordinals[0] == 0
        await pilot.press("up")
        assert it.ordinals[0] == 0
        await pilot.press(*["pagedown"] * 13)
        assert it.is_following
        await pilot.press("home", "end")
        assert it.is_following and it.ordinals[-1] == 49


async def test_rows_that_are_no_longer_kept_leave_the_held_view() -> None:
    ring = Ring()
    ring.fill(20)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        it.action_oldest()
        assert it.ordinals == (0, 1, 2, 3)
        ring.drop(10)
        ring.fill(10)
        it.tick()
        await pilot.pause()
        assert it.ordinals == (10, 11, 12, 13)
        assert texts(it)[0] == "line 10"


async def test_a_filter_shows_its_rows_only_and_follows_them() -> None:
    ring = Ring()
    ring.fill(100)
    matches = [n for n in range(100) if n % 10 == 0]
    app = Stage(view(ring))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        it.show_only(matches, SafeText('"0"'))
        await pilot.pause()
        assert it.ordinals == (60, 70, 80, 90)
        assert text_of(it)[4].startswith(' "0"  10 of 100 lines')
        ring.fill(5)
        matches.append(100)
        it.tick()
        assert it.ordinals[-1] == 100
        it.follow(False)
        matches.append(103)
        ring.fill(1)
        it.tick()
        assert it.pending == 0, "a row that was there when it stopped is not new"
        matches.append(105)
        it.tick()
        assert it.pending == 1
        ring.drop(95)
        it.tick()
        assert it.ordinals == (100, 103, 105)
        it.show_only(())
        await pilot.pause()
        assert "no line matches" in "\n".join(text_of(it))
        it.show_only(None)
        it.follow(True)
        assert it.ordinals[-1] == 105


async def test_a_view_held_below_all_that_matches_says_how_many_are_above_and_how_to_see_them() -> None:
    ring = Ring()
    ring.fill(100)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 10)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        it.follow(False)
        matches = list(range(10, 60))
        it.show_only(matches)
        await pilot.pause()
        assert "no line matches from here on; 50 above: PgUp shows them" in "\n".join(text_of(it))
        matches += [60, 61]
        it.tick()
        it.count_now()
        await pilot.pause()
        assert "52 above" in "\n".join(text_of(it))
        it.action_page(-1)
        assert it.ordinals[-1] == 61


async def test_a_jump_marks_the_row_and_holds_still() -> None:
    ring = Ring()
    ring.fill(100)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 10)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        it.jump_to(50)
        await pilot.pause()
        assert not it.is_following
        marked = [line for line in text_of(it) if line.startswith("▌")]
        assert len(marked) == 1 and "line 50" in marked[0]


async def test_long_lines_scroll_sideways_and_say_that_they_go_on() -> None:
    ring = Ring()
    ring.add("0123456789" * 20)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 3)) as pilot:
        it = app.query_one(LogView)
        it.focus()
        it.tick()
        assert texts(it)[0].startswith("012345") and text_of(it)[0].endswith("›")
        await pilot.press("right", "right")
        prefix, _, rest = text_of(it)[0].partition("‹")
        assert rest.startswith("67890123") and "gateway" in prefix
        await pilot.press("left", "left", "left")
        assert texts(it)[0].startswith("012345")


async def test_what_is_searched_for_stands_out_whatever_its_case() -> None:
    ring = Ring()
    ring.add("Timeout after TIMEOUT (.*)")
    app = Stage(view(ring))
    async with app.run_test(size=(100, 3)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        for needle, found in (("timeout", ["Timeout", "TIMEOUT"]), ("(.*)", ["(.*)"]), (".*.*", [])):
            it.highlight(SafeText(needle))
            await pilot.pause()
            match = it.painter.style("match")
            assert [segment.text for segment in strips(it)[0] if segment.style == match] == found


async def test_levels_and_markers_are_words_and_not_only_colours() -> None:
    ring = Ring()
    for level in LogLevel:
        ring.add("text", level)
    ring.add("", marker=Marker.GAP)
    ring.add("", marker=Marker.DROP, count=1234)
    ring.add("gateway died (exit 137)", marker=Marker.EVENT)
    ring.add("came late", marker=Marker.LATE)
    app = Stage(view(ring))
    async with app.run_test(size=(120, 12)):
        it = app.query_one(LogView)
        it.tick()
        lines = text_of(it)
        assert [line[10:13] for line in lines[:10]] == [
            *("CRT", "ERR", "WRN", "INF", "DBG", " · "),
            *("GAP", "DRP", "EVT", "INF"),
        ]
        assert texts(it)[6:10] == [
            "the stream broke here; lines may be missing",
            "1,234 lines dropped here: they came faster than can be kept",
            "gateway died (exit 137)",
            "late came late",
        ]


async def test_no_line_can_pose_as_the_room() -> None:
    ring = Ring()
    for forged in (
        " PAUSED  +0 new",
        "■ HALTED  KILL ENGAGED ✓",
        "│ 03:04:05 EVT redis │ started",
        "\x1b[1;1H TRADING",
    ):
        ring.add(forged)
    app = Stage(view(ring))
    async with app.run_test(size=(120, 6)):
        it = app.query_one(LogView)
        it.tick()
        for line in text_of(it)[:4]:
            prefix = line[: line.index("│")]
            assert prefix.split() == [clock_text(1_790_000_000.0), "INF", "gateway"]


@pytest.mark.parametrize(
    ("width", "has_time"), [(120, True), (60, True), (40, False), (20, False), (3, False)]
)
async def test_a_narrow_pane_gives_up_the_time_and_never_the_level(width: int, has_time: bool) -> None:
    ring = Ring()
    ring.add("something", LogLevel.ERROR)
    app = Stage(view(ring))
    async with app.run_test(size=(width, 3)):
        it = app.query_one(LogView)
        it.tick()
        line = text_of(it)[0]
        assert ("14:13:20" in line) == has_time
        assert "ERR" in line or width < 5
        assert {strip.cell_length for strip in strips(it)} == {width}


async def test_only_rows_new_on_screen_are_asked_of_the_source() -> None:
    asked: list[tuple[int, int]] = []

    class Asked(Ring):
        def window(self, ordinal: int, count: int) -> list[LogLine]:
            asked.append((ordinal, count))
            return super().window(ordinal, count)

    ring = Asked()
    ring.fill(1000)
    app = Stage(view(ring))
    async with app.run_test(size=(100, 10)):
        it = app.query_one(LogView)
        it.tick()
        asked.clear()
        ring.fill(3)
        it.tick()
        it.tick()
        assert asked == [(1000, 3)]


async def test_a_row_that_only_moved_is_not_painted_again() -> None:
    painted: list[int] = []

    class Watched(LogView):
        def paint(self, y: int, line: Line) -> None:
            painted.append(y)
            super().paint(y, line)

    ring = Ring()
    ring.fill(1000)
    app = Stage(Watched(ring))
    async with app.run_test(size=(100, 10)) as pilot:
        it = app.query_one(Watched)
        it.tick()
        await pilot.pause()
        painted.clear()
        ring.fill(3)
        it.tick()
        await pilot.pause()
        assert painted == [7, 8, 9]


async def test_another_log_starts_at_its_own_end_without_the_old_filter() -> None:
    one, other = Ring(), Ring(first=7000)
    one.fill(30)
    other.fill(30)
    app = Stage(view(one))
    async with app.run_test(size=(100, 5)) as pilot:
        it = app.query_one(LogView)
        it.tick()
        it.show_only([3, 4])
        it.follow(False)
        it.watch_source(other)
        await pilot.pause()
        assert it.is_following
        assert it.ordinals == tuple(range(7025, 7030))
        assert texts(it)[-1] == "line 7029"


def test_a_service_has_the_same_colour_in_every_session() -> None:
    assert [tone_of(name) for name in ("gateway", "orchestrator", "redis")] == ["tone-2", "tone-3", "tone-2"]


def test_a_time_that_is_none_is_dashes() -> None:
    assert clock_text(None) == clock_text(float("nan")) == clock_text(1e300) == "--:--:--"
    assert clock_text(0) == "00:00:00"
