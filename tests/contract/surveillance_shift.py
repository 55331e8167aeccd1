"""A shift on the demo of surveillance: an armed room, the demo's Redis and PostgreSQL, and its containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import psycopg
import redis

from backends.model.examination import Answer
from backends.model.fact import Table
from backends.model.procedure import Verdict
from tests.contract.armed_room import ArmedRoom, looking_patiently
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.servers.process import wait_until
from tests.terminal.planned import alone

_LONGEST = 60.0


@dataclass
class Shift:
    world: DemoWorld
    room: ArmedRoom
    store: redis.Redis

    def verify(self, procedure: str, **params: str) -> None:
        run = self.room.perform(procedure, **params)
        assert run.verdict is Verdict.VERIFIED, (procedure, run.sentence, run.blockers)

    def answer(self, name: str) -> Answer:
        """Of a check or a diagnosis, on fresh readings."""
        one = self.room.stack.checks.get(name) or self.room.stack.diagnoses[name]
        (result,) = self.room.engine.checks(self.room.stack.id).examine([one]).result(_LONGEST).values()
        return result.answer

    def alarms(self) -> set[str]:
        return {alarm.id for alarm in self.room.engine.board(self.room.stack.id).alarms}

    def until(self, is_so: Callable[[], object], what: str) -> None:
        wait_until(is_so, _LONGEST, what, every=0.3)

    def started(self) -> dict[str, str]:
        """When each service's container was."""
        name = "com.docker.compose.service"
        with closing(docker.APIClient(self.world["docker"])) as engine:
            listed = {each["Labels"][name]: each["Id"] for each in engine.containers(all=True)}
            return {
                service: engine.inspect_container(ident)["State"]["StartedAt"]
                for service, ident in listed.items()
            }

    def first(self, fact: str) -> str:
        """The first member of a table that has one."""

        def look() -> str | None:
            listed = self.room.engine.board(self.room.stack.id).readings[fact].value
            assert isinstance(listed, Table)
            return str(listed.rows[0][listed.columns.index("alert_id")]) if listed.rows else None

        found = wait_until(look, 30, f"one of {fact}", every=0.2)
        assert found is not None
        return found

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        switch(self.world, name, is_on=True)
        try:
            yield
        finally:
            switch(self.world, name, is_on=False)

    def sql(self, text: str) -> list[tuple[object, ...]]:
        held = self.room.stack.sources["postgres"].password
        assert held is not None
        dsn = f"{self.world['postgres']}?password={held.reveal()}"
        with psycopg.connect(dsn, autocommit=True) as link:
            answer = link.execute(text.encode())
            return answer.fetchall() if answer.description else []


@contextmanager
def on_demo(state: Path) -> Iterator[Shift]:
    """On a demo of its own; the room's journal goes into ``state``."""
    world = start_demo("surveillance")
    world.config.write_text(alone(world.config.read_text()))
    room = ArmedRoom(world.config, world.env, state, looking_patiently)
    store = redis.Redis.from_url(world["redis"], decode_responses=True)
    try:
        yield Shift(world, room, store)
    finally:
        store.close()
        room.close()
        world.stop()
