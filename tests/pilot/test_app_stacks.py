"""Several stacks behind one screen: each key acts on the one shown, each failure comes forward."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from backends.model.procedure import Procedure, Verdict
from backends.model.stack import SourceKind
from tests.pilot import scenes, world
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.rooms import Scene, make_room, opened
from tui.app import ControlRoom


@asynccontextmanager
async def inside(app: ControlRoom) -> AsyncIterator[Scene]:
    """The room on its first stack, come to from the fleet."""
    async with opened(app, (120, 40)) as room:
        await room.press("enter")
        await room.settle()
        yield room


def two_stacks() -> ControlRoom:
    app = make_room()
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    other = replace(world.STACK, id="second-desk", title="Second desk")
    engine.stacks = (world.STACK, other)
    engine.others["second-desk"] = replace(scenes.halted(engine.clock.now()), stack="second-desk")
    return app


async def test_the_next_stack_is_shown_and_halted_under_its_own_name() -> None:
    async with inside(two_stacks()) as room:
        assert "trading-platform" in room.text()
        await room.press("right_square_bracket")
        await room.settle()
        assert "second-desk" in room.text()
        assert "HALTED" in room.text()
        await room.open_dialog()
        await room.press("h")
        assert [intent.stack for intent in room.engine.submitted] == ["second-desk"]


async def test_the_target_of_an_open_dialog_never_moves() -> None:
    async with inside(two_stacks()) as room:
        await room.open_dialog()
        room.app.action_next_stack()
        await room.settle()
        await room.press("h")
        assert [intent.stack for intent in room.engine.submitted] == ["trading-platform"]


async def test_a_failure_of_a_stack_that_is_not_shown_comes_forward() -> None:
    async with inside(two_stacks()) as room:
        run = replace(
            scenes.run(room.clock.now(), Verdict.FAILED), stack="second-desk", operation="elsewhere"
        )
        room.engine.others["second-desk"] = replace(room.engine.others["second-desk"], runs=(run,))
        await room.settle()
        assert "NOT STOPPED" in room.text()
        assert "second-desk" in room.text()


async def test_one_stack_alone_says_so() -> None:
    async with opened(make_room()) as room:
        await room.press("right_square_bracket")
        await room.settle()
        assert "there is only this stack" in room.text()


def without_halt(**procedures: Procedure) -> ControlRoom:
    """The first of the two stacks has no halt, only these."""
    app = two_stacks()
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    app.stack = replace(world.STACK, procedures=procedures)
    engine.stacks = (app.stack, engine.stacks[1])
    return app


async def test_what_is_said_of_one_stack_names_it_and_is_not_seen_on_another() -> None:
    async with inside(without_halt()) as room:
        await room.press("f9")
        await room.settle()
        assert "trading-platform: NO HALT PATH, nothing sent; e lists its own procedures" in room.text()
        await room.press("right_square_bracket")
        await room.settle()
        assert "second-desk" in room.text()
        assert "NO HALT PATH" not in room.text()


async def test_a_dialog_says_it_too_when_the_emergency_key_has_no_procedure() -> None:
    other = replace(world.STACK.procedures["halt"], id="other")
    async with inside(without_halt(other=other)) as room:
        await room.choose("other")
        await room.press("f9")
        assert "NO HALT PATH, nothing sent" in room.text()


async def test_a_stack_of_units_has_services_and_no_container_in_its_table() -> None:
    units = {name: replace(it, kind=SourceKind.SYSTEMD) for name, it in world.STACK.sources.items()}
    app = two_stacks()
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    engine.stacks = (world.STACK, replace(engine.stacks[1], sources=units))
    async with inside(app) as room:
        assert "1 Containers" in room.text() and " CONTAINER " in room.text()
        await room.press("right_square_bracket")
        await room.settle()
        assert "1 Services" in room.text() and " SERVICE " in room.text()
        assert " CONTAINER " not in room.text()


async def test_the_emergency_key_over_a_failure_of_another_stack_is_about_that_stack() -> None:
    harder = replace(world.HALT, id="harder", title="Halt the senders")
    app = two_stacks()
    engine = app.engine
    assert isinstance(engine, FakeEngine)
    procedures = {"halt": world.HALT, "harder": harder}
    engine.stacks = (world.STACK, replace(engine.stacks[1], procedures=procedures))
    async with inside(app) as room:
        run = replace(scenes.run(room.clock.now(), Verdict.FAILED), stack="second-desk", procedure="harder")
        room.engine.others["second-desk"] = replace(room.engine.others["second-desk"], runs=(run,))
        await room.settle()
        assert "second-desk" in room.text()
        await room.open_dialog()
        assert room.dialog.procedure.id == "halt"
        await room.press("h")
        assert [intent.stack for intent in room.engine.submitted] == ["second-desk"]
