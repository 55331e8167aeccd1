"""Checks on the screen: what they said and how long ago, who confirmed what, what mends a failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.engine import Mode
from backends.model.examination import Answer
from tests.pilot import scenes, world
from tests.pilot.fake_desk import CHECKLISTS, CHECKS, DIAGNOSES, FakeDesk
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import Scene, make_room, opened
from tui.app import ControlRoom
from tui.screens.checks import SURE, CheckScreen

BOOK = (
    """# The desk

Words to begin with.

## The kill switch

Press [@click=app.quit]here[/] or <https://example.com>, and it is only text. <!-- runbook: X-1 -->

- first an item
- then another

## Orders

Nothing piles up.
"""
    + "\nOne more line.\n" * 60
)


def checked(mode: Mode = Mode.ARMED, book: Path | None = None, scene: str = "fresh") -> ControlRoom:
    app = make_room(scene, mode=mode)
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    stack = replace(world.STACK, checks=CHECKS, checklists=CHECKLISTS, diagnoses=DIAGNOSES, runbook=book)
    engine.stacks = (stack,)
    app.stack = stack
    return app


def desk(room: Scene) -> FakeDesk:
    return room.engine.desk


def line(room: Scene, text: str) -> str:
    return next(row for row in room.text().splitlines() if text in row)


async def test_nothing_is_claimed_before_a_check_was_run() -> None:
    async with opened(checked(), (120, 40)) as room:
        await room.press("k")
        await room.settle()
        assert "not run" in line(room, "The kill switch allows trading")
        assert "open 0/2" in line(room, "Pre-market check")
        assert desk(room).examined == []


async def test_enter_runs_one_check_and_tells_what_was_read_and_what_mends_it() -> None:
    async with opened(checked(), (120, 40)) as room:
        desk(room).answers["check:kill-active"] = Answer.NO
        await room.press("k", "down", "enter")
        await room.settle()
        assert desk(room).examined == ["check:kill-active"]
        text = room.text()
        assert "FAILED" in text
        assert "kill switch reads ENGAGED (must read ACTIVE)" in text
        assert "Find out who halted." in text
        assert "Halt trading (halt)" in text
        await room.press("escape")
        await room.pass_time(90)
        assert "failed" in line(room, "The kill switch allows trading")
        assert "90s" in line(room, "The kill switch allows trading")


async def test_a_checklist_opens_ticks_what_is_observed_and_names_who_confirmed() -> None:
    async with opened(checked(), (120, 40)) as room:
        await room.press("k", "enter")
        await room.settle()
        assert "passed" in line(room, "  The kill switch allows trading")
        assert "open 1/2" in line(room, "Pre-market check")
        await room.press("down", "down", "A")
        await room.settle()
        assert desk(room).attested == {}
        assert "A again confirms as kim: I read the calendar." in room.text()
        await room.press("A")
        await room.settle()
        assert "done 2/2" in line(room, "Pre-market check")
        assert "kim, " in line(room, "I read the calendar.")
        await room.press("R", "R")
        await room.settle()
        assert desk(room).attested == {}


async def test_enter_shows_every_word_of_what_is_to_be_confirmed_and_confirms_nothing() -> None:
    long = "I read the calendar, the mails of the night and what the last shift wrote, and nothing is open."
    item = replace(CHECKLISTS["pre-market"].items[-1], attest=long)
    app = checked()
    items = (*CHECKLISTS["pre-market"].items[:-1], item)
    lists = {"pre-market": replace(CHECKLISTS["pre-market"], items=items)}
    app.stack = replace(app.stack, checklists=lists)
    app.engine.stacks = (app.stack,)
    async with opened(app) as room:
        await room.press("k", "enter", "down", "down", "enter")
        await room.settle()
        assert long in " ".join(room.text().replace("│", " ").split())
        assert "nobody yet" in room.text()
        assert desk(room).attested == {}


async def test_one_press_two_places_or_too_much_time_confirms_nothing() -> None:
    async with opened(checked(), (120, 40)) as room:
        await room.press("k", "enter", "A")
        await room.press("down", "down", "A")
        await room.pass_time(SURE + 1)
        await room.press("A")
        await room.settle()
        assert desk(room).attested == {}


async def test_what_the_journal_did_not_take_is_not_confirmed() -> None:
    async with opened(checked(), (120, 40)) as room:
        desk(room).is_journal_broken = True
        await room.press("k", "enter", "down", "down", "A", "A")
        await room.settle()
        assert "not confirmed: the disk is full" in room.text()
        assert "open 1/2" in line(room, "Pre-market check")


async def test_on_the_wall_checks_run_and_nobody_confirms() -> None:
    async with opened(checked(Mode.WATCH), (120, 40)) as room:
        await room.press("k", "a")
        await room.settle()
        assert "passed" in line(room, "Few orders are open")
        await room.press("enter", "down", "down", "A", "A")
        await room.settle()
        assert desk(room).attested == {}
        assert "READ ONLY" in room.text()


async def test_a_found_failure_stands_in_the_detail_of_its_service() -> None:
    app = checked()
    async with opened(app, (120, 40)) as room:
        desk(room).answers |= {"diagnosis:script": Answer.YES, "diagnosis:orders": Answer.NO}
        app.room.query_one("#containers").select("service:orchestrator")
        await room.press("enter")
        await room.press("end")
        await room.settle()
        assert set(desk(room).examined) == {"diagnosis:script", "diagnosis:orders"}
        assert "found" in line(room, "A script halted trading")
        assert "The nightly script engages it." in room.text()
        assert "Ask who runs it." in room.text()
        assert "not found" in line(room, "Orders pile up")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "runbook.md"
    path.write_text(BOOK)
    return path


async def test_an_alarm_opens_the_runbook_at_its_section_as_text_alone(book: Path) -> None:
    app = checked(book=book, scene="failed")
    async with opened(app, (120, 40)) as room:
        now = room.clock.now()
        alarm = replace(world.alarm("kill", now), section="The kill switch")
        await room.put(replace(scenes.failed(now), alarms=(alarm,)))
        await room.press("3", "o")
        await room.settle()
        text = [row for row in room.text().splitlines() if "│" in row]
        assert "The kill switch" in text[0]
        assert "[@click=app.quit]here[/] or <https://example.com>" in room.text()
        assert "runbook: X-1" not in room.text()


async def test_headings_are_gone_to_and_words_are_found(book: Path) -> None:
    async with opened(checked(book=book), (120, 20)) as room:
        await room.press("o", "n", "n")
        await room.settle()
        first = next(row for row in room.text().splitlines() if "│" in row)
        assert "Orders" in first
        await room.press("p")
        await room.settle()
        assert "The kill switch" in next(row for row in room.text().splitlines() if "│" in row)
        await room.press("slash", *"piles", "enter")
        await room.settle()
        assert "Nothing piles up." in next(row for row in room.text().splitlines() if "│" in row)
        await room.press("slash", *"xyz", "enter")
        await room.settle()
        assert "no 'xyz" in room.text() or "no 'pilesxyz" in room.text()


async def test_a_check_opens_the_runbook_at_its_own_section(book: Path) -> None:
    async with opened(checked(book=book), (120, 40)) as room:
        await room.press("k", "down", "o")
        await room.settle()
        assert "The kill switch" in next(row for row in room.text().splitlines() if "│" in row)
        await room.press("escape")
        assert isinstance(room.app.screen, CheckScreen)


async def test_a_stack_without_a_runbook_says_so() -> None:
    async with opened(checked(), (80, 24)) as room:
        await room.press("o")
        await room.settle()
        assert "There is no runbook.md" in room.text()


async def test_the_runbook_opens_from_the_detail_that_names_its_section() -> None:
    async with opened(make_room("failed"), (120, 40)) as room:
        await room.press("3", "enter")
        await room.settle()
        assert "what to do" in room.text() and "o runbook" in room.text().splitlines()[-1]
        await room.press("o")
        await room.settle()
        assert "Runbook of trading-platform" in room.text()
        await room.press("escape")
        await room.settle()
        assert "what to do" in room.text()


async def test_a_detail_without_a_section_names_no_runbook() -> None:
    async with opened(make_room(), (120, 40)) as room:
        await room.press("1", "enter")
        await room.settle()
        assert "o runbook" not in room.text().splitlines()[-1]
