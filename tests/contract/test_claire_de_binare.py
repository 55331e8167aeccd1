"""Claire de Binare on its demo: the real readers and writers, its halt, its resume, and what goes wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from backends.model.examination import Answer
from backends.model.procedure import StepState, Verdict
from backends.model.stack import Environment
from backends.model.trading import TradingState
from tests.contract.claire_room import ID, ClaireRoom, on_demo
from tests.servers.process import wait_until

BACKUP = "cdb_backup_20260117_101500"
OTHER = "cdb_backup_20260101_040000"
INSIDE = "inside"
"""The folder of the demo that stands for the /tmp of the container of PostgreSQL."""
TRADING, HALTED, UNKNOWN = TradingState.TRADING, TradingState.HALTED, TradingState.UNKNOWN


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaireRoom]:
    with on_demo(tmp_path_factory.mktemp("state")) as made:
        yield made


def backups(room: ClaireRoom) -> Path:
    return Path(room.stack.sources["backups"].url.removeprefix("file://"))


def trades(room: ClaireRoom) -> bool:
    return room.board.trading.state is TRADING


def halted(room: ClaireRoom) -> bool:
    return room.board.trading.state is HALTED


def test_a_healthy_stack_trades_and_every_value_that_is_polled_was_read(room: ClaireRoom) -> None:
    room.until(lambda: trades(room), "it trades")
    room.until(lambda: room.value("execution.filled") not in (None, "0"), "an order filled")
    failed = [
        fact
        for fact, reading in room.board.readings.items()
        if reading.outcome.value == "failed" and not room.stack.facts[fact].on_demand
    ]
    assert failed == []
    assert room.value("bus.orders") == "3"
    assert room.value("stack.project") == "cdb"
    assert room.value("bus.members") is not None
    assert room.value("prometheus.rules") == "0"


@pytest.mark.parametrize(
    ("fault", "fact", "word"),
    [
        ("saturated", "risk.exposure", "30"),  # and what was on its way
        ("saturated", "alerts.heard", "table(columns=('type', 'level', 'code', 'message', "),
        ("live-mode", "execution.mode", "live"),
        ("inert-switch", "inert.emergency", "fat finger"),
        ("writer-down", "bus.orders", "2"),
        ("execution-deaf", "bus.orders", "2"),
    ],
)
def test_what_goes_wrong_is_seen(room: ClaireRoom, fault: str, fact: str, word: str) -> None:
    room.fault(fault, is_on=True)
    try:
        room.until(lambda: str(room.value(fact)).startswith(word), fault)
        if fault == "live-mode":
            assert room.board.environment is Environment.LIVE
        if fault == "inert-switch":
            room.until(lambda: trades(room), "it trades: that looks like a halt and is none")
    finally:
        room.fault(fault, is_on=False)


def test_a_critical_alert_of_risk_is_heard_and_pages(room: ClaireRoom) -> None:
    """Nothing stores it: who does not listen never learns of it."""
    assert room.value("alerts.critical") is None, "the room has not listened for 15 minutes"
    said = {"type": "alert", "level": "CRITICAL", "code": "CIRCUIT_BREAKER", "message": "daily loss"}
    room.redis.publish("alerts", json.dumps(said))
    room.until(lambda: room.value("alerts.critical") == "1", "it is heard")
    room.until(lambda: "alerts.critical" in {each.subject for each in room.board.alarms}, "it pages")
    assert room.value("bus.alerts") == "1", "the paper runner alone: rooms do not count"


def test_a_cooldown_closes_the_allocation_gate(room: ClaireRoom) -> None:
    room.fault("cooldown", is_on=True)
    room.until(lambda: halted(room), "allocation 0 halts")
    assert "Allocation" in room.board.trading.because
    assert room.value("allocation.free") == "0"
    room.fault("cooldown", is_on=False)
    room.until(lambda: trades(room), "it trades again")


def test_what_is_published_past_risk_fills_while_all_is_paused_and_is_counted(room: ClaireRoom) -> None:
    room.fault("cooldown", is_on=True)
    room.until(lambda: halted(room), "allocation 0 halts")
    before = int(room.value("execution.filled"))
    order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.0002, "price": 95000.0, "strategy_id": "paper"}
    for _ in range(6):  # one in twenty is rejected: not all of them in a million runs
        room.redis.publish("orders", json.dumps(order))
    room.until(lambda: int(room.value("execution.filled")) > before, "a fill")
    room.until(lambda: room.value("execution.filled_now") not in (None, "0"), "it counted as a new one", 45)
    room.fault("cooldown", is_on=False)
    room.until(lambda: trades(room), "it trades again")


def test_the_halt_is_armed_before_it_is_exercised_and_then_resumed_step_by_step(room: ClaireRoom) -> None:
    # Nothing is on its way from risk to execution when the halt comes.
    room.fault("cooldown", is_on=True)
    try:
        room.until(lambda: halted(room), "allocation 0 halts")
        run = room.run("halt")
    finally:
        room.fault("cooldown", is_on=False)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert run.rung == 1
    room.until(lambda: room.value("allocation.free") not in (None, "0"), "only the halt stands")
    assert halted(room)
    # Risk blocks every signal, so that nothing comes to be rejected: armed, not yet exercised.
    assert room.value("halt.exercised") == "false"
    order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.0002, "price": 95000.0, "strategy_id": "paper"}
    room.redis.publish("orders", json.dumps(order))
    room.until(lambda: room.value("halt.exercised") == "true", "an order rejected")
    assert "Resume by its own procedure" in room.refusal("unpause", pct="0.020000")

    run = room.run("resume", f"RESUME {ID}")
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert [step.step for step in run.steps] == [
        "reviewed", "stream", "execution", "allocation", "risk", "verify",
    ]  # fmt: skip
    kept = run.steps[1].receipt
    assert kept is not None
    assert json.loads(str(kept.before))[0]["priority"] == "SAFETY"
    assert room.redis.exists("stream.bot_shutdown") == 0
    room.until(lambda: trades(room), "it trades again")
    assert room.redis.xlen("stream.allocation_decisions") > 1


def test_nothing_proved_is_nothing_green(room: ClaireRoom) -> None:
    room.fault("redis-refuse", is_on=True)
    try:
        run = room.run("pause")
        assert run.verdict in (Verdict.FAILED, Verdict.UNCONFIRMED), run.sentence
        room.until(lambda: room.board.trading.state in (UNKNOWN, HALTED), "not trading for sure")
    finally:
        room.fault("redis-refuse", is_on=False)


def test_a_routine_is_done_and_proved_by_what_is_read_back(room: ClaireRoom) -> None:
    reload = room.run("prometheus-reload")
    assert reload.verdict is Verdict.VERIFIED, reload.sentence
    tag = room.run("tag", tag="20260117-101500")
    assert tag.verdict is Verdict.VERIFIED, tag.sentence
    dump = room.run("pg-dump", name="20260117_101500")
    assert dump.verdict is Verdict.VERIFIED, dump.sentence
    file = backups(room) / "manual_20260117_101500.sql"
    assert "PostgreSQL database dump complete" in file.read_text()


def test_two_replays_of_a_range_are_the_same_and_a_run_that_wrote_nothing_is_none(room: ClaireRoom) -> None:
    room.until(lambda: room.redis.xlen("stream.fills") > 3, "four fills")
    for check in ("replay-hash", "replay-determinism"):
        assert room.answer(check) is not Answer.YES, check
    made = Path(room.stack.sources["repo"].url.removeprefix("file://")) / "artifacts" / "controlroom"
    oldest = room.run("replay", count="2")
    assert oldest.verdict is Verdict.VERIFIED, (oldest.sentence, oldest.steps)
    ids = [ident for ident, _ in room.redis.xrange("stream.fills", count=4)]
    assert replayed(made) == ids[:2]

    middle = room.run("replay-range", first=ids[1], last=ids[3])
    assert middle.verdict is Verdict.VERIFIED, (middle.sentence, middle.steps)
    assert replayed(made) == ids[1:]
    for check in ("replay-hash", "replay-determinism", "replay-format"):
        assert room.answer(check) is Answer.YES, check
    # Nothing lies there: the tool ends with exit 0 and leaves what an earlier run wrote, which must not be of
    # just before: clocks may differ by a second.
    room.until(lambda: all(time.time() - it.stat().st_mtime > 2.0 for it in made.iterdir()), "its age")
    nothing = room.run("replay-range", first="1-0", last="2-0")
    assert nothing.verdict is not Verdict.VERIFIED
    assert replayed(made) == ids[1:]


def replayed(made: Path) -> list[str]:
    """The ids in the two files, which are the same."""
    first, second = ((made / f"replay_{number}.jsonl").read_text() for number in (1, 2))
    assert first == second
    return [json.loads(line)["stream_id"] for line in first.splitlines()]


def test_a_backup_counts_when_it_was_read_back(room: ClaireRoom) -> None:
    assert "has no complete database dump" in room.refusal("drill", backup=BACKUP)
    run = room.run("backup", backup=BACKUP)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert sorted(path.name for path in (backups(room) / BACKUP).iterdir()) == [
        "SHA256SUMS", "STREAMS-after", "STREAMS-before", "VERIFIED", "grafana_data.list",
        "grafana_data.tar", "postgres_dump.sql", "redis_dump.rdb",
        "validation_data.list", "validation_data.tar",
    ]  # fmt: skip
    room.until(lambda: room.refusal("drill", backup=BACKUP) == "", "the drill may run")
    again = room.run("backup", backup=BACKUP).steps[0].receipt
    assert again is not None
    assert "exists already" in again.text


def test_what_is_loaded_is_the_backup_that_was_named_and_every_row_of_it(room: ClaireRoom) -> None:
    dump = backups(room) / BACKUP / "postgres_dump.sql"
    other = backups(room) / OTHER
    other.mkdir()
    (other / "postgres_dump.sql").write_text(dump.read_text())
    for procedure in ("drill", "restore"):
        assert "was never read back" in room.refusal(procedure, backup=OTHER)
    done = room.run("drill", f"DRILL {ID}", backup=BACKUP)
    assert done.verdict is Verdict.VERIFIED, (done.sentence, done.steps)
    (counts,) = (backups(room) / BACKUP).glob("RESTORED-*")
    assert dict(line.split("|") for line in counts.read_text().split())["schema_version"] == "2"

    # A file of it has changed since it was read back: that is seen before anything is touched.
    whole = dump.read_text()
    dump.write_text(whole.replace("BTCUSDT", "ETHUSDT", 1))
    # A run knows what it made by the whole second in which it began.
    wait_until(lambda: int(time.time()) > dump.stat().st_mtime, 5, "the next second")
    changed = room.run("drill", f"DRILL {ID}", backup=BACKUP)
    assert changed.verdict is not Verdict.VERIFIED
    assert [step.step for step in changed.steps if step.state is not StepState.SKIPPED] == ["verify"]
    dump.write_text(whole)


def test_a_database_that_contradicts_itself_is_found_whatever_pg_isready_says(room: ClaireRoom) -> None:
    assert room.answer("corruption") is Answer.NO
    row = "INSERT INTO orders (symbol, side, size, filled_size) VALUES ('BTCUSDT', 'buy', 1, 2) RETURNING id"
    with psycopg.connect(room.postgres, autocommit=True) as link:
        (ident,) = link.execute(row).fetchone() or (None,)
        assert room.answer("corruption") is Answer.YES
        link.execute("DELETE FROM orders WHERE id = %s", [ident])
    assert room.answer("corruption") is Answer.NO


def test_what_degrades_wants_its_word_and_what_loses_data_a_verified_backup(room: ClaireRoom) -> None:
    assert room.run("restart-service", "cdb_wrong", service="cdb_ws").verdict is Verdict.REFUSED
    done = room.run("restart-service", "cdb_ws", service="cdb_ws")
    assert done.verdict is Verdict.VERIFIED, done.sentence
    assert "Trading is not halted" in room.refusal("restore", f"RESTORE {ID}", backup=BACKUP)


def test_a_halt_that_execution_does_not_read_stops_its_container(room: ClaireRoom) -> None:
    room.fault("halt-ignored", is_on=True)
    run = room.run("halt")
    room.fault("halt-ignored", is_on=False)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert run.rung == 2
    assert "via rung 2: Docker" in run.sentence
    room.until(lambda: halted(room), "halted")


def test_an_owner_is_changed_when_no_file_is_somebody_else_s_any_more(room: ClaireRoom) -> None:
    room.until(lambda: room.value("halt.stream") == "true", "halted")
    room.fault("owner-stuck", is_on=True)
    stuck = room.run("chown", "CHOWN", service="cdb_risk", path="/app/data")
    assert stuck.verdict not in (Verdict.VERIFIED, Verdict.REFUSED), (stuck.sentence, stuck.blockers)
    assert stuck.steps[2].step == "owner", stuck.sentence
    assert stuck.steps[2].state is not StepState.VERIFIED
    room.fault("owner-stuck", is_on=False)
    done = room.run("chown", "CHOWN", service="cdb_risk", path="/app/data")
    assert done.verdict is Verdict.VERIFIED, (done.sentence, done.steps)


AGAIN = {
    "schema-wipe": ("WIPE", {"project": "cdb", "volume": "cdb_postgres_data"}),
    "deep-clean": ("GO DEEP CLEAN", {"project": "cdb"}),
    "drill": ("DRILL", {"backup": BACKUP}),
    "network-restart": ("RESUME", {"project": "cdb"}),
    "start-isolated": ("RESUME", {"project": "cdb"}),
    "docker-daemon": ("RESUME", {}),
    "rotate-secrets": ("ROTATE", {"project": "cdb"}),
    "redis-flush": ("FLUSH", {}),
}
"""What ends execution on its way, with its phrase and what is chosen."""


@pytest.mark.parametrize("procedure", AGAIN)
def test_what_failed_after_it_ended_execution_can_be_tried_again_unless_it_may_be_live(
    room: ClaireRoom, procedure: str
) -> None:
    word, chosen = AGAIN[procedure]
    room.docker.stop("cdb_execution")
    room.until(lambda: room.refusal(procedure, f"{word} {ID}", **chosen) == "", "it may be tried again")
    room.fault("live-mode", is_on=True)
    said = room.refusal(procedure, f"{word} {ID}", **chosen)
    room.fault("live-mode", is_on=False)
    assert "not in mock mode by its settings" in said


def test_what_brings_everything_up_wants_execution_stopped_and_a_backup(room: ClaireRoom) -> None:
    for procedure in ("stack-recover", "complete-failure"):
        room.until(lambda each=procedure: room.refusal(each, f"RESUME {ID}", project="cdb") == "", procedure)
    room.docker.start("cdb_execution")
    room.until(lambda: room.value("execution.mode") == "mock", "execution answers")
    for procedure in ("stack-recover", "complete-failure"):
        assert "Execution runs" in room.refusal(procedure, f"RESUME {ID}", project="cdb"), procedure


def test_a_restore_replaces_the_database_and_ends_with_the_halt_standing(room: ClaireRoom) -> None:
    with psycopg.connect(room.postgres, autocommit=True) as link:
        link.execute("INSERT INTO schema_version VALUES ('of a bad migration')")
    # A dump that does not arrive in the container costs nothing.
    inside = room.world.config.parent / INSIDE
    kept = inside.rename(inside.with_name("kept"))
    inside.touch()
    failed = room.run("restore", f"RESTORE {ID}", backup=BACKUP)
    assert failed.verdict not in (Verdict.VERIFIED, Verdict.ALREADY)
    with psycopg.connect(room.postgres) as link:
        assert link.execute("SELECT count(*) FROM schema_version").fetchone() == (3,)
    inside.unlink()
    kept.rename(inside)
    # Its services are stopped by now, and execution says of no mode that it is in it.
    room.until(lambda: room.refusal("restore", f"RESTORE {ID}", backup=BACKUP) == "", "it may be tried again")
    length = room.redis.xlen("stream.fills")
    lost = room.run(
        "restore", f"RESTORE {ID}", backup=BACKUP,
        by_hand=lambda: room.redis.xtrim("stream.fills", maxlen=length - 1, approximate=False),
    )  # fmt: skip
    assert lost.verdict is not Verdict.VERIFIED
    steps = {step.step: step for step in lost.steps}
    kept = steps["kept"]
    assert (kept.state, steps["halt-again"].state) == (StepState.FAILED, StepState.VERIFIED)
    assert f"Fills stream reads {length - 1}, {length} before" in str(kept.evidence)
    room.until(lambda: room.refusal("restore", f"RESTORE {ID}", backup=BACKUP) == "", "it may be tried again")
    done = room.run("restore", f"RESTORE {ID}", backup=BACKUP)
    assert done.verdict is Verdict.VERIFIED, (done.sentence, done.steps)
    for service in ("cdb_candles", "cdb_regime", "cdb_allocation"):
        assert room.docker.inspect_container(service)["State"]["Status"] == "exited", service
    with psycopg.connect(room.postgres) as link:
        assert link.execute("SELECT count(*) FROM schema_version").fetchone() == (2,)
    assert room.redis.xlen("stream.bot_shutdown") > 1
