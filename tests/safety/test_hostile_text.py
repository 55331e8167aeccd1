"""Text from outside is inert in every widget: it controls nothing, links nothing, crashes nothing, and
moves no column; and a lot of it does not hold the keys up."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from backends.model.alarm import Priority
from backends.model.clock import Instant
from backends.model.procedure import Receipt, ReceiptKind, Run, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Environment
from backends.model.trading import TradingState
from tests.pilot.stage import Ring, Stage, row, strips
from widgets.band import HeadlineView
from widgets.footer import Footer, Hint
from widgets.glyphs import shown_name
from widgets.grid import Grid
from widgets.grid_layout import Column
from widgets.headline import Headline
from widgets.line_widget import Line
from widgets.log_view import LogView
from widgets.painter import Painter
from widgets.pane import Pane
from widgets.row import Heading
from widgets.span import Span
from widgets.step_list import StepList
from widgets.text_panel import TextPanel

CORPUS = {
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H",
    "c1": "\x9b31m\x9d0;owned\x9c",
    "bell and back": "\a\b\b\b\r\n\v\f",
    "nul and delete": "\x00\x7f",
    "bidi": "\u202egnidart\u202c \u2066x\u2069",
    "invisible": "a\u200b\u200d\ufeff\u00ad\u2060b",
    "separators": "a\u2028b\u2029c\x85d",
    "surrogate": "\ud800",
    "private": "\ue000\U0010ffff",
    "button": "[@click=app.kill]press me[/]",
    "link": "[link=http://evil]x[/link]",
    "unbalanced": "x [/",
    "open bold": "[bold",
    "closers": "[/bold][/][/][/]",
    "auto": "[$foreground on $background 200%]",
    "a button in a log level": "ERROR [@click=app.kill]x[/]",
    "marks": "e" + "\u0301" * 1000,
    "wide": "漢字" * 2000,
    "flags and skins": "🇩🇪👍🏽👩‍👩‍👧‍👦" * 50,
    "long": "x" * 10_000,
    "tabs": "a\tb\tc",
    "forged": "KILL ENGAGED ✓",
    "format": "%s {0} ${HOME} \\x1b[31m",
}


def put_grid(app: Stage, text: SafeText) -> None:
    it = app.query_one(Grid)
    it.show([Heading("h", text, text), row("a", text, text), row("b", shown_name(text), "marker")])


def put_log(app: Stage, text: SafeText) -> None:
    it = app.query_one(LogView)
    ring = Ring()
    ring.add(text, service=text)
    it.watch_source(ring)
    it.highlight(text)
    it.show_only([0], text)
    it.tick()


def put_headline(app: Stage, text: SafeText) -> None:
    app.query_one(Headline).show(
        HeadlineView(
            Environment.LIVE,
            stack=text,
            trading=TradingState.HALTED,
            because=text,
            trading_age=1.0,
            data_age=1.0,
            is_armed=True,
            wall=1_790_000_000.0,
            alarms={Priority.HIGH: 1},
            banner=text,
            note=text,
        )
    )


def put_footer(app: Stage, text: SafeText) -> None:
    app.query_one(Footer).show([Hint(text, text, is_emergency=True), Hint(text, text)], text)


def put_panel(app: Stage, text: SafeText) -> None:
    app.query_one("#panel", TextPanel).show([(Span(text), Span(text, "strong"))])


def put_steps(app: Stage, text: SafeText) -> None:
    step = StepResult("a", text, StepState.FAILED, Receipt(ReceiptKind.FAILED, text), text, 1.0)
    run = Run("op", "s", "p", "t", Instant(0, 0), (step,), Verdict.PARTIAL, text)
    app.query_one(StepList).show_run(run)


def put_pane(app: Stage, text: SafeText) -> None:
    app.query_one("#pane", Pane).label(text, text)


WIDGETS: dict[str, tuple[Callable[[Stage, SafeText], None], str]] = {
    "grid": (put_grid, "Grid"),
    "log": (put_log, "LogView"),
    "headline": (put_headline, "Headline"),
    "footer": (put_footer, "Footer"),
    "panel": (put_panel, "#panel"),
    "steps": (put_steps, "StepList"),
    "pane": (put_pane, "#pane"),
}


class Armed(Stage):
    """Remembers whether anything made it kill."""

    killed = False

    def action_kill(self) -> None:
        self.killed = True


def stage() -> Armed:
    return Armed(
        Headline(),
        Pane(
            SafeText("pane"),
            Grid((Column("a", SafeText("A"), 14), Column("b", SafeText("B"), 20))),
            LogView(),
            TextPanel(id="panel"),
            StepList(),
            id="pane",
        ),
        Footer(),
    )


def faults(drawn: list[Strip], width: int) -> list[str]:
    """What is wrong with these lines, in words."""
    found: list[str] = []
    for y, strip in enumerate(drawn):
        if sum(cell_len(part.text) for part in strip) != width:
            found.append(f"line {y} is not {width} cells wide")
        for part in strip:
            bad = {
                char
                for char in part.text
                if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl"}
            }
            if bad:
                found.append(f"line {y} holds {sorted(map(hex, map(ord, bad)))}")
            if part.style is not None and (part.style.meta or part.style.link):
                found.append(f"line {y} holds a link or an action")
    return found


class Unsafe(App[None]):
    """What this program never does: give a Static a str."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        yield Static(self.text)


