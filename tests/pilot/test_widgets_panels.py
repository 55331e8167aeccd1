"""Text panels, step lists, panes; signs and ASCII mode; themes on a running screen."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import pytest
from textual.containers import Vertical
from textual.widget import Widget

from backends.model.clock import Instant
from backends.model.logline import LogLevel
from backends.model.procedure import Receipt, ReceiptKind, Run, StepResult, StepState, Verdict
from backends.model.safetext import SafeText
from tests.pilot.stage import Ring, Stage, row, strips, text_of
from tests.pilot.test_widgets_headline import HINTS, VIEW
from widgets.cells import width_of
from widgets.footer import Footer
from widgets.glyphs import TABLES, shown_name, use_ascii, wants_ascii
from widgets.grid import Grid
from widgets.grid_layout import Column
from widgets.headline import Headline
from widgets.log_view import LogView
from widgets.pane import Pane
from widgets.row import Heading
from widgets.span import Span, spans_width, wrap
from widgets.step_list import StepList
from widgets.text_panel import TextPanel


def line(text: str) -> tuple[Span, ...]:
    return (Span(SafeText(text)),)


@pytest.fixture
def ascii_mode() -> Iterator[None]:
    use_ascii(True)
    yield
    use_ascii(False)


def test_text_breaks_at_words_keeps_its_indent_and_loses_nothing() -> None:
    spans = (
        Span(SafeText("  check that ")),
        Span(SafeText("the gateway"), "strong"),
        Span(SafeText(" answers")),
    )
    wrapped = wrap(spans, 14)
    assert ["".join(it.text for it in part).rstrip() for part in wrapped] == [
        "  check that",
        "  the gateway",
        "  answers",
    ]
    assert all(spans_width(part) <= 14 for part in wrapped)
    assert [it.role for part in wrapped for it in part if "gateway" in it.text] == ["strong"]


def test_a_number_is_not_parted_from_its_unit() -> None:
    line = (Span(SafeText("Set the mode to halt")), Span(SafeText("  1.01 s"), "muted"))
    told = ["".join(span.text for span in it).strip() for it in wrap(line, 27)]
    assert told == ["Set the mode to halt", "1.01 s"]
    told = [
        "".join(span.text for span in it).strip() for it in wrap((Span(SafeText("within 15 s; then")),), 10)
    ]
    assert told == ["within", "15 s; then"]


def test_a_word_longer_than_the_line_is_cut_and_whole() -> None:
    for width in (2, 3, 7):
        wrapped = wrap(line("x" * 20 + "漢字" * 5), width)
        assert "".join(it.text for part in wrapped for it in part) == "x" * 20 + "漢字" * 5
        assert all(spans_width(part) <= width for part in wrapped)


async def test_a_panel_scrolls_to_its_last_line_and_no_further() -> None:
    app = Stage(TextPanel([line(f"line {n}") for n in range(30)]))
    async with app.run_test(size=(40, 10)) as pilot:
        it = app.query_one(TextPanel)
        it.focus()
        await pilot.press("down")
        assert text_of(it)[0].startswith("line 1 ")
        await pilot.press("end", "down", "pagedown")
        assert text_of(it)[-1].startswith("line 29")
        assert text_of(it)[-1].endswith("┃")
        it.show([line("short")])
        await pilot.pause()
        assert text_of(it)[0].rstrip() == "short"


async def test_a_panel_is_as_high_as_its_text_until_the_frame_ends() -> None:
    panel = TextPanel([line("one two three four")])
    app = Stage(Vertical(panel))
    async with app.run_test(size=(12, 10)) as pilot:
        assert panel.size.height == 2
        panel.show([line(f"{n}") for n in range(100)])
        await pilot.pause()
        assert panel.size.height == 10


def run(verdict: Verdict | None, *steps: StepResult) -> Run:
    return Run(
        "op", "stack", "halt", "Halt", Instant(0, 0), steps, verdict, SafeText("It is halted."), rung=2
    )


async def test_a_run_shows_each_step_its_proof_and_the_verdict() -> None:
    steps = (
        StepResult(
            "a", "Engage", StepState.UNKNOWN, Receipt(ReceiptKind.UNKNOWN, SafeText("no answer in 500 ms"))
        ),
        StepResult("b", "Ask the orchestrator", StepState.VERIFIED, None, SafeText("state = ENGAGED"), 0.213),
    )
    app = Stage(StepList())
    async with app.run_test(size=(80, 12)) as pilot:
        it = app.query_one(StepList)
        it.show_run(run(None, *steps))
        await pilot.pause()
        assert "RUNNING" in "\n".join(text_of(it))
        it.show_run(run(Verdict.VERIFIED, *steps))
        await pilot.pause()
        assert [text.rstrip() for text in text_of(it)[:7]] == [
            "? UNKNOWN         Engage",
            "                  answered unknown: no answer in 500 ms",
            "✓ VERIFIED        Ask the orchestrator  0.21 s",
            "                  read back: state = ENGAGED",
            "",
            " ✓ VERIFIED   via rung 2",
            "It is halted.",
        ]


async def test_a_pane_takes_its_title_literally() -> None:
    pane = Pane(SafeText("[@click=app.bell]Logs[/] x [/"), TextPanel())
    app = Stage(pane)
    async with app.run_test(size=(60, 5)) as pilot:
        top = pane.render_lines(pane.size.region)[0].text
        assert "[@click=app.bell]Logs[/] x [/" in top
        pane.label(SafeText("Logs"), SafeText("[bold"))
        await pilot.pause()
        await pilot.click(pane, offset=(5, 0))
        assert "[bold" in str(pane.border_subtitle).replace("\\", "")


@pytest.mark.parametrize("kind", TABLES, ids=lambda it: it.__name__)
def test_every_state_has_a_sign_of_one_cell_an_ascii_form_and_a_word(kind: type[Enum]) -> None:
    table = TABLES[kind]
    assert set(table) == set(kind)
    for sign in table.values():
        assert width_of(sign.glyph) == 1
        assert sign.ascii.isascii() and len(sign.ascii) == 4
        assert sign.word.isascii() and sign.word
    assert len({sign.word for sign in table.values()}) == len(table), "the word alone tells states apart"
    assert len({(sign.ascii, sign.word) for sign in table.values()}) == len(table)


@pytest.mark.parametrize("kind", TABLES, ids=lambda it: it.__name__)
def test_what_is_not_known_never_looks_like_what_is_well(kind: type[Enum]) -> None:
    table = TABLES[kind]
    well = {it.name for it in kind} & {"OK", "FRESH", "RUNNING", "HEALTHY", "TRADING", "VERIFIED"}
    for unknown in {it.name for it in kind} & {"UNKNOWN", "UNCONFIRMED", "NO_CHECK", "STALE", "BAD"}:
        for good in well:
            one, other = table[kind[unknown]], table[kind[good]]
            assert one.glyph != other.glyph and one.word != other.word and one.role != other.role


@pytest.mark.parametrize(
    ("env", "is_utf8_mode", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, False, False),
        ({"LANG": "de_DE.utf8"}, False, False),
        ({"LANG": "C"}, False, True),
        ({}, False, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, True),
        ({"LC_CTYPE": "C.UTF-8"}, False, False),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False, True),
        ({"LANG": "C", "CONTROLROOM_GLYPHS": "unicode"}, False, False),
        ({"LANG": "en_US.UTF-8", "CONTROLROOM_GLYPHS": "ascii"}, False, True),
    ],
)
def test_ascii_mode_follows_the_locale(env: dict[str, str], is_utf8_mode: bool, expected: bool) -> None:
    assert wants_ascii(env, is_utf8_mode) == expected


def test_a_name_that_may_pass_for_another_is_marked() -> None:
    assert shown_name(SafeText("api")) == "api"
    assert shown_name(SafeText("аpi")) == "‹not ASCII› аpi"
    assert len(shown_name(SafeText("x" * 10_000))) < 90


def everything() -> Stage:
    ring = Ring()
    ring.add("order accepted: é 漢字", LogLevel.ERROR)
    ring.fill(30)
    grid = Grid((Column("a", SafeText("NAME"), 20, flex=1),))
    return Stage(
        Headline(),
        Pane(SafeText("Panes – é"), grid, subtitle=SafeText("é")),
        Pane(SafeText("Log"), LogView(ring)),
        Pane(SafeText("Run"), StepList()),
        Footer(),
    )


async def filled(app: Stage) -> None:
    app.query_one(Headline).show(VIEW)
    app.query_one(Footer).show(HINTS)
    rows = [row(f"{n}", f"värde {n}") for n in range(20)]
    app.query_one(Grid).show([Heading("h", SafeText("Gruppe – é")), *rows])
    app.query_one(LogView).tick()
    app.query_one(StepList).show_run(run(Verdict.PARTIAL, StepResult("a", "Ängage", StepState.FAILED)))


@pytest.mark.usefixtures("ascii_mode")
async def test_in_ascii_mode_nothing_above_0x7f_is_written() -> None:
    app = everything()
    async with app.run_test(size=(100, 40)) as pilot:
        await filled(app)
        app.query_one(LogView).follow(False)
        await pilot.pause()
        drawn = [strip for it in app.screen.walk_children(Widget) for strip in strips(it)]
        assert "v?rde 3" in "\n".join(strip.text for strip in drawn)
        assert {char for strip in drawn for char in strip.text if not char.isascii()} == set()


async def test_another_theme_repaints_everything_in_its_own_colours() -> None:
    app = everything()
    async with app.run_test(size=(100, 40)) as pilot:
        await filled(app)
        for theme in ("light", "contrast", "mono", "dark"):
            app.theme = theme
            await pilot.pause()
            known = {value.lower() for value in app.theme_variables.values() if value.startswith("#")}
            for kind in (Headline, Grid, LogView, StepList, Footer):
                styles = [part.style for strip in strips(app.query_one(kind)) for part in strip]
                colors = {it for style in styles if style for it in (style.color, style.bgcolor) if it}
                assert {color.name for color in colors} <= known, (theme, kind)


async def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = everything()
    async with app.run_test(size=(100, 40)) as pilot:
        await filled(app)
        await pilot.pause()
        for kind in (Headline, Grid, LogView, StepList, Footer):
            for strip in strips(app.query_one(kind)):
                for part in strip:
                    assert part.style is not None and part.style.color and part.style.bgcolor
                    for color in (part.style.color, part.style.bgcolor):
                        assert len(set(color.get_truecolor())) == 1, (kind, part)


async def test_under_a_theme_that_is_not_ours_they_still_draw() -> None:
    app = everything()
    async with app.run_test(size=(100, 40)) as pilot:
        await filled(app)
        for theme in ("textual-light", "nord", "ansi-dark"):
            app.theme = theme
            await pilot.pause()
            assert "LIVE" in text_of(app.query_one(Headline))[0]
