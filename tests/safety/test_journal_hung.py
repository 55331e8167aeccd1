"""A disk that hangs: the journal's reads and writes never return, and a stop still goes out and is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.engine import Engine, Mode
from backends.journal import chain_file, tail
from backends.journal.chain_file import ChainFile
from backends.journal.tail import NotYetError, Prompt
from backends.journal.verify import read, verify
from backends.model.intent import Intent
from backends.model.procedure import Run, Verdict
from backends.model.safetext import SafeText
from backends.model.trading import TradingState
from tests.safety.dying_room import redis_stack
from tests.safety.test_halt_lost import KEY, alarms, is_engaged, room
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

SOON = 5.0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    it = Disk(monkeypatch)
    yield it
    it.answer()


class Disk:
    """Makes calls of the journal's files wait until ``answer``."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._answers = threading.Event()

    def hang(self, module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def hung(*arguments: Any) -> Any:
            self._answers.wait()
            return real(*arguments)

        self._patch.setattr(module, name, hung)

    def answer(self) -> None:
        self._answers.set()


def ask(engine: Engine, procedure: str, operation: str = "op-1") -> Run:
    """The run, once it has its verdict."""
    (stack,) = engine.stacks
    engine.submit(Intent(operation, stack.id, procedure, KIM, SafeText("x"), seen=0, via="screen"))
    wait_until(lambda: bool((run := engine.run(operation)) and run.verdict), SOON)
    run = engine.run(operation)
    assert run is not None
    return run


def started(folder: Path, url: str) -> Engine:
    made = Engine([redis_stack(url)], Mode.ARMED, folder, KIM)
    made.start()
    return made


def test_a_journal_that_never_answers_a_read_keeps_no_board_and_no_stop(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    """Its older file is a pipe nobody writes to: whoever opens it waits, for ever."""
    redis_db.command("SET", KEY, '{"state": "ACTIVE"}')
    ChainFile(tmp_path / "journal").append({"v": 1, "kind": "note", "text": "before"}, is_synced=False)
    (tmp_path / "journal" / "000001.jsonl").rename(tmp_path / "journal" / "000002.jsonl")
    os.mkfifo(tmp_path / "journal" / "000001.jsonl")
    made = started(tmp_path, redis_db.url)
    try:
        wait_until(lambda: made.board("tiny").trading.state is TradingState.TRADING, SOON)
        first = made.board("tiny").seq
        wait_until(lambda: made.board("tiny").seq > first, SOON)
        assert ask(made, "halt").verdict is Verdict.VERIFIED
        assert is_engaged(redis_db)
    finally:
        made.stop()


def test_a_journal_that_never_ends_a_write_is_told_and_marked_and_holds_up_nobody(
    tmp_path: Path, redis_db: RedisServer, disk: Disk
) -> None:
    redis_db.command("SET", KEY, '{"state": "ACTIVE"}')
    disk.hang(chain_file, "_sync")
    made = started(tmp_path, redis_db.url)
    try:
        wait_until(lambda: made.board("tiny").trading.state is TradingState.TRADING, SOON)
        run = ask(made, "halt")
        assert (run.verdict, run.journal_degraded) == (Verdict.VERIFIED, True)
        wait_until(lambda: "journal-unwritable" in alarms(made), SOON)
        assert "has not answered" in alarms(made)["journal-unwritable"]
        refused = ask(made, "routine", "op-2")
        assert refused.verdict is Verdict.REFUSED
        assert "the journal cannot be written" in refused.sentence
        disk.answer()
        wait_until(lambda: "journal-unwritable" not in alarms(made), SOON)
    finally:
        made.stop()
    assert verify(tmp_path / "journal").is_whole
    ours = [each for each in read(tmp_path / "journal") if each.get("operation") == "op-1"]
    assert ours[-1]["kind"] == "outcome"
    assert ours[-1]["audit_degraded"] is True


def test_a_lost_halt_is_put_back_although_the_journal_cannot_tell_who_released_it(
    tmp_path: Path, redis_db: RedisServer, disk: Disk
) -> None:
    with room(tmp_path, redis_db) as engine:
        disk.hang(tail, "files_of")
        redis_db.command("FLUSHALL")
        wait_until(lambda: is_engaged(redis_db), 2 * SOON)
        wait_until(lambda: "in force again" in alarms(engine).get("trading:halt-lost", ""), SOON)


def test_what_is_no_stop_is_refused_while_it_is_not_known_what_other_rooms_do(
    tmp_path: Path, redis_db: RedisServer, disk: Disk
) -> None:
    made = started(tmp_path, redis_db.url)
    try:
        wait_until(lambda: made.wait_asked("tiny", 0), SOON)
        disk.hang(tail, "files_of")
        run = ask(made, "routine")
        assert run.verdict is Verdict.REFUSED
        assert "what other rooms are running is not known: the disk does not answer" in run.sentence
    finally:
        made.stop()


def test_who_must_not_wait_gets_an_answer_that_began_after_the_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on, answers = threading.Event(), iter([[], [{"kind": "intent"}]])

    def slow() -> list[Any]:
        goes_on.wait()
        return next(answers)

    prompt = Prompt(slow)
    for _ in range(3):
        with pytest.raises(NotYetError):
            prompt()
    monkeypatch.setattr(tail, "PATIENCE", -1.0)
    with pytest.raises(OSError, match="does not answer"):
        prompt()
    goes_on.set()
    wait_until(lambda: prompt._reading is None or prompt._reading.done(), SOON)
    monkeypatch.setattr(tail, "AT_ONCE", SOON)  # The thread that reads has to get its turn.
    assert prompt() == [{"kind": "intent"}]


def test_what_the_disk_itself_answers_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "AT_ONCE", SOON)

    def refuse() -> list[Any]:
        raise OSError("no such folder")

    with pytest.raises(OSError, match="no such folder"):
        Prompt(refuse)()
