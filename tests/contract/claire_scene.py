"""The whole project of Claire de Binare, and a room of it, for stories that go on from test to test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from backends.model.procedure import Verdict
from tests.conftest import started
from tests.contract.claire_room import ID, ClaireRoom
from tests.servers.claire_project import NAME, Claire, claire
from tests.servers.compose import need_compose
from tests.servers.demo import start_demo
from tests.servers.docker import DockerEngine

BACKUP: Final = "cdb_backup_20260117_101500"
HALT: Final = "stream.bot_shutdown"
BY_HAND: Final = {"ts": "1", "reason": "by hand", "priority": "SAFETY"}
_ORDER: Final = "INSERT INTO orders (order_id, symbol, side, size) VALUES ('one', 'BTCUSDT', 'buy', 1)"


@dataclass
class Scene:
    """The project, and a room of it."""

    room: ClaireRoom
    it: Claire

    def verify(
        self,
        procedure: str,
        word: str | None = None,
        by_hand: Callable[[], object] = lambda: None,
        **params: str,
    ) -> None:
        phrase = f"{word} {ID}" if word else None
        self.room.until(lambda: self.room.refusal(procedure, phrase, **params) == "", procedure)
        run = self.room.run(procedure, phrase, by_hand=by_hand, **params)
        assert run.verdict is Verdict.VERIFIED, (run.sentence, run.steps)

    def sql(self, text: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.it.dsn, autocommit=True) as link:
            answer = link.execute(text.encode())
            return answer.fetchall() if answer.description else []

    def roll_back(self, procedure: str, **params: str) -> None:
        """One service that was made from other code since it was tagged runs from its tagged image again; no
        other was made anew, and a halt was ordered before."""
        engine, before, halts = self.it.project.engine.client, self.it.project.containers(), self.halts()
        tagged = engine.images.get("cdb-cdb_ws:latest").id
        (self.it.folder / "services/cdb_ws/code").write_text("cdb_ws 2\n")
        self.it.project.compose("up", "--detach", "--build", "cdb_ws")
        assert engine.containers.get("cdb_ws").image.id != tagged
        self.verify(procedure, "ROLL BACK", project=NAME, **params)
        assert engine.containers.get("cdb_ws").image.id == tagged
        after = self.it.project.containers()
        assert {name for name in after if after[name] != before[name]} == {"cdb_ws"}
        assert self.halts() == halts + 1

    def halts(self) -> int:
        """Entries of the halt stream; 0 when it is not there."""
        with self.it.bus() as bus:
            return int(bus.xlen(HALT))


@contextmanager
def claire_scene(engine: DockerEngine, state: Path) -> Iterator[Scene]:
    """Everything is up and halted by hand; one order was filled. The room's journal goes into ``state``."""
    started("docker compose", need_compose)
    demo = start_demo(ID)
    try:
        with claire(engine, demo) as it:
            config = demo.config.with_name("real.toml")
            config.write_text(it.config(demo))
            config.chmod(0o600)
            with it.bus() as bus:
                bus.xadd(HALT, BY_HAND)
                bus.xadd("stream.fills", {"order_id": "one", "status": "FILLED"})
            room = ClaireRoom(demo, state, config)
            try:
                scene = Scene(room, it)
                scene.sql(_ORDER)
                yield scene
            finally:
                room.close()
    finally:
        demo.stop()
