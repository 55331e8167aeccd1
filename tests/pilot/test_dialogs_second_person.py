"""A second person's consent on the screen: asked for, waited for, used once; and nothing without it."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.journal.identity import identify, told
from backends.procedures.approval import ApprovalBook
from tests.pilot import platform
from tests.pilot.rooms import Scene, make_room, opened
from tui.dialogs.stage import Stage
from tui.dialogs.typed_dialog import TypedDialog
from tui.screens.procedures import ProcedureScreen

EMPTIED = replace(
    platform.STACK,
    procedures={
        name: replace(each, requires=()) if name == "compose-down-volumes" else each
        for name, each in platform.STACK.procedures.items()
    },
)
"""With nothing demanded before its volumes are removed."""
SECOND = identify()
COMMAND = re.compile(r"controlroom approve ([0-9a-f]{8}) --stack trading-platform ")
"""What the other person types, with the code of the request."""
BY = told(SECOND.user, SECOND.login, is_shared=SECOND.is_shared)


@asynccontextmanager
async def asking(folder: Path, phrase: str = "RESUME trading-platform") -> AsyncIterator[Scene]:
    """A resume whose phrase and reason are typed, with the keyboard on the second person's line."""
    async with opened(make_room(platform.halted, stack=platform.STACK)) as it:
        it.engine.approval_folder = folder
        it.engine.held_seconds = 40.0
        await it.choose("resume")
        await it.press("tab")
        for text in (phrase, "the cause was found"):
            await it.type(text)
            await it.press("enter")
        yield it


async def ask(it: Scene) -> str:
    """Press Enter there and wait for the code."""
    await it.press("enter")
    await it.until(lambda: COMMAND.search(it.text()) is not None)
    return COMMAND.findall(it.text())[0]


async def look(it: Scene, words: str) -> None:
    """Let the room look at the request again until it says so."""

    def is_said() -> bool:
        it.app.redraw()  # which is when it looks
        return words in it.text()

    await it.until(is_said)


async def test_the_command_is_shown_and_the_consent_goes_with_the_intent(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        code = await ask(it)
        await it.press("tab", "enter")
        assert it.engine.submitted == []
        assert f"nobody has approved {code} yet" in it.text()
        (request,) = it.engine.approvals().pending()
        assert (request.procedure, request.reason) == ("resume", "the cause was found")
        it.engine.approvals().approve(code, SECOND)
        await look(it, "Everything is as it must be")
        assert f"approved by {BY}; good for" in it.text()
        await it.press("enter")
        (intent,) = it.engine.submitted
        assert (intent.approval, intent.plan) == (code, request.plan)
        assert it.engine.approvals().approver(code, intent, intent.plan or "") == BY


async def test_nobody_is_asked_before_there_is_a_reason_to_read(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        await it.press("shift+tab", "ctrl+u", "enter", "enter")
        assert "first type the reason" in it.text()
        assert it.engine.approvals().pending() == []


async def test_nobody_is_asked_for_what_was_typed_wrong(tmp_path: Path) -> None:
    async with asking(tmp_path, "resume trading-platform") as it:
        await it.press("enter")
        assert "RESUME trading-platform was not typed exactly" in it.text()
        assert it.engine.approvals().pending() == []


async def test_asking_twice_for_the_same_keeps_the_code_that_was_told(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        code = await ask(it)
        await it.press("enter")
        await it.until(lambda: "the code that is shown holds" in it.text())
        assert [each.code for each in it.engine.approvals().pending()] == [code]


async def test_a_reason_that_was_corrected_is_asked_for_anew(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        code = await ask(it)
        await it.press("shift+tab")
        await it.type(", really")
        await it.press("enter", "enter")
        await it.until(lambda: {*COMMAND.findall(it.text())} - {code} != set())
        assert code not in it.text()
        reasons = {each.code: each.reason for each in it.engine.approvals().pending()}
        assert reasons.pop(code) == "the cause was found"
        assert list(reasons.values()) == ["the cause was found, really"]


async def test_nobody_is_asked_while_something_stands_against_it(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        await it.put(platform.board(it.clock.now(), {**platform.HALTED, "gateway.broker": False}))
        await it.press("enter")
        assert "The gateway has no broker" in it.text()
        assert it.engine.approvals().pending() == []


async def test_the_dialog_waits_for_the_person_as_long_as_the_request_holds(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        await ask(it)
        await it.pass_time(290)
        assert it.dialog.stage is Stage.QUESTION
        assert "0:10 left" in it.text()
        # A look that is still under way would find the request ended, and give the time to ask again.
        await it.until(lambda: all(each.is_finished for each in it.app.workers))
        await it.pass_time(11)
        await it.until(lambda: isinstance(it.app.screen, ProcedureScreen))


async def test_a_disk_slower_than_the_room_draws_hides_no_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ApprovalBook.given

    def slow(self: ApprovalBook, code: str) -> str | None:
        threading.Event().wait(0.2)
        return given(self, code)

    monkeypatch.setattr(ApprovalBook, "given", slow)
    async with asking(tmp_path) as it:
        it.engine.approvals().approve(await ask(it), SECOND)
        await look(it, f"approved by {BY}; good for")


async def test_a_consent_to_another_situation_is_none(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        code = await ask(it)
        it.engine.approvals().approve(code, SECOND)
        await look(it, f"approved by {BY}; good for")
        later = {**platform.HALTED, "kill.epoch": "2026-09-21T11:59:00.000000+00:00"}
        await it.put(platform.board(it.clock.now(), later))
        await it.press("tab", "enter")
        assert it.engine.submitted == []
        assert "the situation or the reason has changed since: ask again" in it.text()


async def test_what_loses_something_and_asks_for_a_second_person_can_be_asked_for_too(tmp_path: Path) -> None:
    async with opened(make_room(platform.halted, stack=EMPTIED)) as it:
        it.engine.approval_folder = tmp_path
        await it.choose("compose-down-volumes")
        await it.press("tab")
        for text in ("DELETE ALL DATA", "the host is given back"):
            await it.type(text)
            await it.press("enter")
        await it.press("enter")
        await it.until(lambda: it.engine.approvals().pending() != [])
        (request,) = it.engine.approvals().pending()
        assert (request.procedure, request.reason) == ("compose-down-volumes", "the host is given back")
        it.engine.approvals().approve(request.code, SECOND)
        await look(it, f"approved by {BY}; good for")
        await it.press("tab", "enter")
        (intent,) = it.engine.submitted
        assert it.engine.approvals().approver(request.code, intent, intent.plan or "") == BY


@pytest.mark.parametrize("name", ["breaker-reset", "recover-safety", "flatten-all"])
async def test_only_what_asks_for_one_has_a_line_for_one(name: str) -> None:
    async with opened(make_room(platform.halted, stack=platform.STACK)) as it:
        await it.choose(name)
        assert isinstance(it.dialog, TypedDialog)
        assert "Second person" not in it.text()
