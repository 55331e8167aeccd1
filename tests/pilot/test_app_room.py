"""The main screen under an operator's hands."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from textual import events
from textual.command import CommandPalette
from textual.message import Message
from textual.messages import Update

from backends.engine import Mode
from backends.model.logline import LogLevel
from backends.model.procedure import RiskClass, Verdict
from tests.pilot import scenes, world
from tests.pilot.rooms import make_room, opened
from tui.actions import ACTIONS
from tui.said import SAID_FOR
from tui.screens.main import PANES


async def test_the_four_panes_are_there_at_80x24_with_the_kill_key() -> None:
    async with opened(make_room()) as room:
        text = room.text()
        for title in ("1 Containers  13", "2 Risk keys  12", "3 Alerts  none", "4 Logs  following"):
            assert title in text
        assert "TRADING" in text
        assert "F9  HALT" in text


async def test_a_pane_that_takes_the_keyboard_is_painted_with_the_next_frame() -> None:
    async with opened(make_room()) as room:
        told: list[str | None] = []
        screen = room.app.room
        tell = screen.post_message

        def post(message: Message) -> bool:
            if isinstance(message, Update):
                told.append(message.widget.id)
            return tell(message)

        screen.post_message = post  # type: ignore[method-assign]  # this one screen's
        screen.set_focus(screen.pane("facts"))
        assert sorted(filter(None, told)) == ["containers-pane", "facts-pane"], "before anything else runs"


async def test_every_failure_is_a_word_and_nothing_is_blank_or_zero() -> None:
    async with opened(make_room("failed"), (120, 40)) as room:
        text = room.text()
        for words in (
            "UNHEALTHY",
            "OOM 137",
            "ABSENT",
            "STALE 31s",
            "was ACTIVE",
            "FAILED 12s",
            "3/5 sources",
        ):
            assert words in text
        assert "open orders        was 14" in text


async def test_before_the_first_answer_nothing_looks_good() -> None:
    async with opened(make_room("never"), (200, 60)) as room:
        text = room.text()
        assert "UNKNOWN" in text
        assert "not known yet: 5 of 5 sources have not answered" in text
        for word in ("healthy", "allowed", "no alarm", "TRADING "):
            assert word not in text


async def test_values_age_when_the_engine_has_stopped() -> None:
    async with opened(make_room()) as room:
        assert "► TRADING" in room.text()
        await room.pass_time(4)
        assert "? UNKNOWN" in room.text()
        assert "it was TRADING" in room.text()
        await room.pass_time(10)
        assert "NOT OBSERVING for 14s" in room.text()


async def test_tab_and_numbers_go_through_the_panes_in_their_order() -> None:
    async with opened(make_room()) as room:
        seen = []
        for _ in PANES:
            seen.append(room.app.room.current)
            await room.press("tab")
        assert tuple(seen) == PANES
        await room.press("shift+tab")
        assert room.app.room.current == "logs"
        for number, name in enumerate(PANES, 1):
            await room.press(str(number))
            assert room.app.room.current == name


async def test_zoom_shows_one_pane_with_all_its_columns_and_goes_back() -> None:
    async with opened(make_room(), (120, 30)) as room:
        await room.press("1", "z")
        await room.settle()
        text = room.text()
        assert "OF LIMIT" in text
        assert "2 Risk keys" not in text
        await room.press("2")
        await room.settle()
        assert "2 Risk keys" in room.text()
        assert "1 Containers" not in room.text()
        await room.press("escape")
        await room.settle()
        assert "1 Containers" in room.text()


async def test_containers_are_sorted_as_asked_and_the_cursor_stays_on_its_container() -> None:
    async with opened(make_room("failed"), (120, 40)) as room:
        before = room.app.room.selected()
        assert before == "service:execution_gateway"
        await room.press("n")
        await room.settle()
        assert "by name" in room.text()
        assert room.app.room.selected() == before
        await room.press("m")
        await room.settle()
        lines = [line for line in room.text().splitlines() if "signal_serv" in line or "execution_g" in line]
        assert "signal_serv" in lines[0]


async def test_pause_holds_the_log_and_counts_what_comes() -> None:
    async with opened(make_room(), (120, 40)) as room:
        log = room.engine._logs
        for number in range(50):
            log.say(f"line {number}")
        room.app.room.log_pane.look()
        await room.press("space")
        for _ in range(7):
            log.say("unseen")
        room.app.room.log_pane.look()
        await room.settle()
        assert "PAUSED, 7 new below" in room.text()
        assert "unseen" not in room.text()
        await room.press("space")
        await room.settle()
        assert "unseen" in room.text()


async def test_the_log_filter_works_while_it_is_typed_and_names_what_it_hides() -> None:
    async with opened(make_room(), (120, 40)) as room:
        for number in range(20):
            room.engine._logs.say(f"order {number} {'filled' if number % 4 == 0 else 'open'}")
        await room.press("slash", *"filled")
        await room.settle()
        assert "filter 'filled', 15 hidden" in room.text()
        assert "order 1 open" not in room.text()
        await room.press("enter")
        assert room.app.room.current == "logs"
        await room.press("escape")
        await room.settle()
        assert "filter" not in room.text().split("4 Logs")[1].split("\n")[0]


async def test_the_level_floor_goes_round() -> None:
    async with opened(make_room(), (120, 40)) as room:
        room.engine._logs.say("small talk", level=LogLevel.DEBUG)
        room.engine._logs.say("it broke", level=LogLevel.ERROR)
        for words in ("info and up, 1 hidden", "warning and up, 1 hidden", "error and up, 1 hidden"):
            await room.press("l")
            await room.settle()
            assert words in room.text()
        await room.press("l")
        await room.settle()
        assert "hidden" not in room.text()


async def test_enter_tells_all_about_a_row_and_stays_live() -> None:
    async with opened(make_room("failed"), (120, 40)) as room:
        await room.press("2", "enter")
        await room.settle()
        text = room.text()
        for words in ("kill switch", "no answer in 0.5 s", "GET kill_switch:state", "ACTIVE is", "RB-14"):
            assert words in text
        await room.put(scenes.halted(room.clock.now()))
        assert "ENGAGED" in room.text()
        await room.press("escape")
        await room.press("3", "enter")
        await room.settle()
        assert "consequence" in room.text()


async def test_the_detail_of_a_container_that_vanished_says_so() -> None:
    async with opened(make_room("hostile"), (120, 40)) as room:
        await room.press("1", "home", "enter")
        await room.settle()
        assert "the stack file does not name it" in room.text()
        await room.put(world.fresh(room.clock.now()))
        assert "no longer in the project" in room.text()


async def test_help_lists_every_key_of_the_table() -> None:
    async with opened(make_room(is_demo=True), (120, 70)) as room:
        await room.press("question_mark")
        await room.settle()
        text = room.text()
        for it in ACTIONS:
            assert it.description[:40] in text, it.id


async def test_the_palette_runs_a_command_and_only_describes_the_emergency() -> None:
    async with opened(make_room(), (120, 40)) as room:
        await room.press("ctrl+p")
        await room.until(lambda: isinstance(room.app.screen, CommandPalette))
        await room.press(*"halt")
        await room.until(lambda: "HALT (press F9, then H)" in room.text())
        await room.press("enter")
        await room.settle()
        assert "press F9, then H" in room.text()
        assert room.engine.submitted == []
        await room.press("colon")
        await room.press(*"zoom")
        await room.until(lambda: "zoom (z)" in room.text())
        await room.press("enter")
        await room.settle()
        assert room.app.room.zoomed is not None


async def test_below_80x24_the_state_and_the_kill_key_are_still_there() -> None:
    async with opened(make_room(), (79, 23)) as room:
        assert "TOO SMALL 79x23" in room.text()
        assert "TRADING" in room.text()
        assert "F9" in room.text()
        await room.pilot.resize_terminal(80, 24)
        await room.settle()
        assert "1 Containers" in room.text()


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (80, 24), (81, 70), (250, 70), (500, 200)])
async def test_any_size_is_survived(size: tuple[int, int]) -> None:
    async with opened(make_room("hostile"), size) as room:
        await room.press("f9", "escape", "question_mark", "escape", "z")
        await room.settle()
        assert room.app.return_code is None


async def test_quit_asks_nothing_unless_a_procedure_runs() -> None:
    async with opened(make_room()) as room:
        room.engine.put_run(scenes.run(room.clock.now()))
        await room.press("q")
        await room.settle()
        assert room.app.return_code is None
        assert "goes on to its end" in room.text()
        await room.press("q")
        assert room.app.return_code == 0
    async with opened(make_room()) as room:
        await room.press("q")
        assert room.app.return_code == 0


async def test_a_palette_asked_for_while_the_room_is_left_is_no_fault_of_it() -> None:
    async with opened(make_room()) as room:
        for key in (events.Key("q", "q"), events.Key("colon", ":")):
            room.app.post_message(key)
        await room.pilot.pause()
        assert room.app.return_code == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"risk": RiskClass.RESTORE}, "sends nothing more once you leave"),
        ({"risk": RiskClass.RESTORE, "room": "lee on /dev/pts/9"}, "goes on to its end"),
        ({"risk": RiskClass.DEGRADE, "awaits": "told"}, "ends when you leave, for it waits for you"),
    ],
)
async def test_who_leaves_is_told_what_becomes_of_the_run(changes: dict[str, Any], says: str) -> None:
    async with opened(make_room(), (120, 40)) as room:
        room.engine.put_run(replace(scenes.run(room.clock.now()), **changes))
        await room.press("q")
        await room.settle()
        assert says in room.text()


async def test_neither_ctrl_c_nor_ctrl_q_leaves_by_reflex() -> None:
    async with opened(make_room()) as room:
        await room.press("ctrl+q", "ctrl+c")
        await room.settle()
        assert room.app.return_code is None
        assert "to leave press q" in room.text()


async def test_a_verdict_stays_in_its_line_until_somebody_takes_note() -> None:
    async with opened(make_room("halted"), (120, 40)) as room:
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.VERIFIED))
        await room.pass_time(3600)
        assert "VERIFIED" in room.text()
        await room.press("a")
        await room.settle()
        assert "VERIFIED" not in room.text()
        assert [event for event, *_ in room.engine.recorded] == ["noted"]


async def test_a_halt_that_is_undone_no_longer_looks_proved() -> None:
    async with opened(make_room("halted"), (120, 40)) as room:
        halted = scenes.run(room.clock.now(), Verdict.VERIFIED)
        room.engine.put_run(halted)
        await room.settle()
        assert "✓ VERIFIED  Halt trading at" in room.text()
        room.clock.advance(2)
        await room.put(replace(world.fresh(room.clock.now()), runs=(halted,)))
        await room.pass_time(1)
        assert "✓ VERIFIED" not in room.text()
        assert "NOT in force now  Halt trading was VERIFIED at" in room.text()
        await room.pass_time(60)
        assert "in force now: UNKNOWN  Halt trading was VERIFIED at" in room.text()


async def test_a_halt_that_was_released_by_a_resume_is_told_so_without_alarm() -> None:
    async with opened(make_room("halted"), (120, 40)) as room:
        halted = scenes.run(room.clock.now(), Verdict.VERIFIED)
        room.clock.advance(20)
        resumed = replace(
            halted, operation="op-2", procedure="resume", started=room.clock.now(), risk=RiskClass.RESTORE
        )
        room.app.desk.note(resumed)
        await room.put(replace(world.fresh(room.clock.now()), runs=(resumed, halted)))
        assert "released since  Halt trading was VERIFIED at" in room.text()


async def test_a_refusal_is_seen_before_a_standing_verdict_which_comes_back() -> None:
    async with opened(make_room("halted", mode=Mode.WATCH), (120, 40)) as room:
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.VERIFIED))
        await room.pass_time(1)
        await room.press("f9")
        await room.settle()
        assert "F9 HALT is not possible here" in room.text()
        await room.pass_time(SAID_FOR)
        assert "Halt trading was VERIFIED at" in room.text()


async def test_a_verdict_is_not_covered_by_what_was_said_before_it() -> None:
    async with opened(make_room("halted"), (120, 40)) as room:
        await room.press("r")
        room.clock.advance(1)
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.VERIFIED))
        await room.settle()
        assert "VERIFIED" in room.text()


async def test_watch_mode_says_so_on_every_screen() -> None:
    async with opened(make_room(mode=Mode.WATCH), (120, 40)) as room:
        assert "WATCH – READ ONLY" in room.text()
        assert "F9 HALT: not here" in room.text()
        await room.press("question_mark")
        await room.settle()
        assert "WATCH – READ ONLY" in room.text()


async def test_a_theme_changes_colours_and_never_words() -> None:
    async with opened(make_room("failed"), (120, 40)) as room:
        words = room.text()
        for name in ("light", "contrast", "mono"):
            room.app.theme = name
            await room.settle()
            assert room.text() == words
        await room.press("t")
        await room.settle()
        assert room.app.theme != "mono"
        assert f"theme {room.app.theme}" in room.text()


async def test_a_theme_that_does_not_exist_is_named() -> None:
    async with opened(make_room(theme="sepia")) as room:
        assert "there is no theme 'sepia'" in room.text()


async def test_r_asks_every_source_again() -> None:
    async with opened(make_room()) as room:
        await room.press("r")
        assert room.engine.refreshed == ["trading-platform"]


async def test_a_stack_without_a_halt_says_so_instead_of_a_dead_key() -> None:
    app = make_room()
    engine = app.engine
    async with opened(app) as room:
        app.stack = replace(engine.stacks[0], procedures={})
        await room.press("f9")
        await room.settle()
        assert "NO HALT PATH" in room.text()
        assert [event for event, *_ in room.engine.recorded] == ["no path"]
