"""Each source is polled alone, under a deadline, and its failure is a value."""

from __future__ import annotations

import asyncio
import threading

import pytest
from msgspec.structs import replace

from backends.alarms.book import AlarmBook
from backends.board import poll
from backends.board.backoff import Backoff
from backends.board.poll import FactTask, Poller
from backends.board.store import Store
from backends.model.fact import Absent, Broken, Found, SourceError
from backends.model.procedure import Run
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.room import TICK
from tests.building import fact, redis_source, stack

FACTS = [fact("fast"), fact("slow", every=10.0)]


class Scripted:
    """A FactReader that does what the test says next; stands for any source's misbehaviour."""

    def __init__(self):
        self.asked = []
        self.was_asked = asyncio.Event()
        self.answer = {}

    async def read(self, facts):
        self.asked.append([item.id for item in facts])
        self.was_asked.set()
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer == "hang":
            await asyncio.Event().wait()
        return self.answer

    async def close(self):
        pass


def make(clock):
    made = stack(facts={item.id: item for item in FACTS}, gates=(), echoes=(), alarms=(), services=())
    store = Store(made, clock, AlarmBook(made, clock.now()), lambda: None)
    reader = Scripted()
    source = redis_source()
    task = FactTask(source, FACTS, reader, store)
    return Poller(source, lambda: task, store, clock), reader, store


def outcomes(store):
    return {key: reading.outcome for key, reading in store.board.readings.items()}


async def test_first_everything_is_never_then_what_the_source_said(fake_clock):
    poller, reader, store = make(fake_clock)
    assert set(outcomes(store).values()) == {Outcome.NEVER}
    reader.answer = {"fast": Found(SafeText("a")), "slow": Absent()}
    await poller.once()
    assert outcomes(store) == {"fast": Outcome.OK, "slow": Outcome.MISSING}
    reader.answer = {"fast": Broken(SafeText("not JSON"))}
    fake_clock.advance(1)
    await poller.once()
    assert outcomes(store)["fast"] is Outcome.FAILED
    assert store.board.readings["fast"].last_good.value == "a"


async def test_facts_are_asked_at_their_own_cadence_and_all_after_a_failure(fake_clock):
    poller, reader, _ = make(fake_clock)
    reader.answer = {"fast": Found(1), "slow": Found(2)}
    await poller.once()
    fake_clock.advance(1)
    assert await poller.once() == 1.0
    reader.answer = SourceError("refused")
    fake_clock.advance(1)
    await poller.once()
    await poller.once()
    assert reader.asked == [["fast", "slow"], ["fast"], ["fast"], ["fast", "slow"]]


async def test_what_is_due_at_one_time_is_asked_at_one_time_whenever_it_was_asked_first(fake_clock):
    """Sources that are polled together cost a fraction of each by itself."""
    poller, reader, _ = make(fake_clock)
    reader.answer = {"fast": Found(1), "slow": Found(2)}
    fake_clock.advance(0.4)
    assert await poller.once() == pytest.approx(0.6)
    fake_clock.advance(0.58)  # a timer may be early
    assert await poller.once() == pytest.approx(1.02)
    for _ in range(8):
        fake_clock.advance(1.02 if fake_clock.now().mono % 1 else 1.0)
        assert await poller.once() == pytest.approx(1.0)
    assert reader.asked == [["fast", "slow"], *[["fast"]] * 9]
    fake_clock.advance(1.0)
    await poller.once()
    assert fake_clock.now().mono == pytest.approx(1010.0)
    assert reader.asked[-1] == ["fast", "slow"]


def gathering(clock):
    """Two sources, and what is to be called in a moment."""
    facts = (fact("one"), replace(fact("other"), source="redis-2"))
    second = replace(redis_source(), id="redis-2")
    made = stack(
        facts={item.id: item for item in facts}, gates=(), echoes=(), alarms=(), services=(),
        sources={"redis": redis_source(), "redis-2": second},
    )  # fmt: skip
    moment = []
    store = Store(made, clock, AlarmBook(made, clock.now()), lambda: None, soon=moment.append)
    readers = [Scripted(), Scripted()]
    tasks = [
        FactTask(source, [item], reader, store)
        for source, item, reader in zip((redis_source(), second), facts, readers, strict=True)
    ]
    readers[0].answer, readers[1].answer = {"one": Found(1)}, {"other": Found(2)}
    pollers = [Poller(task._source, lambda task=task: task, store, clock) for task in tasks]
    return pollers, readers, store, moment


async def test_answers_of_several_sources_in_one_moment_are_one_board(fake_clock):
    pollers, readers, store, moment = gathering(fake_clock)
    await pollers[0].once()
    await pollers[1].once()
    assert store.board.seq == 0
    assert set(outcomes(store).values()) == {Outcome.NEVER}
    (publish,) = moment
    publish()
    assert store.board.seq == 1
    assert set(outcomes(store).values()) == {Outcome.OK}
    assert {health.is_up for health in store.board.sources.values()} == {True}
    readers[0].answer = SourceError("refused")
    await pollers[0].once()
    moment[1]()
    assert outcomes(store) == {"one": Outcome.FAILED, "other": Outcome.OK}
    assert store.board.sources["redis"].is_up is False


async def test_of_sources_that_are_silent_there_is_a_board_at_each_look(fake_clock):
    _, _, store, _ = gathering(fake_clock)
    for looks in range(1, 4):
        fake_clock.advance(TICK)
        store.tick()
        assert store.board.seq == looks
        store.tick()
        assert store.board.seq == looks


