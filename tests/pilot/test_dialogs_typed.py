"""What moves the market, loses something or restores is typed: nothing pressed, pasted or clicked does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from textual import events

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.reading import Outcome
from tests.clock import FakeClock
from tests.id_token import id_token
from tests.pilot import platform
from tests.pilot.rooms import Scene, make_room, opened
from tui.app import ControlRoom
from tui.dialogs.ask_screen import AskScreen
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.stage import Stage
from tui.screens.main import MainScreen
from tui.screens.procedures import ProcedureScreen
from widgets.grid import Grid

NINE = ("Class", "Effect", "State now", "Targets", "Steps", "Proof", "Know that", "Undo", "If it fails")
"""The title has action and environment."""

LOOKED_AT = (
    "halt", "cancel-all", "cancel-one", "flatten-all", "flatten-symbol", "flatten-mfa", "shutdown",
    "recover-safety", "restart", "breaker-reset", "resume",
)  # fmt: skip
"""Of each class; that all others fit too is shown without a screen, in test_presenters_dialogs."""

SIGNED_IN = FakeClock().now().wall - 12
TOKEN = id_token({"auth_time": SIGNED_IN})
CHOICES = {
    "cancel-one": ("ac6b2161aedb5a17",),
    "flatten-symbol": ("NVDA",),
    "flatten-mfa": (TOKEN,),
    "restart": ("signal_service",),
    "paper-run-own": ("MSFT", "50000"),
    "free-port": ("uvicorn",),
}


def room(scene: str = "halted") -> ControlRoom:
    return make_room(getattr(platform, scene), stack=platform.STACK)


async def fill(scene: Scene, *lines: str) -> None:
    """Type these lines, each followed by Enter; the keyboard stands on the button behind them then."""
    await scene.press("tab")
    for text in lines:
        await scene.type(text)
        await scene.press("enter")


@pytest.mark.parametrize("scene", ["halted", "trading", "unread"])
async def test_each_class_says_everything_at_80x24_without_scrolling(scene: str) -> None:
    async with opened(room(scene)) as it:
        for procedure in (platform.STACK.procedures[name] for name in LOOKED_AT):
            choices = CHOICES.get(procedure.id, ())
            await it.choose(procedure.id, *choices)
            text = it.text()
            assert [label for label in NINE if f"{label} " not in text] == [], text
            assert "┃" not in text, f"{procedure.id} has to be scrolled"
            assert f"DEMO · {procedure.title[:30]}" in text
            assert ("Beware" in text) is bool(procedure.warnings)
            assert ("Checks" in text) is bool(procedure.requires)
            assert "never drilled here" in text
            for number in range(1, len(procedure.steps) + 1):
                assert f"{number}. " in text, text
            await it.press("escape")
        assert it.engine.submitted == []


@pytest.mark.parametrize("name", ["flatten-all", "recover-safety", "resume", "breaker-reset"])
async def test_enter_alone_confirms_nothing_however_often(name: str) -> None:
    async with opened(room()) as it:
        await it.choose(name)
        await it.press(*["enter"] * 10)
        assert it.engine.submitted == []
        assert not [event for event, *_ in it.engine.recorded if event == "refused"]


async def test_what_is_typed_ahead_goes_nowhere() -> None:
    async with opened(room()) as it:
        await it.press("e")
        it.app.screen.query_one("#procedures", Grid).select("recover-safety")
        await it.pilot.press("enter", "tab", *"trading", "enter", "enter")
        await it.settle()
        assert it.engine.submitted == []
        assert it.dialog.stage is Stage.QUESTION


async def test_flattening_takes_the_number_that_is_live_now_and_a_reason() -> None:
    async with opened(room()) as it:
        await it.choose("flatten-all")
        await fill(it, "4", "news on the wire")
        await it.press("enter")
        assert it.engine.submitted == []
        assert "Open positions reads 3 now; 4 was typed" in it.text()
        assert it.engine.recorded[-1][0] == "refused"
        await it.type("3")
        await it.press("enter", "enter", "enter")
        (intent,) = it.engine.submitted
        assert (intent.procedure, intent.challenge, intent.phrase) == ("flatten-all", "3", None)
        assert str(intent.reason) == "news on the wire"
        assert intent.plan is not None


async def test_the_number_typed_is_held_against_the_one_of_this_moment() -> None:
    async with opened(room()) as it:
        await it.choose("flatten-all")
        await fill(it, "3", "news on the wire")
        await it.put(platform.board(it.clock.now(), {**platform.HALTED, "positions.open": 2}))
        await it.press("enter")
        assert it.engine.submitted == []
        assert "Open positions reads 2 now" in it.text()


TRIPPED = {**platform.HALTED, "breaker.state": "TRIPPED", "breaker.reason": "data gap"}


@asynccontextmanager
async def resetting() -> AsyncIterator[Scene]:
    """The reset of a breaker that tripped for a data gap, with everything typed."""
    async with opened(make_room(lambda now: platform.board(now, TRIPPED), stack=platform.STACK)) as it:
        it.engine.held_seconds = 40.0
        await it.choose("breaker-reset")
        await fill(it, "RESET BREAKER trading-platform", "the cause was found")
        yield it


async def test_what_was_typed_counts_for_nothing_once_what_is_read_is_another_thing() -> None:
    """A trip for another cause while the answer to the first one stands there: nobody has read that."""
    async with resetting() as it:
        assert "Everything is as it must be" in it.text()
        await it.put(platform.board(it.clock.now(), {**TRIPPED, "breaker.reason": "daily loss limit"}))
        assert "has changed since it was typed" in it.text()
        await it.press("enter")
        assert it.engine.submitted == []
        assert "was not typed exactly" in it.text()
        await it.type("RESET BREAKER trading-platform")
        await it.press("enter", "enter", "enter")
        (intent,) = it.engine.submitted
        assert intent.shown["cause"] == "daily loss limit"


async def test_the_same_number_of_other_positions_is_typed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(room()) as it:
        await it.choose("flatten-all")
        await fill(it, "3", "news on the wire")
        others = (("symbol", "qty"), (("AAPL", "100"), ("NVDA", "-20"), ("GME", "5000")))
        monkeypatch.setitem(platform.TABLES, "positions.list", others)
        await it.put(platform.board(it.clock.now(), platform.HALTED))
        await it.press("enter")
        assert it.engine.submitted == []


async def test_what_could_not_be_read_for_a_moment_is_not_typed_anew() -> None:
    async with resetting() as it:
        seen = platform.board(it.clock.now(), TRIPPED)
        unread = replace(seen.readings["breaker.reason"], outcome=Outcome.FAILED, value=None)
        await it.put(replace(seen, readings={**seen.readings, unread.key: unread}))
        assert "has changed since it was typed" not in it.text()
        await it.put(platform.board(it.clock.now(), TRIPPED))
        await it.press("enter")
        (intent,) = it.engine.submitted
        assert intent.phrase == "RESET BREAKER trading-platform"


async def test_pasted_text_is_not_typed_text() -> None:
    async with opened(room()) as it:
        await it.choose("recover-safety")
        await it.press("tab")
        it.app.post_message(events.Paste("trading-platform"))
        await it.settle()
        await it.press("enter", "enter")
        assert it.engine.submitted == []
        assert "trading-platform was not typed exactly" in it.text()


@pytest.mark.parametrize("typed", ["Trading-Platform", "trading-platfor", "trading-platform2", "signal"])
async def test_what_loses_something_wants_the_exact_name(typed: str) -> None:
    async with opened(room()) as it:
        await it.choose("recover-safety")
        await fill(it, typed)
        await it.press("enter")
        assert it.engine.submitted == []
        assert "was not typed exactly" in it.text()


async def test_a_restart_is_confirmed_by_the_name_of_its_service() -> None:
    async with opened(room("trading")) as it:
        await it.choose("restart", "signal_service")
        assert "Chosen         Service signal_service" in it.text()
        await fill(it, "signal_service")
        await it.press("enter")
        (intent,) = it.engine.submitted
        assert (intent.procedure, intent.params, intent.phrase) == (
            "restart", {"service": "signal_service"}, "signal_service",
        )  # fmt: skip


async def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_submitted() -> None:
    async with opened(room("trading")) as it:
        await it.choose("breaker-reset")
        assert "AGAINST IT: Trading is not halted" in it.text()
        await fill(it, "RESET BREAKER trading-platform", "the cause was found")
        await it.press("enter")
        assert it.engine.submitted == []
        assert it.text().count("Trading is not halted: a reset alone would let") == 2


async def test_the_minimum_halt_is_counted_down() -> None:
    app = make_room(
        lambda now: platform.board(now, {**platform.HALTED, "kill.at": now.wall - 23}), stack=platform.STACK
    )
    async with opened(app, (120, 60)) as it:
        await it.choose("resume")
        words = " ".join(it.text().replace("│", " ").split())
        assert "AGAINST IT, 37 s to go: The halt is not surely 60 s old. Find its cause first" in words
        assert "(reads 23 s ago)" in words


async def test_a_halt_that_no_room_has_watched_is_counted_down_from_the_first_look() -> None:
    """Old by the clock alone, which is how it looks to the first room on a host."""

    def look(now: Instant) -> Board:
        board = platform.board(now, platform.HALTED)
        known = replace(board.readings["kill.at"], past_at_least=10.0)
        return replace(board, readings={**board.readings, known.key: known})

    async with opened(make_room(look, stack=platform.STACK), (120, 60)) as it:
        await it.choose("resume")
        words = " ".join(it.text().replace("│", " ").split())
        assert "AGAINST IT, 50 s to go: The halt is not surely 60 s old." in words
        assert "(this room has watched it for only 10 of 60 s; its own time, " in words
        assert "s ago, can be set: wait 50 s)" in words


async def test_everything_must_have_held_for_a_while() -> None:
    async with opened(room()) as it:
        it.engine.held_seconds = 12.0
        await it.choose("resume")
        assert "21 of 21 hold, for 12 of 30 s: 18 s to go" in it.text()
        it.engine.held_seconds = 31.0
        await it.pass_time(0.1)
        assert "21 of 21 hold, for 30 s and more" in it.text()


async def test_what_is_chosen_from_the_list_rests_on_values_read_now_and_a_stop_waits_for_none() -> None:
    async with opened(room()) as it:
        await it.choose("breaker-trip")
        assert it.engine.refreshed == []
        await it.press("escape")
        await it.choose("recover-safety")
        assert it.engine.refreshed == ["trading-platform"]


async def test_thirty_seconds_without_a_key_close_it_and_what_was_typed_is_gone() -> None:
    async with opened(room()) as it:
        await it.choose("recover-safety")
        await fill(it, "trading-plat")
        await it.pass_time(29)
        assert it.dialog.stage is Stage.QUESTION
        await it.pass_time(1.1)
        await it.until(lambda: isinstance(it.app.screen, ProcedureScreen))
        assert it.engine.recorded[-1][:3] == ("abandoned", "trading-platform", "recover-safety")


async def test_the_halt_key_comes_before_every_other_question() -> None:
    async with opened(room()) as it:
        await it.choose("resume")
        await it.press("tab", "R")
        await it.open_dialog()
        assert it.dialog.procedure.id == "halt"
        assert ("abandoned", "trading-platform", "resume") in [each[:3] for each in it.engine.recorded]
        await it.press("h")
        assert [intent.procedure for intent in it.engine.submitted] == ["halt"]


async def test_it_is_usable_in_a_terminal_too_small_for_the_room() -> None:
    async with opened(room("trading"), (60, 16)) as it:
        await it.press("e")
        await it.choose("restart", "signal_service")
        assert "Type exactly" in it.text()
        await fill(it, "signal_service")
        await it.press("enter")
        assert len(it.engine.submitted) == 1


async def test_the_mouse_confirms_nothing_wherever_it_clicks() -> None:
    async with opened(room("trading")) as it:
        await it.choose("restart", "signal_service")
        await fill(it, "signal_service")
        for y in range(24):
            for x in (3, 12, 20, 30):
                await it.pilot.click(offset=(x, y))
        assert it.engine.submitted == []
        assert it.dialog.stage is Stage.QUESTION


async def test_a_secret_is_masked_and_not_kept() -> None:
    async with opened(room()) as it:
        await it.press("e")
        it.app.screen.query_one("#procedures", Grid).select("flatten-mfa")
        await it.press("enter")
        asking = it.app.screen
        assert isinstance(asking, AskScreen)
        await it.until(lambda: asking.is_listening)
        await it.type(TOKEN)
        assert "****" in it.text()
        assert TOKEN[:12] not in it.text()
        await it.press("enter")
        await it.until(lambda: it.dialog.is_listening)
        assert TOKEN[:12] not in it.text()
        await fill(it, "3", "news on the wire")
        await it.press("enter")
        (intent,) = it.engine.submitted
        assert intent.params["id_token"] == TOKEN
        assert TOKEN not in repr(vars(it.dialog)) + repr(vars(asking)) + repr(vars(asking._form))


async def test_an_old_sign_in_is_not_even_taken() -> None:
    async with opened(room()) as it:
        await it.press("e")
        it.app.screen.query_one("#procedures", Grid).select("flatten-mfa")
        await it.press("enter")
        asking = it.app.screen
        assert isinstance(asking, AskScreen)
        await it.until(lambda: asking.is_listening)
        await it.type(id_token({"auth_time": SIGNED_IN - 60}))
        await it.press("enter")
        await it.until(lambda: "its sign-in is 72 s old, and 55 s count" in it.text())
        assert it.app.screen is asking


async def test_how_old_the_sign_in_is_stands_in_the_dialog_and_keeps_it_back_when_it_has_grown_old() -> None:
    async with opened(room(), (120, 40)) as it:
        await it.choose("flatten-mfa", TOKEN)
        assert "ID token with MFA of a sign-in 12 s ago (55 s count)" in it.text()
        await fill(it, "3")
        await it.pass_time(25)
        assert "of a sign-in 37 s ago" in it.text()
        await it.type("news on the wire")
        await it.pass_time(20)
        assert "of a sign-in 57 s ago" in it.text()
        await it.press("enter", "enter")
        assert "its sign-in is 57 s old" in it.text()
        assert it.engine.submitted == []


async def test_a_list_that_cannot_be_read_keeps_no_stop_from_being_typed() -> None:
    async with opened(room("unread")) as it:
        await it.choose("cancel-one", "ac6b2161aedb5a17")
        assert isinstance(it.dialog, ProcedureDialog)
        await it.press("c")
        (intent,) = it.engine.submitted
        assert intent.params == {"order": "ac6b2161aedb5a17"}


async def test_a_stack_with_one_operator_says_so_and_asks_nobody() -> None:
    alone = replace(platform.STACK, is_single_operator=True)
    it = make_room(lambda now: platform.board(now, platform.HALTED, alone), stack=alone)
    async with opened(it) as scene:
        scene.engine.held_seconds = 40.0
        await scene.choose("resume")
        assert "SINGLE-OPERATOR MODE" in scene.text()
        await fill(scene, "RESUME trading-platform", "the cause was found")
        await scene.press("enter")
        assert [intent.procedure for intent in scene.engine.submitted] == ["resume"]
        assert not isinstance(scene.app.screen, MainScreen)
