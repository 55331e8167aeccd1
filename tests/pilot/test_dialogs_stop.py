"""The stop dialog: two keys and no third way, whatever is down; then the proof, or a loud absence of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual import events

from backends.engine import Mode
from backends.model.procedure import StepState, Verdict
from backends.model.trading import TradingState
from tests.pilot import scenes, world
from tests.pilot.rooms import make_room, opened
from tui.dialogs.procedure_dialog import NOTED, ProcedureDialog
from tui.dialogs.stage import Stage
from tui.presenters.progress import notice_line
from tui.screens.main import MainScreen

NINE_FIELDS = (
    "Halt trading",
    "STOP: two keys",
    "DEMO",
    "redis://127.0.0.1:6379/0  key kill_switch:state",
    "read 0.",
    "1. Engage the kill switch in Redis",
    "Open orders stay.",
    "by resume",
    "docker exec -it trading_platform_redis redis-cli",
)
"""Action, class, environment, targets, state with its age, steps, what it leaves, undo, fallback."""


@pytest.mark.parametrize("scene", ["fresh", "failed", "halted", "conflict", "hostile"])
async def test_all_nine_things_are_said_at_80x24_without_scrolling(scene: str) -> None:
    async with opened(make_room(scene)) as room:
        await room.open_dialog()
        text = room.text()
        assert [field for field in NINE_FIELDS if field not in text] == []
        assert "Open orders" in text
        assert "H  HALT TRADING" in text


async def test_two_keys_and_nothing_else_hand_over_one_intent() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        assert room.dialog.stage is Stage.RUNNING
        (intent,) = room.engine.submitted
        assert (intent.procedure, intent.stack, intent.via) == ("halt", "trading-platform", "screen")
        assert intent.seen == room.engine.board("trading-platform").seq
        assert intent.operator.user == "kim"
        await room.press("h", "h", "f9")
        assert len(room.engine.submitted) == 1


async def test_caps_lock_does_not_stand_in_the_way_of_a_stop() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("H")
        assert len(room.engine.submitted) == 1


@pytest.mark.parametrize("scene", ["never", "failed"])
async def test_it_opens_and_works_with_every_source_down(scene: str) -> None:
    async with opened(make_room(scene)) as room:
        await room.open_dialog()
        assert "UNKNOWN" in room.text()
        await room.press("h")
        assert len(room.engine.submitted) == 1


@pytest.mark.parametrize("size", [(20, 5), (79, 23), (40, 10)])
async def test_it_works_in_a_terminal_too_small_for_the_room(size: tuple[int, int]) -> None:
    async with opened(make_room(), size) as room:
        await room.open_dialog()
        text = room.text()
        assert "Halt" in text
        assert "TRADING" in text
        assert "H  " in text
        await room.press("h")
        assert len(room.engine.submitted) == 1


async def test_no_other_key_confirms_and_enter_least_of_all() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press(*["enter"] * 10, "y", "f9", "f10", "space", "tab", "ctrl+h", "question_mark", "q")
        assert room.engine.submitted == []
        assert room.dialog.stage is Stage.QUESTION


async def test_what_was_typed_ahead_confirms_nothing() -> None:
    async with opened(make_room()) as room:
        for key in ("f9", "h", "h"):  # stamped as read before any of them is handled
            room.app.post_message(events.Key(key, key[:1]))
        await room.until(lambda: isinstance(room.app.screen, ProcedureDialog) and room.dialog._arming.is_seen)
        assert room.engine.submitted == []
        just_too_early = events.Key("h", "h")
        just_too_early.time = (room.dialog._arming._seen_at or 0.0) + 0.249
        room.dialog.take_key(just_too_early)
        assert room.engine.submitted == []
        assert room.dialog.stage is Stage.QUESTION


async def test_a_key_that_waited_in_the_queue_is_judged_by_when_it_was_read() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        early, timely = events.Key("h", "h"), events.Key("h", "h")
        early.time = (room.dialog._arming._seen_at or 0.0) + 0.2
        room.dialog.post_message(early)
        await room.settle()
        assert room.engine.submitted == []
        room.dialog.post_message(timely)
        await room.settle()
        assert len(room.engine.submitted) == 1


@pytest.mark.parametrize("key", ["d", "D"])
async def test_d_shows_every_word_and_confirms_nothing_also_as_it_is_written(key: str) -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        assert "operator" not in room.text()
        await room.press(key, "end")
        assert '-d \'{"reason": "manual", "operator": "NAME"}\'' in room.text()
        assert room.engine.submitted == []


async def test_pasted_text_confirms_nothing() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        room.app.post_message(events.Paste("h\nhalt\nhh"))
        await room.settle()
        assert room.engine.submitted == []


async def test_the_mouse_confirms_nothing_wherever_it_clicks() -> None:
    async with opened(make_room("hostile")) as room:
        await room.open_dialog()
        for y in range(24):
            for x in (3, 5, 20, 40, 60):
                await room.pilot.click(offset=(x, y))
        assert room.engine.submitted == []
        assert room.dialog.stage is Stage.QUESTION


async def test_a_step_that_was_not_needed_says_by_what_it_was_proved() -> None:
    async with opened(make_room(), (120, 40)) as room:
        await room.open_dialog()
        await room.press("h")
        states = (StepState.VERIFIED, StepState.SKIPPED)
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.VERIFIED, states=states))
        await room.settle()
        assert "Engage it through the orchestrator  not needed: proved already by step 1" in room.text()


async def test_escape_leaves_things_as_they_are_and_the_journal_knows() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("escape")
        await room.settle()
        assert isinstance(room.app.screen, MainScreen)
        assert room.engine.recorded[0][:3] == ("cancelled", "trading-platform", "halt")
        assert room.engine.submitted == []


async def test_the_key_pressed_twice_before_it_is_drawn_makes_one_dialog() -> None:
    async with opened(make_room()) as room:
        room.app.action_emergency("halt")
        room.app.action_emergency("halt")
        await room.settle()
        assert len([it for it in room.app.screen_stack if isinstance(it, ProcedureDialog)]) == 1
        assert [event for event, *_ in room.engine.recorded] == ["pressed again"]


async def test_every_press_of_the_key_is_on_record_and_there_is_one_execution() -> None:
    async with opened(make_room()) as room:
        room.app.action_emergency("halt")
        room.app.action_emergency("halt")
        await room.settle()
        await room.until(lambda: room.dialog.is_listening)
        await room.press("f9", "f9", "h", "f9")
        assert len(room.engine.submitted) == 1
        assert [(event, detail) for event, _, _, detail in room.engine.recorded] == [
            ("pressed again", f"key pressed again while {what}, {number} in all")
            for number, what in enumerate([*["its dialog was open"] * 3, "its run was under way"], 1)
        ]


async def test_a_key_that_is_stuck_fills_no_journal() -> None:
    async with opened(make_room()) as room:
        dialog = await room.open_dialog()
        for _ in range(3 * NOTED):
            dialog.pressed_again()
        assert len(room.engine.recorded) == NOTED
        assert "further presses are not noted" in room.engine.recorded[-1][3]


async def test_it_opens_over_help_and_over_the_filter_being_typed() -> None:
    async with opened(make_room()) as room:
        await room.press("question_mark")
        await room.open_dialog()
        await room.press("escape", "escape", "slash", "h", "i")
        await room.open_dialog()
        await room.press("h")
        assert len(room.engine.submitted) == 1


async def test_nothing_opens_over_it_and_no_key_of_the_room_works_under_it() -> None:
    async with opened(make_room()) as room:
        dialog = await room.open_dialog()
        await room.press("ctrl+p", "colon", "question_mark", "f1", "x", "slash", "z", "t", "q", "r")
        await room.settle()
        assert room.app.screen is dialog
        assert room.app.return_code is None
        assert room.engine.refreshed == []


async def test_the_state_in_it_is_live_and_says_when_it_changed() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.put(scenes.halted(room.clock.now()))
        assert "HALTED" in room.text()
        assert "it was TRADING when this was opened" in room.text()


async def test_progress_is_shown_step_by_step_and_closing_it_cancels_nothing() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        room.engine.put_run(scenes.run(room.clock.now(), states=(StepState.SENT, StepState.PENDING)))
        await room.settle()
        assert "sent" in room.text()
        await room.press("escape")
        await room.settle()
        assert "RUNNING" in room.text()
        await room.press("f9")
        await room.settle()
        assert room.dialog.stage is Stage.RUNNING
        assert len(room.engine.submitted) == 1
        assert "attached" in [event for event, *_ in room.engine.recorded]


async def test_a_proved_halt_says_by_what_and_its_line_stays_until_noted() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        states = (StepState.VERIFIED, StepState.SKIPPED)
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.VERIFIED, states=states))
        await room.settle()
        text = room.text()
        assert "VERIFIED" in text
        assert "reads ENGAGED on a second connection" in text
        assert "Open orders stay." in text
        await room.press("escape")
        await room.settle()
        assert "VERIFIED" in room.text()
        await room.press("a")
        await room.settle()
        assert "VERIFIED" not in room.text()


async def test_a_halt_that_is_only_written_is_amber_wherever_it_stands_and_says_what_was_not_heard() -> None:
    async with opened(make_room()) as room:
        await room.open_dialog()
        await room.press("h")
        states = (StepState.VERIFIED, StepState.SKIPPED)
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.WRITTEN, states=states))
        await room.settle()
        assert "WRITTEN, NOT CONFIRMED" in room.text()
        assert "But Orchestrator could not be read" in room.text()
        assert "NOT STOPPED" not in room.text()
        await room.press("escape")
        await room.settle()
        assert "WRITTEN, NOT CONFIRMED" in room.text()
        badge = notice_line(scenes.run(room.clock.now(), Verdict.WRITTEN), 100)[0]
        assert (str(badge.text).strip(), badge.role) == ("▲ WRITTEN, NOT CONFIRMED", "badge-warn")


async def test_a_run_that_began_while_the_question_stood_is_the_one_that_is_followed() -> None:
    """The room puts a lost halt back by itself; whoever confirms meanwhile is attached to that."""
    async with opened(make_room()) as room:
        await room.open_dialog()
        others = replace(scenes.run(room.clock.now()), operation="the-rooms-own")
        room.engine.put_run(others)
        await room.press("h")
        await room.pass_time(6)
        assert room.dialog.stage is Stage.RUNNING
        room.engine.put_run(replace(others, verdict=Verdict.VERIFIED, ended=room.clock.now()))
        await room.settle()
        assert room.dialog.stage is Stage.PROVED


async def test_an_already_halted_stack_can_be_halted_again() -> None:
    async with opened(make_room("halted")) as room:
        await room.open_dialog()
        await room.press("h")
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.ALREADY))
        await room.settle()
        assert room.dialog.stage is Stage.PROVED
        assert "ALREADY" in room.text()


async def test_in_watch_mode_the_key_says_why_not_and_is_journalled() -> None:
    async with opened(make_room(mode=Mode.WATCH)) as room:
        await room.press("f9", "f9", "h")
        await room.settle()
        assert isinstance(room.app.screen, MainScreen)
        assert "WATCH – READ ONLY: F9 HALT is not possible here" in room.text()
        assert room.engine.submitted == []
        assert [event for event, *_ in room.engine.recorded] == ["refused"]
        await room.pass_time(2)
        await room.press("f9")
        assert len(room.engine.recorded) == 2


async def test_a_conflict_is_shown_as_one() -> None:
    async with opened(make_room("conflict")) as room:
        await room.open_dialog()
        assert TradingState.CONFLICT.value in room.text()


async def test_open_orders_that_cannot_be_read_are_unknown_and_not_none() -> None:
    async with opened(make_room("failed")) as room:
        await room.open_dialog()
        assert "Open orders    UNKNOWN: FAILED 12s, connection refused; was 14 12s ago" in room.text()
    async with opened(make_room()) as room:
        await room.open_dialog()
        assert "Open orders    14, read 0.3s ago" in room.text()
    board = world.fresh
    async with opened(make_room(lambda now: replace(board(now), readings={}))) as room:
        await room.open_dialog()
        assert "Open orders    UNKNOWN: NEVER read" in room.text()


async def test_a_proof_that_stays_open_no_longer_looks_proved_once_the_halt_is_undone() -> None:
    async with opened(make_room("halted")) as room:
        halted = scenes.run(room.clock.now(), Verdict.VERIFIED)
        room.engine.put_run(halted)
        await room.press("p")
        await room.settle()
        assert room.dialog.stage is Stage.PROVED
        assert "✓ VERIFIED" in room.text()
        room.clock.advance(2)
        await room.put(replace(world.fresh(room.clock.now()), runs=(halted,)))
        assert "NOT in force now  Halt trading was VERIFIED" in room.text()
        assert "✓ VERIFIED" not in room.text()