@pytest.mark.parametrize("name", ["clipboard", "clear", "c1", "button"])
async def test_the_check_itself_finds_hostile_text(name: str) -> None:
    """The control: the same text in a plain Static is caught."""
    app = Unsafe(CORPUS[name])
    async with app.run_test(size=(60, 5)) as pilot:
        await pilot.pause()
        it = app.query_one(Static)
        assert faults(strips(it), it.size.width)


@pytest.mark.parametrize("where", WIDGETS)
async def test_hostile_text_is_inert(where: str) -> None:
    put, selector = WIDGETS[where]
    app = stage()
    async with app.run_test(size=(100, 30)) as pilot:
        it = app.query_one(selector, Widget)
        for name, raw in CORPUS.items():
            put(app, SafeText(raw))
            await pilot.pause()
            assert faults(strips(it), it.region.width) == [], name
            assert len(strips(it)) == it.region.height, name
        put(app, SafeText(CORPUS["button"]))
        await pilot.pause()
        places = [
            (strip.text.find("[@click"), y) for y, strip in enumerate(strips(it)) if "[@click" in strip.text
        ]
        assert places, "it is there, letter by letter"
        for x, y in places:
            await pilot.click(it, offset=(x + 18, y))
        assert not app.killed


@pytest.mark.parametrize("where", WIDGETS)
async def test_text_that_was_never_made_safe_is_still_inert(where: str) -> None:
    """Should a ``str`` slip past the type checker, the last step to the screen cleans it."""
    put, selector = WIDGETS[where]
    app = stage()
    async with app.run_test(size=(100, 30)) as pilot:
        it = app.query_one(selector, Widget)
        for name, raw in CORPUS.items():
            put(app, raw)  # a str: the mistake this is about
            await pilot.pause()
            assert [fault for fault in faults(strips(it), it.region.width) if "holds" in fault] == [], name


async def test_no_column_moves_whatever_stands_before_it() -> None:
    app = stage()
    async with app.run_test(size=(100, 30)) as pilot:
        it = app.query_one(Grid)
        for name, raw in CORPUS.items():
            it.show([row("a", SafeText(raw), "marker"), row("b", shown_name(SafeText(raw)), "marker")])
            await pilot.pause()
            for strip in strips(it)[1:3]:
                before, found, _ = strip.text.partition("marker")
                assert found and cell_len(before) == 1 + 14 + 2, name


async def test_forged_text_in_a_log_stays_behind_the_bar() -> None:
    app = stage()
    async with app.run_test(size=(100, 30)) as pilot:
        for raw in CORPUS.values():
            ring = Ring()
            ring.add(raw)
            it = app.query_one(LogView)
            it.watch_source(ring)
            await pilot.pause()
            assert strips(it)[0].text.split("│")[0].split() == ["14:13:20", "INF", "gateway"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=40), max_size=6), st.integers(0, 60))
def test_any_text_makes_a_line_of_its_width(texts: list[str], width: int) -> None:
    line = Line(Painter({}, Color.parse("#000000")))
    for text in texts:
        line.add(SafeText(text), "state-bad")
    assert faults([line.strip(width)], width) == []


async def test_a_screen_full_of_the_longest_lines_is_drawn_within_the_time_of_a_key() -> None:
    app = Stage(LogView())
    async with app.run_test(size=(250, 70)) as pilot:
        it = app.query_one(LogView)
        ring = Ring()
        for raw in ("x" * 100_000, "漢" * 100_000, "e\u0301\u0301" * 40_000, "\x1b[31m" * 20_000):
            for _ in range(20):
                ring.add(raw)
        it.watch_source(ring)
        await pilot.pause()
        spent = []
        for _ in range(5):
            it.touch_all()
            started = time.process_time()
            strips(it)
            spent.append(time.process_time() - started)
        assert min(spent) < 0.1
