"""A fault in a part of the engine ends nothing, prints nothing, and is told."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from backends import supervision
from backends.board.derive import trading
from backends.journal.entry import Kind
from backends.model.board import Board
from backends.supervision import DaemonThreads, Supervisor
from tests.building import START, stack


@pytest.fixture
def posted():
    return []


@pytest.fixture
def supervisor(fake_clock, posted):
    return Supervisor(fake_clock, posted.append)


async def test_a_part_that_fails_is_started_again_and_told_once(supervisor, posted, fake_clock, monkeypatch):
    monkeypatch.setattr(supervision, "REST", 0.0)
    runs = []

    async def work():
        runs.append(1)
        if len(runs) < 3:
            raise KeyError("redis://user:hunter2@host")

    await supervisor.keep("watching redis", work)
    assert len(runs) == 3
    alarms = supervisor.alarms(fake_clock.now())
    assert [alarm.title for alarm in alarms] == ["A part of this room failed: watching redis (KeyError)"]
    assert [entry.kind for entry in posted] == [Kind.NOTE]
    assert "hunter2" not in str(posted) + str(alarms)
    fake_clock.advance(supervision.SHOWN + 1)
    assert supervisor.alarms(fake_clock.now()) == ()


async def test_cancelling_ends_a_kept_part(supervisor):
    task = asyncio.create_task(supervisor.keep("forever", asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_alarms_that_cannot_be_evaluated_are_an_alarm_and_the_old_ones_stay(supervisor):
    class Broken:
        def evaluate(self, board, now):
            raise ZeroDivisionError

    made = stack()
    board = Board("tiny", 1, START, made.environment, {}, {}, trading(made, {}, START, None))
    found = supervisor.over(Broken()).evaluate(board, START)
    assert [alarm.title for alarm in found] == ["A part of this room failed: the alarms (ZeroDivisionError)"]


def test_a_job_that_hangs_holds_up_no_other_job():
    threads, hang = DaemonThreads(), threading.Event()
    stuck = [threads.submit(hang.wait) for _ in range(40)]
    started = time.monotonic()
    assert threads.submit(lambda: 7).result(timeout=5) == 7
    assert time.monotonic() - started < 2
    assert not any(job.done() for job in stuck)
    hang.set()


def test_a_thread_that_has_done_its_job_does_the_next():
    threads, me = DaemonThreads(), threading.current_thread
    first = threads.submit(me).result(timeout=5)
    assert any(threads.submit(me).result(timeout=5) is first for _ in range(100)), "it has to come to rest"


def test_a_thread_that_has_no_job_for_a_while_ends():
    threads, me = DaemonThreads(kept=0.1), threading.current_thread
    first = threads.submit(me).result(timeout=5)
    first.join(5)
    assert not first.is_alive()
    assert threads.submit(me).result(timeout=5) is not first


def test_of_many_jobs_on_threads_that_come_and_go_none_is_lost():
    threads = DaemonThreads(kept=0.0)
    assert [threads.submit(pow, n, 2).result(timeout=5) for n in range(500)] == [n * n for n in range(500)]
    jobs = [threads.submit(pow, n, 2) for n in range(500)]
    assert [job.result(timeout=5) for job in jobs] == [n * n for n in range(500)]


def test_a_job_that_was_refused_is_not_done_later(monkeypatch: pytest.MonkeyPatch):
    threads, done = DaemonThreads(), list[int]()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full, pytest.raises(RuntimeError):
        full.setattr(threading.Thread, "start", no_thread)
        threads.submit(done.append, 1)
    assert threads.submit(lambda: 7).result(timeout=5) == 7
    assert not done


def test_a_job_that_fails_says_so_to_whoever_waits():
    with pytest.raises(ZeroDivisionError):
        DaemonThreads().submit(lambda: 1 // 0).result(timeout=5)
