"""Emergency actions have one way in: their own key. Not a click, a link, a command, a letter, or a habit."""

from __future__ import annotations

import re

import pytest
from textual.app import App

from backends.model.procedure import RiskClass
from tests.pilot.rooms import make_room, opened
from tests.pilot.world import STACK
from tui.actions import ACTIONS, EMERGENCIES, Action, Where, action, available
from tui.app import ControlRoom
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.emergency import DIALOGS
from tui.screens.main import MainScreen


@pytest.mark.parametrize("it", EMERGENCIES, ids=lambda it: it.id)
def test_an_emergency_key_is_a_function_key_and_its_confirm_key_is_another(it: Action) -> None:
    assert all(re.fullmatch(r"f\d+", key) for key in it.keys)
    assert it.confirm is not None
    assert it.confirm not in (*it.keys, "enter", "y", "space", "escape", "n")
    assert it.where is Where.EVERYWHERE
    assert it.risk in (RiskClass.STOP, RiskClass.MARKET, RiskClass.DEGRADE, RiskClass.RESTORE)


def test_no_key_means_two_things() -> None:
    keys = [key for it in ACTIONS for key in it.keys]
    assert sorted(keys) == sorted(set(keys))


def test_no_two_emergencies_share_a_confirm_key() -> None:
    confirms = [it.confirm for it in EMERGENCIES]
    assert len(confirms) == len(set(confirms))


@pytest.mark.parametrize("it", [it for it in ACTIONS if not it.is_emergency], ids=lambda it: it.id)
def test_every_action_of_the_table_is_there_where_the_table_says(it: Action) -> None:
    owner: type = MainScreen if it.is_view else ControlRoom
    assert f"action_{it.id}" in owner.__dict__
    assert it.risk is None


@pytest.mark.parametrize("it", EMERGENCIES, ids=lambda it: it.id)
def test_every_emergency_has_a_dialog_for_its_class_and_a_procedure_in_the_stack(it: Action) -> None:
    assert it.procedure in STACK.procedures
    assert STACK.procedures[it.procedure].risk is it.risk
    assert it.risk in DIALOGS


def test_no_screen_binds_an_emergency_key_or_anything_with_priority() -> None:
    emergency = {key for it in EMERGENCIES for key in it.keys}
    for owner in (MainScreen, ProcedureDialog, *_screens()):
        for binding in owner._merged_bindings.key_to_bindings if owner._merged_bindings else ():
            assert binding not in emergency, owner
    for bindings in MainScreen._merged_bindings.key_to_bindings.values():
        assert not any(binding.priority for binding in bindings)


def test_neither_quitting_nor_the_palette_came_along_from_the_toolkit() -> None:
    assert App.ENABLE_COMMAND_PALETTE
    assert not ControlRoom.ENABLE_COMMAND_PALETTE
    assert "ctrl+q" in App._merged_bindings.key_to_bindings
    assert "ctrl+q" not in ControlRoom._merged_bindings.key_to_bindings


def test_an_emergency_is_refused_by_the_way_commands_take() -> None:
    with pytest.raises(ValueError, match="by its key only"):
        make_room().do(action("halt"))


def test_in_watch_mode_the_key_is_kept_to_explain_itself() -> None:
    assert action("halt") in available(is_watch=True, is_demo=False)
    assert action("faults") not in available(is_watch=False, is_demo=False)
    assert action("faults") not in available(is_watch=True, is_demo=True)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_no_click_anywhere_on_hostile_text_opens_a_dialog(size: tuple[int, int]) -> None:
    async with opened(make_room("hostile"), size) as room:
        for line, text in enumerate(room.text().splitlines()):
            for found in re.finditer(r"@click|\[/\]|x52|F9|HALT", text):
                await room.pilot.click(offset=(found.start(), line))
                await room.pilot.click(offset=(found.start(), line), times=2)
                assert not isinstance(room.app.screen, ProcedureDialog)
                if room.app.screen is not room.app.room:
                    await room.press("escape")
        assert room.engine.submitted == []


async def test_the_palette_cannot_submit_whatever_is_chosen_in_it() -> None:
    async with opened(make_room()) as room:
        for name in ("halt", "HALT", "f9", "stop", "trading"):
            await room.press("ctrl+p", *name)
            await room.settle()
            await room.press("enter")
            await room.settle()
            while room.app.screen is not room.app.room:
                await room.press("escape")
                await room.settle()
        assert room.engine.submitted == []


async def test_the_key_works_from_every_screen_there_is() -> None:
    async with opened(make_room(is_demo=True), (100, 30)) as room:
        for way in ([], ["question_mark"], ["enter"], ["slash"], ["ctrl+p"], ["z"], ["x"]):
            await room.press(*way)
            await room.settle()
            await room.open_dialog()
            await room.press("escape")
            while room.app.screen is not room.app.room:
                await room.press("escape")
                await room.settle()
            await room.press("escape", "escape")
        assert room.engine.submitted == []


def _screens() -> list[type]:
    from tui.screens.faults import FaultScreen
    from tui.screens.text import TextScreen

    return [FaultScreen, TextScreen]
