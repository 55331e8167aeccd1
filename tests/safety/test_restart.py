"""A room killed in the middle of a stop: the next one says so, says what is true now, and repeats nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.journal.chain_file import ChainFile
from backends.journal.entry import boot_id
from backends.journal.unfinished import TAIL, is_running, unfinished
from backends.journal.verify import read, verify
from backends.model.procedure import RiskClass, Run, StepState, Verdict
from tests.safety.dying_room import POINTS, SECOND, TURNS, redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

ROOT = Path(__file__).parents[2]
KEY, BREAKER = "kill_switch:state", "circuit_breaker:state"
TRUTH = 5.0
"""Seconds within which the restarted room must have told the truth."""


def killed_at(
    point: str,
    folder: Path,
    server: RedisServer,
    procedure: str = "halt",
    begun: Sequence[str] = ("ACTIVE", "OPEN"),
) -> None:
    for key, word in zip((KEY, BREAKER), begun, strict=True):
        server.command("SET", key, json.dumps({"state": word}))
    words = [sys.executable, "-m", "tests.safety.dying_room", str(folder), server.url, procedure, point]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def words(server: RedisServer) -> tuple[str, ...]:
    """What the two switches read now."""
    return tuple(json.loads(server.command("GET", key).split(b"\r\n")[1])["state"] for key in (KEY, BREAKER))


def stored(server: RedisServer) -> bytes:
    return server.command("GET", KEY)


@contextmanager
def room(
    folder: Path, server: RedisServer, mode: Mode = Mode.ARMED, *, is_room: bool = True
) -> Iterator[Engine]:
    engine = Engine([redis_stack(server.url)], mode, folder, KIM, is_room=is_room)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def told(engine: Engine) -> Run:
    began = time.monotonic()
    wait_until(lambda: engine.run("op-4711") is not None, TRUTH)
    assert time.monotonic() - began < TRUTH
    run = engine.run("op-4711")
    assert run is not None
    return run


def outcomes(folder: Path) -> list[dict[str, Any]]:
    return [record for record in read(folder / "journal") if record["kind"] == "outcome"]


@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_at_any_step_the_next_room_tells_what_is_true_and_repeats_nothing(
    tmp_path: Path, redis_db: RedisServer, point: str
) -> None:
    killed_at(point, tmp_path, redis_db)
    before = stored(redis_db)
    is_over = point == "after outcome 1"
    with room(tmp_path, redis_db) as engine:
        if point == "before intent 1" or is_over:
            # Nothing had begun, or all had been said: there is nothing to tell.
            assert engine.wait_asked("tiny", TRUTH)
            assert not unfinished(tmp_path / "journal", KIM.host)
            assert (b"ENGAGED" in before) is is_over
        else:
            run = told(engine)
            assert run.verdict is Verdict.UNCONFIRMED
            word = "ENGAGED" if b"ENGAGED" in before else "ACTIVE"
            assert "cut off at" in run.sentence
            assert f"true now: kill.state reads {word}" in run.sentence
            assert [step.evidence for step in run.steps] == [f"kill.state reads {word}"]
            wait_until(lambda: len(outcomes(tmp_path)) == 1, TRUTH)
    assert stored(redis_db) == before
    assert verify(tmp_path / "journal").damage is None
    ended = outcomes(tmp_path)
    assert [each["operation"] for each in ended] == ["op-4711"] * (point != "before intent 1")
    if point not in ("before intent 1", "after outcome 1"):
        assert ended[0]["text"].startswith("reconciled by reading")
        assert ended[0]["verdict"] == Verdict.UNCONFIRMED.value
    assert not unfinished(tmp_path / "journal", KIM.host)


@pytest.mark.parametrize(
    ("risk", "point"),
    [
        # One runner does all of these classes: two of them at every point, and each at one.
        *product((RiskClass.DEGRADE, RiskClass.RESTORE), ("after intent 1", "after act 1", *SECOND)),
        *((risk, "before act 2") for risk in TURNS if risk not in (RiskClass.DEGRADE, RiskClass.RESTORE)),
    ],
    ids=lambda each: each.value if isinstance(each, RiskClass) else each,
)
def test_of_two_steps_it_tells_which_is_done_and_goes_on_with_neither(
    tmp_path: Path, redis_db: RedisServer, risk: RiskClass, point: str
) -> None:
    begun, turned = ("ACTIVE", "OPEN"), ("ENGAGED", "TRIPPED")
    if risk is RiskClass.RESTORE:
        begun, turned = turned, begun
    killed_at(point, tmp_path, redis_db, risk.value, begun)
    done = {"after intent 1": 0, "after act 1": 1, "before act 2": 1}.get(point, 2)
    true = (*turned[:done], *begun[done:])
    assert words(redis_db) == true
    with room(tmp_path, redis_db) as engine:
        run = told(engine)
        assert run.verdict is Verdict.UNCONFIRMED
        assert f"true now: kill.state reads {true[0]}; breaker.state reads {true[1]}." in run.sentence
        # The record of a step may be on its way to the disk when the room dies; what is read is certain.
        assert [str(step.evidence) for step in run.steps] == [
            f"kill.state reads {true[0]}", f"breaker.state reads {true[1]}",
        ]  # fmt: skip
        assert StepState.PENDING not in {step.state for step in run.steps[:done]}
        wait_until(lambda: len(outcomes(tmp_path)) == 1, TRUTH)
    assert words(redis_db) == true


@pytest.mark.parametrize("point", SECOND)
def test_a_stop_killed_in_its_second_way_is_told_as_it_is(
    tmp_path: Path, redis_db: RedisServer, point: str
) -> None:
    killed_at(point, tmp_path, redis_db, "by-the-second")
    word = "OPEN" if point == "before act 2" else "TRIPPED"
    with room(tmp_path, redis_db) as engine:
        run = told(engine)
        assert run.verdict is Verdict.UNCONFIRMED
        assert f"true now: kill.state reads ACTIVE; breaker.state reads {word}." in run.sentence
    assert words(redis_db) == ("ACTIVE", word)


def test_a_wall_screen_tells_of_it_and_leaves_it_open_for_an_operator(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    killed_at("before act 1", tmp_path, redis_db)
    with room(tmp_path, redis_db, Mode.WATCH) as engine:
        assert told(engine).verdict is Verdict.UNCONFIRMED
    assert outcomes(tmp_path) == []
    with room(tmp_path, redis_db) as engine:
        told(engine)


def test_a_command_leaves_it_open_for_a_room_where_somebody_is_told(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    """A dry run is armed and observes too, and shows nobody what was cut off before it."""
    killed_at("before act 1", tmp_path, redis_db)
    with room(tmp_path, redis_db, is_room=False) as engine:
        told(engine)
    assert outcomes(tmp_path) == []
    with room(tmp_path, redis_db) as engine:
        told(engine)
        wait_until(lambda: len(outcomes(tmp_path)) == 1, TRUTH)


@pytest.mark.alone
def test_what_cannot_be_read_is_told_as_unreadable(tmp_path: Path, redis_db: RedisServer) -> None:
    killed_at("after act 1", tmp_path, redis_db)
    redis_db.pause()
    with room(tmp_path, redis_db) as engine:
        assert "kill.state could not be read" in told(engine).sentence


def body(kind: str, operation: str, **more: Any) -> dict[str, Any]:
    plain = {"v": 1, "kind": kind, "operation": operation, "host": "ops1", "mode": "live", "stack": "tiny"}
    return plain | {"boot": "of another day", "pid": 1, "mono": 1.0} | more


def cut_off(folder: Path, *bodies: dict[str, Any], limit: int = TAIL) -> list[str]:
    chain = ChainFile(folder)
    for each in bodies:
        chain.append(each, is_synced=False)
    return [each.operation for each in unfinished(folder, "ops1", limit=limit)]


def test_only_what_a_dead_process_of_this_host_left_open_counts(tmp_path: Path) -> None:
    here = {"boot": boot_id(), "pid": os.getpid(), "mono": time.monotonic()}
    found = cut_off(
        tmp_path,
        body("intent", "ended"), body("outcome", "ended"),
        body("intent", "refused"), body("refused", "refused"),
        body("intent", "elsewhere", host="ops2"),
        body("intent", "tried dry", mode="dry"),
        body("intent", "going on", **here),
        body("intent", "open"), body("step", "open"),
        body("intent", "again"), body("outcome", "again"), body("intent", "again"),
    )  # fmt: skip
    assert found == ["open", "again"]


def test_who_wrote_its_outcome_and_left_while_it_was_looked_for_was_not_cut_off(tmp_path: Path) -> None:
    chain = ChainFile(tmp_path)
    chain.append(body("intent", "ending"), is_synced=False)

    def leaves(_: Any) -> bool:
        chain.append(body("outcome", "ending"), is_synced=False)
        return False

    assert unfinished(tmp_path, "ops1", leaves) == []


def test_a_new_process_with_an_old_ones_number_is_not_that_process() -> None:
    now = {"boot": boot_id(), "pid": os.getpid(), "mono": time.monotonic()}
    assert is_running(now)
    assert not is_running({**now, "mono": 1.0})
    assert not is_running({**now, "boot": "another"})
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running({**now, "pid": child.pid}), "a zombie does nothing any more"
    child.wait()
    assert not is_running({**now, "pid": child.pid})


def test_a_process_that_proc_hides_from_this_account_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sleep", "60"])
    record = {"pid": child.pid, "boot": boot_id(), "mono": time.monotonic()}
    seen = Path.read_bytes

    def hidden(path: Path) -> bytes:
        if path == Path(f"/proc/{child.pid}/stat"):
            raise FileNotFoundError(path)
        return seen(path)

    monkeypatch.setattr(Path, "read_bytes", hidden)
    try:
        assert is_running(record)
    finally:
        child.kill()
        child.wait()
    assert not is_running(record)


def test_a_long_journal_is_looked_through_from_its_end_and_across_files(tmp_path: Path) -> None:
    many = [body("note", "", text="x" * 500) for _ in range(200)]
    assert cut_off(tmp_path, body("intent", "long ago"), *many, body("intent", "new"), limit=20_000) == [
        "new"
    ]
    chain = ChainFile(tmp_path, limit=1)
    chain.append(body("intent", "in the next file"), is_synced=False)
    found = [each.operation for each in unfinished(tmp_path, "ops1")]
    assert found == ["long ago", "new", "in the next file"]


def test_a_procedure_the_stack_no_longer_has_is_told_with_what_trading_rests_on(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    killed_at("after act 1", tmp_path, redis_db)
    bare = replace(redis_stack(redis_db.url), procedures={})
    engine = Engine([bare], Mode.ARMED, tmp_path, KIM)
    engine.start()
    try:
        assert "true now: kill.state reads ENGAGED" in told(engine).sentence
    finally:
        engine.stop()
