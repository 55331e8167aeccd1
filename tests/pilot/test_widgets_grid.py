"""The table: what it shows, where its cursor is, and how little it repaints."""

from __future__ import annotations

from rich.cells import cell_len
from textual.events import MouseScrollDown

from backends.model.safetext import SafeText
from tests.pilot.stage import Stage, row, strips, text_of
from widgets.grid import Grid
from widgets.grid_layout import Column
from widgets.line_widget import Line
from widgets.row import Cell, Heading, Row

NAME = Column("name", SafeText("NAME"), 12, least=6)
VALUE = Column("value", SafeText("VALUE"), 8, align="right", drop=1)


def grid(**rest: str) -> Grid:
    return Grid((NAME, VALUE), SafeText("no containers: the engine answered with none"), **rest)


def rows(count: int, value: str = "1") -> list[Row]:
    return [row(f"k{n}", f"name {n}", value) for n in range(count)]


class Watched(Grid):
    """Counts the lines it paints."""

    painted: list[int]

    def paint(self, y: int, line: Line) -> None:
        self.painted.append(y)
        super().paint(y, line)


async def test_it_shows_titles_and_rows_in_columns() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 5)) as pilot:
        it = app.query_one(Grid)
        it.show([row("a", "gateway", "12"), row("b", "a very long name indeed", "3")])
        await pilot.pause()
        assert [line.rstrip() for line in text_of(it)] == [
            " NAME             VALUE",
            "▌gateway             12",
            " a very long…         3",
            "",
            "",
        ]


async def test_without_rows_it_says_why() -> None:
    app = Stage(grid())
    async with app.run_test(size=(60, 5)) as pilot:
        it = app.query_one(Grid)
        assert "no containers: the engine answered with none" in "\n".join(text_of(it))
        it.show([], SafeText("NOT KNOWN: docker does not answer"))
        await pilot.pause()
        assert "NOT KNOWN: docker does not answer" in "\n".join(text_of(it))
        it.show(rows(1))
        await pilot.pause()
        assert "NOT KNOWN" not in "\n".join(text_of(it))


async def test_what_stands_in_a_row_is_made_once_and_only_when_it_comes_into_view() -> None:
    made: list[str] = []

    def later(name: str) -> Row:
        def cells() -> tuple[Cell, ...]:
            made.append(name)
            return (Cell(SafeText(name)), Cell(SafeText("1")))

        return Row(name, cells)

    app = Stage(grid())
    async with app.run_test(size=(40, 4)) as pilot:
        it = app.query_one(Grid)
        for _ in range(2):
            it.show([later(f"k{n}") for n in range(9)])
            await pilot.pause()
            assert sorted(set(made)) == ["k0", "k1", "k2"]
        made.clear()
        it.focus()
        await pilot.press("end", "home", "end")
        assert "k8" in text_of(it)[-1]
        assert sorted(made) == ["k6", "k7", "k8"]
    assert row("k", "v") == Row("k", lambda: (Cell(SafeText("v")),)) != row("k", "w") != row("l", "w")


async def test_the_cursor_stays_on_its_key_when_rows_move() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 8)) as pilot:
        it = app.query_one(Grid)
        it.focus()
        it.show(rows(5))
        await pilot.press("down", "down")
        assert it.cursor == "k2"
        it.show([row("new", "new", "1"), *reversed(rows(5))])
        await pilot.press("enter")
        assert it.cursor == "k2"
        assert [heard.key for heard in app.heard if isinstance(heard, Grid.Chosen)] == ["k2"]
        assert text_of(it)[4].startswith("▌name 2")


async def test_the_cursor_is_bright_in_the_table_that_has_the_keyboard_and_in_no_other() -> None:
    one, two = grid(id="one"), grid(id="two")
    app = Stage(one, two)
    async with app.run_test(size=(40, 12)) as pilot:
        for it in (one, two):
            it.show(rows(3))
        quiet = cursor_style(two)
        for there, other in ((one, two), (two, one), (one, two)):
            there.focus()
            await pilot.pause()
            assert cursor_style(there) != quiet
            assert cursor_style(other) == quiet


