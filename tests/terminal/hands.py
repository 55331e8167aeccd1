"""An operator before both faces of the room, for procedures that change what the demo only shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.terminal.left import FACES, assert_alike, left_by
from tests.terminal.on_screen import Seat, seat_before
from tests.terminal.planned import Operator, alone


class World(Protocol):
    """What the operator works on: a demo, or a project of the tests' own."""

    @property
    def state(self) -> Path:
        """The folder of the room's journal, plans and approvals."""

    @property
    def env(self) -> dict[str, str]:
        """The environment of the operator's commands."""


@dataclass
class Hands:
    """An operator's two faces of the room on one config; each writes a journal of its own."""

    seat: Seat
    operator: Operator
    journals: dict[str, Path]
    left: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """What each procedure left in the journal, by face."""

    def verify(self, face: str, name: str, values: tuple[str, ...] = (), **params: str) -> None:
        """Plan it and run it: nothing stands against it, its effect is read back, and it leaves what it left
        when the other face ran it. ``values`` are the ``params`` as they are typed on the screen."""
        if face == "screen":
            self.seat.perform(name, *(values or params.values()))
        else:
            report, done = self.operator.perform(name, *options(params))
            assert report["blockers"] == [], name
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        mine = left_by(name, self.journals[face])
        assert mine["rows"]["outcome"][0] == "VERIFIED", f"{name}: {mine}"
        for other in self.left.setdefault(name, {}).values():
            assert_alike(name, mine, other)
        self.left[name][face] = mine

    def is_refused(self, name: str, *because: str, **params: str) -> None:
        """Its dry run names what stands against it."""
        said = " ".join(map(str, self.operator.dry_run(name, *options(params))["blockers"]))
        assert all(each in said for each in because), said

    def ran(self) -> set[tuple[str, str]]:
        """Each procedure that was verified, and by which face."""
        return {(name, face) for name, left in self.left.items() for face in left}


@contextmanager
def hands_on(world: World, stack: str, name: str, text: str) -> Iterator[Hands]:
    """Both faces on the config ``text``, written beside the world's own state under ``name``."""
    configs = {}
    for face in FACES:
        state = world.state.with_name(f"{name}-{face}")
        configs[face] = state.with_suffix(".toml")
        configs[face].write_text(alone(text.replace(f'"{world.state}"', f'"{state}"')))
        configs[face].chmod(0o600)
    operator = Operator(stack, configs["command"], world.env)
    with seat_before(configs["screen"]) as seat:
        yield Hands(seat, operator, {face: config.with_suffix("") for face, config in configs.items()})


def options(params: dict[str, str]) -> list[str]:
    """What the command line takes for these."""
    return [word for name, value in params.items() for word in ("--param", f"{name}={value}")]
