"""Header and footer: what must be seen in any width."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.model.alarm import Priority
from backends.model.safetext import SafeText
from backends.model.stack import Environment
from backends.model.trading import TradingState
from tests.pilot.stage import Stage, strips, text_of
from widgets.age import age_text
from widgets.band import HeadlineView, render_band
from widgets.footer import Footer, Hint, render_hints
from widgets.glyphs import TRADING
from widgets.headline import Headline
from widgets.line_widget import Line
from widgets.span import Spans, spans_width

VIEW = HeadlineView(
    environment=Environment.LIVE,
    stack=SafeText("trading-platform"),
    trading=TradingState.HALTED,
    because=SafeText("Kill switch ENGAGED by alice since 03:02:11Z: drawdown drill on the paper desk"),
    trading_age=1.2,
    data_age=0.4,
    is_armed=True,
    wall=1_790_000_000.0,
    alarms={Priority.CRITICAL: 2, Priority.HIGH: 1},
    note=SafeText("ops-1  controlroom 0.1.0"),
    kill_key=SafeText("F9"),
    kill_label=SafeText("HALT"),
)

WORST = replace(
    VIEW,
    stack=SafeText("a-stack-with-quite-a-long-name"),
    trading=TradingState.NO_HALT_PATH,
    trading_age=99 * 86400.0,
    is_armed=False,
    alarms={Priority.CRITICAL: 999, Priority.HIGH: 999, Priority.LOW: 999},
)


def plain(spans: Spans) -> str:
    return "".join(span.text for span in spans)


def band(view: HeadlineView, width: int, height: int = 2, rows: int = 24) -> list[str]:
    return [plain(line) for line in render_band(view, width, height, (width, rows))]


def test_with_room_everything_is_there() -> None:
    first, second = band(VIEW, 140)
    for part in (
        " LIVE ",
        "trading-platform",
        "■ HALTED",
        "read 1s ago",
        "■ 2",
        "▲ 1",
        "● 0",
        "ARMED",
        "14:13:20Z",
    ):
        assert part in first
    for part in (VIEW.because, "ops-1  controlroom 0.1.0", "data 0s old"):
        assert part in second


@pytest.mark.parametrize("width", range(80, 250, 5))
@pytest.mark.parametrize("view", [VIEW, WORST], ids=["usual", "worst"])
def test_environment_stack_state_alarms_and_mode_are_there_in_every_width(
    view: HeadlineView, width: int
) -> None:
    first, second = band(view, width)
    mode = "ARMED" if view.is_armed else "READ ONLY"
    state = TRADING[view.trading].word
    for part in (" LIVE ", view.stack[:11], state, str(view.alarms[Priority.CRITICAL]), mode):
        assert part in first
    assert len(first) <= width and len(second) <= width
    assert "data 0s old" in second


def test_watch_mode_says_so_with_host_and_build_at_eighty_columns() -> None:
    first, second = band(replace(VIEW, is_armed=False), 80)
    assert "READ ONLY" in first and "ARMED" not in first
    assert "ops-1" in second


@pytest.mark.parametrize("state", TradingState)
def test_the_state_is_a_word_and_a_sign(state: TradingState) -> None:
    first = band(replace(VIEW, trading=state), 100)[0]
    assert f"{TRADING[state].glyph} {state.value}" in first


def test_what_was_never_read_has_no_age_of_zero() -> None:
    first, second = band(replace(VIEW, trading=TradingState.UNKNOWN, trading_age=None, data_age=None), 120)
    assert "not read yet" in first and "0s" not in first
    assert "no data yet" in second and "0s" not in second


def test_a_banner_outranks_the_reason_and_is_seen_in_one_line_too() -> None:
    view = replace(VIEW, banner=SafeText("NOT OBSERVING for 12s"))
    assert band(view, 120)[1].startswith(" NOT OBSERVING for 12s ")
    assert "NOT OBSERVING for 12s" in band(view, 120, height=1)[0]


@pytest.mark.parametrize(("width", "rows"), [(79, 24), (80, 23), (40, 10), (20, 5)])
def test_a_small_terminal_keeps_state_and_kill_key(width: int, rows: int) -> None:
    first = band(VIEW, width, rows=rows)[0]
    assert "HALTED" in first and " F9 " in first
    assert len(first) <= width
    assert ("TOO SMALL" in first) == (width >= 40)


def test_the_heart_beats_unless_motion_is_off() -> None:
    def heart(beat: int, is_still: bool) -> str:
        first = band(replace(VIEW, beat=beat, is_still=is_still), 120)[0]
        return next(glyph for glyph in "●○" if f" {glyph}  14:" in first)

    assert heart(1, False) != heart(2, False) == heart(4, False)
    assert heart(1, True) == heart(2, True)


class Watched(Headline):
    painted: list[int]

    def paint(self, y: int, line: Line) -> None:
        self.painted.append(y)
        super().paint(y, line)


async def test_a_second_repaints_the_line_with_the_clock_and_no_other() -> None:
    it = Watched()
    it.painted = []
    app = Stage(it)
    async with app.run_test(size=(120, 24)) as pilot:
        it.show(VIEW)
        await pilot.pause()
        it.painted.clear()
        it.show(replace(VIEW))
        await pilot.pause()
        assert it.painted == []
        it.show(replace(VIEW, wall=VIEW.wall + 1))
        await pilot.pause()
        assert it.painted == [0]
        assert "14:13:21Z" in text_of(it)[0]


async def test_the_environment_has_its_own_fill_in_every_theme() -> None:
    app = Stage(Headline())
    async with app.run_test(size=(120, 24)) as pilot:
        it = app.query_one(Headline)
        for theme in ("dark", "light", "contrast", "mono"):
            app.theme = theme
            await pilot.pause()
            fills = set()
            for environment in Environment:
                it.show(replace(VIEW, environment=environment))
                await pilot.pause()
                badge = next(part for part in strips(it)[0] if environment.value in part.text)
                assert badge.style is not None
                fills.add(badge.style.bgcolor)
            assert len(fills) == 3, theme


HINTS = (
    Hint(SafeText("z"), SafeText("zoom")),
    Hint(SafeText("F9"), SafeText("HALT"), is_emergency=True),
    Hint(SafeText("?"), SafeText("help"), keep=True),
    Hint(SafeText("q"), SafeText("quit")),
)


def test_emergency_keys_stand_first_and_are_never_dropped() -> None:
    assert plain(render_hints(HINTS, 60)) == " F9  HALT   z zoom  ? help  q quit"
    assert plain(render_hints(HINTS, 20)) == " F9  HALT   ? help"
    assert plain(render_hints(HINTS, 12)) == " F9  HALT "
    assert plain(render_hints(HINTS, 3)) == " F9 "


@pytest.mark.parametrize("width", range(10, 60))
def test_hints_are_whole_or_not_there(width: int) -> None:
    spans = render_hints(HINTS, width, SafeText("dark"))
    assert spans_width(spans) <= width
    words = plain(spans).split()
    assert words[:2] == ["F9", "HALT"]
    assert set(words) <= {"F9", "HALT", "z", "zoom", "?", "help", "q", "quit", "dark"}


def test_of_a_stack_without_a_halt_path_no_reading_is_awaited() -> None:
    none = replace(VIEW, trading=TradingState.NO_HALT_PATH, trading_age=None)
    text = plain(render_band(none, 160, 1, (160, 40))[0])
    assert "NO HALT PATH" in text
    assert "read" not in text.casefold().replace("read only", "")


def test_a_note_is_seen_before_other_hints_and_cut_rather_than_left_out() -> None:
    said = SafeText("said for six seconds")
    assert plain(render_hints(HINTS, 41, said)) == " F9  HALT   ? help  said for six seconds"
    assert plain(render_hints(HINTS, 30, said)) == " F9  HALT   said for six sec…"


async def test_the_footer_shows_them() -> None:
    app = Stage(Footer())
    async with app.run_test(size=(60, 5)) as pilot:
        it = app.query_one(Footer)
        it.show(HINTS, SafeText("dark"))
        await pilot.pause()
        assert text_of(it) == [" F9  HALT   z zoom  ? help  q quit                     dark "]


def test_ages_are_short_and_an_unknown_one_is_no_number() -> None:
    assert [age_text(it) for it in (0, 59.9, 60, 3599, 3600, 47 * 3600, 48 * 3600)] == [
        *("0s", "59s", "1m", "59m", "1h", "47h", "2d"),
    ]
    assert {age_text(it) for it in (None, -1.0, float("nan"), float("inf"))} == {"?"}


@pytest.mark.parametrize("width", [100, 120, 200])
def test_why_the_state_is_not_known_is_whole_beside_many_silent_sources(width: int) -> None:
    note = "17/21 sources, not gateway, gateway-account, gateway-switch, orchestrator  ops-1"
    why = "Reconciliation gate cannot be read"
    view = replace(VIEW, because=SafeText(f"{why}: nothing listens there"), note=SafeText(note))
    second = band(view, width)[1]
    assert why in second
    assert "17/21 sources, not g" in second