def cursor_style(it: Grid) -> object:
    """Of the sign at the first row."""
    sign = next(iter(strips(it)[1]))
    assert sign.text == "▌"
    return sign.style


async def test_when_the_row_is_gone_the_cursor_goes_to_its_place_and_says_so() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 8)) as pilot:
        it = app.query_one(Grid)
        it.focus()
        it.show(rows(5))
        await pilot.press("end")
        it.show(rows(3))
        await pilot.pause()
        assert it.cursor == "k2"
        it.show([])
        await pilot.press("enter", "down")
        assert it.cursor is None
        assert [heard.key for heard in app.heard if isinstance(heard, Grid.Moved)] == ["k0", "k4", "k2", None]
        assert not [heard for heard in app.heard if isinstance(heard, Grid.Chosen)]


async def test_a_new_row_above_the_cursor_is_seen() -> None:
    """The most urgent alarm comes in at the top: it must not be scrolled out by a cursor that stays."""
    app = Stage(grid())
    async with app.run_test(size=(40, 5)) as pilot:
        it = app.query_one(Grid)
        it.show(rows(3))
        it.show([row("urgent", "urgent", "!"), *rows(3)])
        await pilot.pause()
        assert it.cursor == "k0"
        assert "urgent" in text_of(it)[1]


async def test_where_nobody_is_the_first_rows_stay_in_view_however_many_come_in_above_the_cursor() -> None:
    app = Stage(grid(), grid(id="other"))
    async with app.run_test(size=(40, 10)) as pilot:
        it = app.query_one(Grid)
        app.query_one("#other").focus()
        it.show(rows(3))
        await pilot.pause()
        it.show([*(row(f"urgent{number}", f"urgent {number}", "!") for number in range(9)), *rows(3)])
        await pilot.pause()
        assert it.cursor == "k0"
        assert "urgent 0" in text_of(it)[1]
        it.focus()
        await pilot.pause()
        assert it.cursor == "urgent0"
        assert text_of(it)[1].startswith("▌urgent 0")


async def test_the_cursor_passes_over_headings_and_shows_the_one_above_the_first_row() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 4)) as pilot:
        it = app.query_one(Grid)
        it.focus()
        it.show(
            [
                Heading("h1", SafeText("Gates"), SafeText("1 of 2 allow")),
                *rows(2),
                Heading("h2", SafeText("Orders")),
                row("z", "open orders", "3"),
            ]
        )
        assert it.cursor == "k0"
        await pilot.press("down", "down")
        assert it.cursor == "z"
        await pilot.press("home")
        assert it.cursor == "k0"
        assert text_of(it)[1].startswith(" Gates  1 of 2 allow")


async def test_keys_reach_every_row_and_the_mark_shows_where() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 11)) as pilot:
        it = app.query_one(Grid)
        it.focus()
        it.show(rows(100))
        for keys, key, mark in (
            (("end",), "k99", 10),
            (("pageup",), "k90", 10),
            (("pageup",), "k81", None),
            (("home",), "k0", 1),
            (("pagedown", "pagedown"), "k18", None),
            (("up",), "k17", None),
        ):
            await pilot.press(*keys)
            assert it.cursor == key
            marks = [y for y, line in enumerate(text_of(it)) if line.endswith("┃")]
            assert len(marks) == 1
            assert mark is None or marks == [mark]


async def test_the_mouse_selects_and_a_double_click_chooses() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 6)) as pilot:
        it = app.query_one(Grid)
        it.show(rows(50))
        await pilot.click(it, offset=(3, 3))
        assert it.cursor == "k2"
        await pilot.click(it, offset=(3, 3), times=2)
        assert [heard.key for heard in app.heard if isinstance(heard, Grid.Chosen)] == ["k2"]


async def test_new_data_does_not_undo_a_scroll_by_mouse() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 6)) as pilot:
        it = app.query_one(Grid)
        it.show(rows(50))
        await pilot.pause()
        it.on_mouse_scroll_down(MouseScrollDown(it, 3, 3, 0, 1, 0, False, False, False))
        it.on_mouse_scroll_down(MouseScrollDown(it, 3, 3, 0, 1, 0, False, False, False))
        it.show(rows(50, "2"))
        await pilot.pause()
        assert text_of(it)[1].startswith(" name 6 ")
        it.focus()
        await pilot.press("down")
        assert it.cursor == "k1"
        assert text_of(it)[1].startswith("▌name 1 ")