async def test_a_board_made_meanwhile_for_another_reason_has_what_was_answered(fake_clock):
    pollers, _, store, moment = gathering(fake_clock)
    await pollers[0].once()
    fake_clock.advance(TICK)
    store.tick()
    assert outcomes(store) == {"one": Outcome.OK, "other": Outcome.NEVER}
    moment[0]()
    assert store.board.seq == 1
    await pollers[1].once()
    moment[1]()
    assert outcomes(store) == {"one": Outcome.OK, "other": Outcome.OK}


async def test_what_a_run_shows_waits_for_no_answer_of_a_poll_and_keeps_it_for_the_next_board(fake_clock):
    """A stop begins with it: what is concluded from answers must not come first, nor hold it up."""
    pollers, _, store, moment = gathering(fake_clock)
    await pollers[0].once()
    store.show_run(Run("op-1", store.board.stack, "halt", "Halt", fake_clock.now(), ()))
    assert [run.operation for run in store.board.runs] == ["op-1"]
    assert set(outcomes(store).values()) == {Outcome.NEVER}
    moment[0]()
    assert outcomes(store) == {"one": Outcome.OK, "other": Outcome.NEVER}
    assert [run.operation for run in store.board.runs] == ["op-1"]


async def test_a_fact_the_source_forgot_is_failed_not_kept(fake_clock):
    poller, reader, store = make(fake_clock)
    reader.answer = {"fast": Found(1)}
    await poller.once()
    assert store.board.readings["slow"].outcome is Outcome.FAILED


async def test_a_hanging_source_fails_at_its_deadline(fake_clock):
    poller, reader, store = make(fake_clock)
    reader.answer = "hang"
    await poller.once()
    assert store.board.sources["redis"].error == "no answer within 0.5 s"
    assert set(outcomes(store).values()) == {Outcome.FAILED}


async def test_a_source_whose_client_cannot_be_loaded_has_failed_until_it_is(fake_clock, monkeypatch):
    """The program itself may be on a disk that hangs."""
    monkeypatch.setattr(poll, "LOADING", 0.05)
    poller, reader, store = make(fake_clock)
    reader.answer = {"fast": Found(1), "slow": Found(2)}
    made, load, goes_on = [], poller._make, threading.Event()

    def slowly():
        made.append(goes_on.wait(10))
        return load()

    poller._make = slowly
    for _ in range(2):
        await poller.once()
        assert store.board.sources["redis"].error.startswith("what reads it is still being loaded")
        assert set(outcomes(store).values()) == {Outcome.FAILED}
    goes_on.set()
    monkeypatch.setattr(poll, "LOADING", 10.0)
    await poller.once()
    assert set(outcomes(store).values()) == {Outcome.OK}
    assert made == [True]


async def test_a_fault_in_a_reader_is_shown_and_does_not_end_the_watching(fake_clock):
    poller, reader, store = make(fake_clock)
    reader.answer = KeyError("secret")
    await poller.once()
    assert store.board.sources["redis"].error == "the reader itself failed: KeyError"
    reader.answer = {"fast": Found(1), "slow": Found(2)}
    await poller.once()
    assert store.board.sources["redis"].is_up


async def test_every_change_is_a_new_board_and_the_old_one_stays_as_it_was(fake_clock):
    poller, reader, store = make(fake_clock)
    before = store.board
    reader.answer = {"fast": Found(1), "slow": Found(2)}
    await poller.once()
    assert store.board.seq == before.seq + 1
    assert store.board.changed_since(before) == {"fast", "slow"}
    assert {reading.outcome for reading in before.readings.values()} == {Outcome.NEVER}


async def test_a_poller_ends_when_it_is_cancelled_just_as_it_is_poked(fake_clock):
    poller, reader, _ = make(fake_clock)
    reader.answer = {"fast": Found(1), "slow": Found(2)}
    task = asyncio.create_task(poller.run())
    await asyncio.wait_for(reader.was_asked.wait(), 5)
    for _ in range(5):
        await asyncio.sleep(0)
    poller.poke()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=2)
    assert done


def waits(backoff, times=8):
    return [backoff.failed() for _ in range(times)]


def test_waiting_grows_to_half_a_minute_at_the_most_and_starts_anew_after_a_success():
    backoff = Backoff(1.0, lambda: 0.0)
    assert waits(backoff) == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 24.0]
    gate = Backoff(1.0, lambda: 0.0, longest=5.0)
    assert max(waits(gate)) == 5.0
    assert backoff.succeeded() == 1.0
    assert backoff.failed() == 1.0


def test_waiting_is_spread_by_up_to_a_quarter():
    half = [1.125, 1.125, 2.25, 4.5, 9.0, 18.0, 27.0, 27.0]
    assert waits(Backoff(1.0, lambda: 0.5)) == half
    assert max(waits(Backoff(1.0, lambda: 0.999))) == pytest.approx(30, abs=0.01)


async def test_sources_that_went_away_together_are_not_asked_again_together(fake_clock):
    """Each poller has a chance of its own, unless a test gives it one."""
    pauses = []
    for _ in range(8):
        poller, reader, _ = make(fake_clock)
        reader.answer = SourceError("refused")
        pauses.append(await poller.once())
    assert len(set(pauses)) == 8
    assert all(1.0 <= pause < 1.25 for pause in pauses)


async def test_no_poll_begins_while_something_urgent_has_the_loop(fake_clock, monkeypatch):
    poller, reader, _ = make(fake_clock)
    reader.answer = {"fast": Found(1), "slow": Found(2)}
    slept = []

    async def sleep(seconds):
        assert not reader.asked
        slept.append(seconds)
        fake_clock.advance(seconds)

    monkeypatch.setattr("backends.board.poll.asyncio.sleep", sleep)
    poller.hold(0.25)
    running = asyncio.create_task(poller.run())
    await reader.was_asked.wait()
    running.cancel()
    assert slept == [0.25]
