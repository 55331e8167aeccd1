"""The simulated surveillance as an operator meets it: what the room says of it, and what it proves."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from backends.config import load
from backends.demo.postgres_server import programs_folder
from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.examination import Answer
from backends.model.fact import Level
from backends.model.intent import Intent
from backends.model.judge import judge
from backends.model.procedure import Run, Verdict
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.procedures.confirm import phrase_of
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.servers.process import wait_until

STACK = "surveillance"
PROVED = (Verdict.VERIFIED, Verdict.ALREADY)
LONGEST = 60.0


class Room:
    """An armed room over one demo."""

    def __init__(self, world: DemoWorld, folder: Path) -> None:
        self.world = world
        config = load(world.config, env=os.environ)
        self.engine = Engine(config.stacks, Mode.ARMED, folder, identify())
        (self.stack,) = config.stacks
        self._changed = threading.Event()
        self.engine.subscribe(self._changed.set)
        self.engine.start()
        wait_until(lambda: self.engine.wait_asked(STACK, 0.2), 20, "a first look at everything")

    def value(self, fact: str) -> Any:
        return self.engine.board(STACK).readings[fact].value

    def level(self, fact: str) -> Level:
        return judge(self.stack.facts[fact], self.engine.board(STACK).readings[fact], self.engine.clock.now())

    def alarms(self) -> set[str]:
        return {alarm.id for alarm in self.engine.board(STACK).alarms}

    def answer(self, name: str) -> Answer:
        """A check or diagnosis, on fresh readings."""
        asked = self.stack.checks.get(name) or self.stack.diagnoses[name]
        (result,) = self.engine.checks(STACK).examine([asked]).result(LONGEST).values()
        return result.answer

    def run(self, procedure: str, **params: str) -> Run:
        """From the dry run to the verdict."""
        what = self.stack.procedures[procedure]
        plan = self._submit(procedure, params, is_dry=True).plan
        phrase = phrase_of(what, self.stack, params)
        return self._submit(procedure, params, plan=plan or None, phrase=phrase)

    def _submit(self, procedure: str, params: dict[str, str], **more: Any) -> Run:
        ident, why = str(uuid.uuid4()), SafeText("the quarterly exercise")
        seq = self.engine.board(STACK).seq
        self.engine.submit(
            Intent(ident, STACK, procedure, self.engine.operator, why, seq, "cli", params=params, **more)
        )

        def ended() -> Run | None:
            run = self.engine.run(ident)
            return run if run is not None and run.verdict is not None else None

        run = wait_until(ended, LONGEST, f"the verdict on {procedure}")
        assert run is not None
        return run


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    world = start_demo(STACK)
    room = Room(world, tmp_path_factory.mktemp("journal"))
    yield room
    room.engine.stop()
    world.stop()


@pytest.fixture
def store(room: Room) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(room.world["redis"], decode_responses=True, socket_timeout=2.0)
    yield client
    client.close()


def test_everything_is_read_and_well_and_the_room_says_that_nothing_can_be_halted(room: Room) -> None:
    first = list(room.stack.facts)[:8]
    wait_until(lambda: {room.level(name) for name in first} == {Level.OK}, 15, "the first eight facts")
    board = room.engine.board(STACK)
    assert board.trading.state.value == "NO HALT PATH"

    def failed() -> list[str]:
        readings = room.engine.board(STACK).readings
        return [key for key, reading in readings.items() if reading.outcome is Outcome.FAILED]

    # A source that answered too late once, on a busy machine, answers the next time.
    wait_until(lambda: not failed(), 15, "a look that fails nowhere")
    assert "halt" not in room.stack.procedures
    assert room.answer("pipeline") is Answer.YES


def test_a_routine_try_of_the_configuration_is_proved_by_what_the_loader_said(room: Room) -> None:
    assert room.run("load-config").verdict is Verdict.VERIFIED
    assert room.answer("exchange-entry") is Answer.YES


def test_a_backup_counts_when_its_end_was_read_back(room: Room) -> None:
    run = room.run("backup")
    assert run.verdict is Verdict.VERIFIED
    assert "PostgreSQL database dump complete" in run.sentence


def test_a_configuration_the_loader_refuses_never_reaches_ingestion(room: Room, store: redis.Redis) -> None:
    before = int(json.loads(store.get("health:okx") or "{}")["message_count"])
    config = room.world.config.parent / "project" / "config" / "exchanges.yaml"
    sound = config.read_text()
    switch(room.world, "file-refused", is_on=True)
    try:
        refused = room.run("exchange-off", exchange="okx")
        assert refused.verdict not in (*PROVED, Verdict.REFUSED), refused.sentence
    finally:
        switch(room.world, "file-refused", is_on=False)
    after = json.loads(store.get("health:okx") or "{}")
    # Its counters would have begun at 0.
    assert (after["status"], after["message_count"] >= before) == ("connected", True)
    (kept,) = config.parent.glob("exchanges.yaml.*.bak")
    assert kept.read_text() == sound
    config.write_text(sound)


def test_alerts_that_three_places_disagree_on_are_told_apart_and_each_has_its_remedy(
    room: Room, store: redis.Redis
) -> None:
    for fault in ("orphan", "ghost", "bare-srem", "redis-only"):
        switch(room.world, fault, is_on=True)
    ours = {"alerts.ghosts": 1, "alerts.redis_only": 1, "alerts.db_only": 1, "alerts.orphans": 2}
    wait_until(lambda: {name: room.value(name).total for name in ours} == ours, 15, "the four kinds")
    for remedy in ("ghosts-remove", "redis-only-resolve", "alerts-close", "orphans-resolve"):
        run = room.run(remedy)
        assert run.verdict is Verdict.VERIFIED, run.sentence
    # What is compared is as old as the newest poll of each store.
    wait_until(lambda: room.answer("reconciled") is Answer.YES, 15, "a poll after the last remedy", every=0.5)
    documents = [json.loads(store.get(key) or "{}") for key in store.scan_iter("alert:*")]
    resolved = [document for document in documents if document["resolution_type"] == "manual"]
    assert len(resolved) == 2
    assert all(document["resolved_at"].endswith("Z") for document in resolved)
    assert all(document["duration_seconds"] >= 5 * 3600 for document in resolved)
    assert store.keys("alerts:by_priority:P1") == []


def test_a_password_that_was_changed_is_found_though_open_sessions_go_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{programs_folder()}{os.pathsep}{os.environ['PATH']}")
    assert room.answer("database-password") is Answer.YES
    switch(room.world, "password-changed", is_on=True)
    try:
        assert room.answer("database-password") is Answer.NO
        assert room.answer("database-refuses-us") is Answer.YES
        assert room.answer("data-flows") is Answer.YES
    finally:
        switch(room.world, "password-changed", is_on=False)
    assert room.answer("database-refuses-us") is Answer.NO


def test_what_deletes_the_volumes_knows_them_by_the_project_of_the_containers(room: Room) -> None:
    def blockers(project: str) -> str:
        return " ".join(room._submit("wipe", {"project": project}, is_dry=True).blockers)

    ours, others = blockers("desk-two"), blockers("surveillance")
    assert "No volume" not in ours
    assert "Compose project" not in ours
    assert "Compose project" in others


def test_faults_of_the_feeds_raise_their_own_alarms_and_are_diagnosed(room: Room) -> None:
    faults = ("gap", "okx-exhausted", "second-detector")
    for fault in faults:
        switch(room.world, fault, is_on=True)
    try:
        wait_until(lambda: {"zscores-wiped", "okx-disconnected"} <= room.alarms(), 10, "the alarms")
        assert room.answer("okx-exhausted") is Answer.YES
        assert room.level("gaps.total") is Level.WARN
    finally:
        for fault in faults:
            switch(room.world, fault, is_on=False)


@pytest.mark.parametrize(
    ("fault", "alarm"),
    [
        ("degraded", "zscores-wiped"),
        ("time-gaps", "time-gaps"),
        ("lag", "binance-lag"),
        ("thin-books", "p1-active"),
        ("wide-spread", "p1-active"),
    ],
)
def test_what_goes_wrong_raises_its_alarm_until_it_is_over(room: Room, fault: str, alarm: str) -> None:
    wait_until(lambda: alarm not in room.alarms(), 30, "nothing of the kind before")
    switch(room.world, fault, is_on=True)
    try:
        wait_until(lambda: alarm in room.alarms(), 30, f"the alarm of {fault}")
    finally:
        switch(room.world, fault, is_on=False)


def test_a_socket_that_died_is_seen_in_its_book_though_its_exchange_says_that_it_is_connected(
    room: Room,
) -> None:
    switch(room.world, "spot-dead", is_on=True)
    try:
        wait_until(lambda: room.level("binance-spot.ttl") is Level.WARN, 30, "a book that grows old")
        assert (room.level("binance.ttl"), room.value("binance.status")) == (Level.OK, "connected")
    finally:
        switch(room.world, "spot-dead", is_on=False)


def test_an_address_that_is_not_reached_from_the_container_fails_its_check(room: Room) -> None:
    assert room.run("reach").verdict is Verdict.VERIFIED
    assert room.answer("exchanges-reached") is Answer.YES
    switch(room.world, "unreachable", is_on=True)
    try:
        room.run("reach")
        assert room.answer("exchanges-reached") is Answer.NO
    finally:
        switch(room.world, "unreachable", is_on=False)


def test_alerting_is_off_only_when_nobody_listens_and_comes_back_when_the_detector_does(
    room: Room, store: redis.Redis
) -> None:
    switch(room.world, "second-detector", is_on=True)
    wait_until(lambda: room.value("detector.subscribed") == 2, 10, "the second detector")
    assert room.run("alerting-off").verdict not in PROVED
    switch(room.world, "second-detector", is_on=False)
    wait_until(lambda: "alerting-off" in room.alarms(), 10, "the alarm")
    assert room.run("alerting-off").verdict in PROVED
    run = room.run("alerting-on")
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert store.pubsub_numsub("updates:metrics")[0][1] == 1
    wait_until(lambda: "alerting-off" not in room.alarms(), 10, "the end of the alarm")


def test_redis_is_emptied_only_after_the_workers_were_stopped(room: Room, store: redis.Redis) -> None:
    assert room.run("backup").verdict is Verdict.VERIFIED
    early = room.run("redis-flush")
    assert early.verdict is Verdict.REFUSED
    assert store.dbsize() > 0
    assert room.run("workers-stop").verdict is Verdict.VERIFIED
    flushed = room.run("redis-flush")
    assert (flushed.verdict, store.dbsize()) == (Verdict.VERIFIED, 0), flushed.sentence
    started = room.run("workers-start")
    assert started.verdict is Verdict.VERIFIED, started.sentence
    wait_until(lambda: store.dbsize() == 6, 10, "two health records and four books")


def test_feeds_that_fall_silent_end_the_workers_again_and_again_behind_green_containers(
    room: Room, store: redis.Redis
) -> None:
    def restarts() -> int:
        return sum(room.value(name) or 0 for name in ("metrics.restarts", "detector.restarts"))

    before = restarts()
    switch(room.world, "feeds-silent", is_on=True)
    try:
        wait_until(lambda: "metrics-old" in room.alarms(), 30, "the alarm")
        wait_until(lambda: restarts() > before, 30, "a worker that was started again")
    finally:
        switch(room.world, "feeds-silent", is_on=False)
    wait_until(lambda: store.pubsub_numsub("updates:metrics")[0][1] == 1, 30, "the detector's return")


@pytest.mark.parametrize(
    ("fault", "source", "fact"),
    [
        ("redis-hang", "redis", "binance.ttl"),
        ("redis-refuse", "redis", "detector.subscribed"),
        ("database-down", "postgres", "metrics.age"),
    ],
)
def test_a_store_that_does_not_answer_leaves_nothing_that_looks_well(
    room: Room, fault: str, source: str, fact: str
) -> None:
    wait_until(lambda: room.level(fact) is Level.OK, 30, "all to be well")
    switch(room.world, fault, is_on=True)
    try:
        wait_until(lambda: room.engine.board(STACK).sources[source].is_up is False, 20, "the loss of it")
        wait_until(lambda: room.level(fact) is not Level.OK, 20, "the value to be no longer well")
        assert room.answer("pipeline") is not Answer.YES
    finally:
        switch(room.world, fault, is_on=False)
    wait_until(lambda: room.level(fact) is Level.OK, 30, "its return")