async def test_only_lines_that_differ_are_painted_again() -> None:
    it = Watched((NAME, VALUE))
    it.painted = []
    app = Stage(it)
    async with app.run_test(size=(40, 20)) as pilot:
        it.show(rows(10))
        await pilot.pause()
        it.painted.clear()
        it.show(rows(10))
        await pilot.pause()
        assert it.painted == [], "equal rows, though other objects"
        changed = rows(10)
        changed[4] = row("k4", "name 4", "2")
        it.show(changed)
        await pilot.pause()
        assert it.painted == [5]
        it.painted.clear()
        it.focus()
        await pilot.press("down")
        assert set(it.painted) == {1, 2}


async def test_rows_out_of_view_cost_no_paint() -> None:
    it = Watched((NAME, VALUE))
    it.painted = []
    app = Stage(it)
    async with app.run_test(size=(40, 6)) as pilot:
        it.show(rows(200))
        await pilot.pause()
        it.painted.clear()
        it.show([*rows(100), *rows(200, "9")[100:]])
        await pilot.pause()
        assert it.painted == []


async def test_a_changed_cell_is_marked_and_no_column_moves() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 5)) as pilot:
        it = app.query_one(Grid)
        it.show([row("a", "gateway", "12"), row("b", "redis", "13")])
        await pilot.pause()
        before = text_of(it)
        it.show(
            [
                Row("a", (Cell(SafeText("gateway")), Cell(SafeText("12"), is_changed=True))),
                row("b", "redis", "13"),
            ]
        )
        await pilot.pause()
        after = text_of(it)
        assert after[1] == before[1].replace("gateway       ", "gateway      •")
        assert after[2] == before[2]


async def test_wide_letters_move_no_column() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 9)) as pilot:
        it = app.query_one(Grid)
        texts = [
            "plain",
            "漢字漢字漢字漢字",
            "e\u0301\u0301\u0301x",
            "👍🏽 ok",
            "🇩🇪 de",
            "x\ufe0f",
            "\u0301start",
        ]
        it.show([row(text, text, "7") for text in texts])
        await pilot.pause()
        for strip in strips(it)[1 : 1 + len(texts)]:
            before, _, after = strip.text.partition("7")
            assert cell_len(before) == 1 + 12 + 2 + 7
            assert cell_len(before) + 1 + cell_len(after) == 40


async def test_badges_hug_their_text_and_stand_where_other_texts_stand() -> None:
    app = Stage(Grid((NAME, Column("level", SafeText("LEVEL"), 10))))
    async with app.run_test(size=(40, 5)) as pilot:
        it = app.query_one(Grid)
        it.show(
            [
                Row("a", (Cell(SafeText("kill")), Cell(SafeText("CRIT"), "badge-bad"))),
                row("b", "drawdown", "ok"),
            ]
        )
        await pilot.pause()
        bad, fine = text_of(it)[1:3]
        assert bad.index("CRIT") == fine.index("ok")
        fills = [segment.text for segment in strips(it)[1] if segment.style and segment.style.bold]
        assert fills == [" CRIT "]


async def test_two_rows_with_one_key_are_refused() -> None:
    app = Stage(grid())
    async with app.run_test(size=(40, 5)):
        it = app.query_one(Grid)
        it.show(rows(2))
        try:
            it.show([row("a", "one", "1"), row("a", "two", "2")])
        except ValueError as error:
            assert "same key" in str(error)
        else:
            raise AssertionError("an action must have one target")


async def test_it_lives_through_any_size() -> None:
    app = Stage(grid())
    async with app.run_test(size=(80, 24)) as pilot:
        it = app.query_one(Grid)
        it.show(rows(30))
        for size in ((1, 1), (2, 2), (5, 3), (500, 200), (20, 5)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            drawn = strips(it)
            assert len(drawn) == it.size.height
            assert {strip.cell_length for strip in drawn} <= {it.size.width}
