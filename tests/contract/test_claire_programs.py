"""The procedures of Claire de Binare that run programs, each to its verdict: the real ``docker compose``,
``docker``, ``pg_dump``, ``psql``, ``tar`` and ``sha256sum`` on a real engine with real stores.

One story: each test goes on where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.procedure import StepState, Verdict
from tests.contract.claire_room import ID
from tests.contract.claire_scene import BACKUP, BY_HAND, HALT, Scene, claire_scene
from tests.servers.claire_project import BASE, DEV, LOGGING, NAME
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

pytestmark = [DOCKER, pytest.mark.soak]

ALL = {*BASE, *DEV, *LOGGING}
STOPPED = [name for name in DEV if name != "cdb_reports"]
"""All that hears the bus or writes to it."""


@pytest.fixture(scope="module")
def scene(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with claire_scene(docker_engine, tmp_path_factory.mktemp("state")) as scene:
        yield scene


def test_a_backup_is_made_of_what_runs_and_read_back(scene: Scene) -> None:
    scene.verify("backup", backup=BACKUP)
    dump = (scene.it.folder / "infrastructure/dr_backups" / BACKUP / "postgres_dump.sql").read_text()
    rows = dump.partition("COPY public.orders ")[2].partition("\n\\.")[0].splitlines()[1:]
    assert len(rows) == 1


def test_a_redis_restored_by_hand_counts_when_its_streams_are_as_long_as_in_the_backup(scene: Scene) -> None:
    with scene.it.bus() as bus:
        bus.xadd("stream.fills", {"order_id": "two", "status": "FILLED"})
    assert "Stop everything but the stores first" in scene.room.refusal(
        "redis-restore", f"RESTORE REDIS {ID}", backup=BACKUP
    )
    scene.it.project.compose("stop", *STOPPED)
    untouched = scene.room.run("redis-restore", f"RESTORE REDIS {ID}", backup=BACKUP)
    assert untouched.verdict is not Verdict.VERIFIED
    assert {step.step: step.state for step in untouched.steps}["halt"] is StepState.VERIFIED
    (told,) = (scene.it.folder / "infrastructure/dr_backups" / BACKUP).glob("REDIS-*")
    assert "stream.fills 2 noted 1 to 1" in told.read_text()

    scene.verify("redis-restore", "RESTORE REDIS", lambda: scene.it.restore_redis(BACKUP), backup=BACKUP)
    with scene.it.bus() as bus:
        assert bus.xlen("stream.fills") == 1
        assert next(fields["reason"] for _, fields in bus.xrange(HALT)) == BY_HAND["reason"]
    assert scene.halts() == 2
    scene.it.project.compose("up", "--detach")


def test_a_rollback_makes_the_images_that_were_tagged_run_again(scene: Scene) -> None:
    scene.verify("tag", tag="20260117-101500")
    scene.roll_back("rollback-tag", tag="rollback-20260117-101500")


def test_pruning_images_keeps_the_tags_for_a_rollback(scene: Scene) -> None:
    client = scene.it.project.engine.client
    scene.it.project.compose("stop", "cdb_reports")
    scene.it.project.remove(["cdb_reports"])
    (scene.it.folder / "services/cdb_candles/code").write_text("cdb_candles 2\n")
    scene.it.project.compose("build", "cdb_candles")
    assert scene.room.refusal("prune-images", f"PRUNE {ID}") == ""
    scene.verify("prune-images", "PRUNE")
    kept = {tag for image in client.images.list() for tag in image.tags}
    assert {f"cdb-{name}:rollback-20260117-101500" for name in DEV} <= kept
    scene.it.project.compose("up", "--detach", "--build", "cdb_reports")


def test_a_volume_that_nothing_mounts_goes_and_the_others_stay(scene: Scene) -> None:
    labels = {"com.docker.compose.project": NAME}
    client, before = scene.it.project.engine.client, scene.it.project.volumes()
    client.volumes.create("cdb_of_a_former_day", labels=labels)
    client.volumes.create("somebody_elses", labels={"com.docker.compose.project": "other"})
    try:
        scene.verify("prune-volumes", "PRUNE VOLUMES")
        assert scene.it.project.volumes() == before
        assert client.volumes.get("somebody_elses")
    finally:
        client.volumes.get("somebody_elses").remove()


def test_migration_002_is_applied_from_the_file_in_the_container(scene: Scene) -> None:
    scene.sql("UPDATE orders SET price = 1; ALTER TABLE orders ALTER COLUMN price SET NOT NULL")
    scene.verify("migrate-002", "MIGRATE")
    assert scene.sql("SELECT is_nullable FROM information_schema.columns WHERE table_name = 'orders'"
                     " AND column_name = 'price'") == [("YES",)]  # fmt: skip


def test_a_manual_dump_is_loaded_into_the_database_that_was_made_anew(scene: Scene) -> None:
    scene.verify("pg-dump", name="20260117_120000")
    scene.sql("DELETE FROM orders")
    scene.verify("pg-reset", "DROP")
    assert scene.sql("SELECT to_regclass('orders')") == [(None,)]
    scene.verify("pg-restore", "LOAD", name="20260117_120000")
    assert scene.sql("SELECT count(*) FROM orders") == [(1,)]


def test_a_stack_that_went_down_comes_up_halted(scene: Scene) -> None:
    halts = scene.halts()
    scene.verify("stack-down", "DOWN")
    assert scene.it.project.containers() == {}
    with_data = scene.it.project.volumes()
    scene.verify("complete-failure", "RESUME", project=NAME)
    assert scene.it.project.running() == ALL
    assert scene.it.project.volumes() == with_data
    assert scene.halts() == halts + 2


def test_a_deep_clean_leaves_nothing_of_the_project(scene: Scene) -> None:
    scene.verify("deep-clean", "GO DEEP CLEAN", project=NAME)
    assert scene.it.project.containers() == {}
    assert scene.it.project.volumes() == set()
