"""A shift on the Hummingbot desk as compose runs it, in any of its generations: procedures to their verdicts,
and what the engine then has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backends.config import load
from backends.demo.hummingbot_desk.generations import GENERATIONS
from backends.model.action import Command
from backends.model.procedure import Verdict
from backends.model.stack import Stack
from tests.contract.armed_room import ArmedRoom, looking_briefly
from tests.contract.desk_room import ID
from tests.servers.compose import Project
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.servers.desk_project import BOTS, TARGET, Desk, desk_project
from tests.servers.docker import DockerEngine
from tests.terminal.hands import options
from tests.terminal.planned import Operator, alone

LONGEST = 600.0
"""Seconds that a command with compose may take."""
STORES = ("redis-refuse", "postgres-down")
"""Faults that keep the room from both stores."""


@dataclass
class Shift:
    desk: Desk
    demo: DemoWorld
    """Whose stores, services and folder the room reads beside compose's containers."""
    config: Path
    perform: Callable[[str, dict[str, str]], None]
    """Run a procedure with these parameters; AssertionError unless it is verified."""
    done: set[str] = field(default_factory=set)

    @property
    def project(self) -> Project:
        return self.desk.project

    @property
    def stack(self) -> Stack:
        (stack,) = load(self.config, env=self.demo.env).stacks
        return stack

    def verify(self, procedure: str, **params: str) -> None:
        self.perform(procedure, params)
        self.done.add(procedure)

    def begun(self, procedure: str, **params: str) -> set[str]:
        """The services that run since it, and did not before; it ended none."""
        before = self.project.running()
        self.verify(procedure, **params)
        after = self.project.running()
        assert before <= after
        return after - before

    def remade(self, procedure: str, **params: str) -> set[str]:
        """The services whose containers it made anew; it began and ended none."""
        before = self.project.containers()
        self.verify(procedure, **params)
        after = self.project.containers()
        assert before.keys() == after.keys()
        return {each for each in after if after[each] != before[each]}

    def upgrade_and_roll_back(self, *, with_bot_1: bool) -> None:
        """The test bots first, then bot 1 if it is wanted, and all of them back again."""
        former = self.desk.former
        assert self.remade("upgrade-test", image=TARGET) == {"bot3", "bot4"}
        assert [self.image(bot) for bot in BOTS] == [former, TARGET, TARGET]
        if with_bot_1:
            assert self.remade("upgrade-live", image=TARGET) == {"bot1"}
            assert self.image("bot1") == TARGET
        assert self.remade("image-rollback", image=former) == {*BOTS}
        assert {self.image(bot) for bot in BOTS} == {former}

    def says(self, bot: str) -> str:
        """What the bot has printed since it was made."""
        return str(self.desk.container(bot).logs().decode())

    def image(self, bot: str) -> str:
        return str(self.desk.container(bot).attrs["Config"]["Image"])

    @contextmanager
    def without_stores(self) -> Iterator[None]:
        """Neither Redis nor PostgreSQL answers the room meanwhile."""
        for fault in STORES:
            switch(self.demo, fault, is_on=True)
        yield
        for fault in STORES:
            switch(self.demo, fault, is_on=False)

    def not_run(self) -> set[str]:
        """Procedures that have compose do something and were not verified in this shift."""
        by_compose = {
            name
            for name, each in self.stack.procedures.items()
            if any(isinstance(step.action, Command) and "compose" in step.action.argv for step in each.steps)
        }
        return by_compose - self.done


@contextmanager
def in_one_room(engine: DockerEngine, generation: str) -> Iterator[Shift]:
    """In a room that stays open and looks briefly. Nothing of the project runs yet."""
    with _begun(engine, generation) as (desk, demo, config):
        room = ArmedRoom(config, demo.env, demo.home / "journal", looking_briefly)

        def perform(procedure: str, params: dict[str, str]) -> None:
            run = room.perform(procedure, **params)
            assert not run.blockers, (procedure, run.blockers)
            assert run.verdict is Verdict.VERIFIED, f"{procedure}: {run.sentence} {run.steps}"

        try:
            yield Shift(desk, demo, config, perform)
        finally:
            room.close()


@contextmanager
def by_command(engine: DockerEngine, generation: str) -> Iterator[Shift]:
    """By the program's command alone, with the time that the stack file gives. Nothing of the project runs
    yet."""
    with _begun(engine, generation) as (desk, demo, config):
        operator = Operator(ID, config, demo.env, LONGEST)

        def perform(procedure: str, params: dict[str, str]) -> None:
            report, done = operator.perform(procedure, *options(params))
            assert report["blockers"] == [], (procedure, report["blockers"])
            assert done.returncode == 0, f"{procedure}: {done.stdout}{done.stderr}"
            assert done.stdout.splitlines()[-1].startswith("VERIFIED: "), f"{procedure}: {done.stdout}"

        yield Shift(desk, demo, config, perform)


@contextmanager
def _begun(engine: DockerEngine, generation: str) -> Iterator[tuple[Desk, DemoWorld, Path]]:
    demo = start_demo(ID, "--variant", generation)
    try:
        with desk_project(engine, demo, GENERATIONS[generation]) as desk:
            config = demo.config.with_name("programs.toml")
            text = demo.config.read_text()
            assert text.count(f'"{demo["docker"]}"') == 2
            config.write_text(alone(text.replace(f'"{demo["docker"]}"', f'"{engine.url}"')))
            config.chmod(0o600)
            yield desk, demo, config
    finally:
        demo.stop()
