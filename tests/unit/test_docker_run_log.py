"""Whether a run of a container ever wrote a line: what left the newest lines was written all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, ValueType
from backends.model.query import DockerQuery
from backends.model.stamp import to_ns, to_stamp
from backends.readers import docker_fact, docker_look
from backends.readers.docker_fact import DockerFactReader
from backends.readers.docker_run import RunLogs
from tests.contract.docker_place import source, spec

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HALT = Fact(
    "halted", "H", "G", "docker",
    DockerQuery("log", "one", pattern="Bot shutdown active", tail=10, since_start=True), ValueType.BOOL,
)  # fmt: skip


PIECE = 16_384
"""Bytes of a line that the engine sends at once."""


def in_pieces(head: bytes, line: bytes) -> bytes:
    """A line as it comes in frames, each with the time again."""
    pieces = [head + line[at : at + PIECE] for at in range(0, len(line), PIECE)]
    return b"".join(b"\1\0\0\0" + len(each).to_bytes(4, "big") + each for each in pieces)


class Engine:
    """One container whose log keeps every line; ``longest`` lines are all it can be asked for at once."""

    def __init__(self) -> None:
        self.now = to_ns(b"2026-01-17T10:00:00.000000000Z")
        self.log: list[tuple[int, str]] = []
        self.started = self.finished = self.now
        self.is_running = True
        self.longest = 10_000
        self.asked: list[Mapping[str, str]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens while the whole log is read."""

    def say(self, line: str, times: int = 1) -> None:
        for _ in range(times):
            self.now += SECOND
            self.log.append((self.now, line))

    def rotate(self, kept: int = 0) -> None:
        """Its log keeps but the newest lines."""
        self.log = self.log[len(self.log) - kept :]

    def restart(self) -> None:
        self.now += SECOND
        self.finished = self.now
        self.now += SECOND
        self.started = self.now

    def __call__(self, *_args: object) -> Engine:
        return self

    async def follow(self) -> None:
        return

    def get(self, path: str, *_rest: object) -> Any:
        if path == "/containers/json":
            return [{"Id": "1", "Names": ["/cr-one"], "State": "running"}]
        stamps = {"StartedAt": self.started, "FinishedAt": self.finished}
        return {"State": {"Running": self.is_running} | {k: to_stamp(v).decode() for k, v in stamps.items()}}

    def read(self, _path: str, params: Mapping[str, str], _within: float) -> bytes:
        self.asked.append(params)
        if "tail" not in params:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        whole, _, part = params.get("since", "0").partition(".")
        since = int(whole) * SECOND + int(part.ljust(9, "0") or 0)
        kept = [(at, line) for at, line in self.log if at >= since]
        if "tail" in params:
            # The newest one may be a long line: each of its pieces counts.
            left = int(params["tail"])
            kept = [each for each in reversed(kept) if (left := left - 1 - len(each[1]) // PIECE) >= 0][::-1]
        elif len(kept) > self.longest:
            raise SourceError("Docker's answer is longer than 32 MiB")
        return b"".join(in_pieces(to_stamp(at) + b" ", line.encode() + b"\n") for at, line in kept)

    def close(self) -> None:
        return


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(docker_fact, "DockerClient", made)
    monkeypatch.setattr(docker_look, "time_ns", lambda: made.now)
    return made


@pytest.fixture
def reader(engine: Engine) -> DockerFactReader:
    return one_more(RunLogs())


def one_more(runs: RunLogs) -> DockerFactReader:
    return DockerFactReader(source("unix:///nowhere"), [spec("one", "cr-one")], runs)


async def look(reader: DockerFactReader) -> Finding:
    return (await reader.read([HALT]))["halted"]


async def test_what_a_run_wrote_once_stays_written_however_much_it_writes_after(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("began")
    assert await look(reader) == Found(False)
    engine.say("Bot shutdown active (strategy_id=paper)")
    assert await look(reader) == Found(True)
    engine.say("GET /status 200", 500)
    assert await look(reader) == Found(True)
    assert all("tail" in each for each in engine.asked), "nothing was read twice"


async def test_who_looks_for_the_first_time_late_looks_through_the_whole_run_once(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("Bot shutdown active (strategy_id=paper)")
    engine.say("GET /status 200", 500)
    assert await look(reader) == Found(True)
    engine.say("GET /status 200", 5)
    assert await look(reader) == Found(True)
    assert len([each for each in engine.asked if "tail" not in each]) == 1


async def test_a_run_that_was_looked_through_and_followed_since_is_known_not_to_have_written_it(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("GET /status 200", 500)
    assert await look(reader) == Found(False)
    for _ in range(5):
        engine.say("GET /status 200", 5)
        assert await look(reader) == Found(False)
    assert len([each for each in engine.asked if "tail" not in each]) == 1
    engine.say("Bot shutdown active (strategy_id=paper)")
    engine.say("GET /status 200", 50)
    assert await look(reader) == Found(True), "between two looks it came and went"


async def test_a_run_too_long_to_be_looked_through_is_unknown_and_never_a_no(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.longest = 100
    engine.say("GET /status 200", 500)
    found = await look(reader)
    assert isinstance(found, Broken)
    assert "not known" in found.why
    asked = len(engine.asked)
    assert isinstance(await look(reader), Broken)
    assert len(engine.asked) == asked + 1, "it is not read through again at every poll"
    engine.say("Bot shutdown active (strategy_id=paper)")
    assert await look(reader) == Found(True)


async def test_a_new_run_has_written_nothing_of_what_the_one_before_it_did(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("Bot shutdown active (strategy_id=paper)")
    assert await look(reader) == Found(True)
    engine.restart()
    engine.say("began")
    assert await look(reader) == Found(False)
    engine.say("GET /status 200", 500)
    assert await look(reader) == Found(False)
    engine.is_running = False
    assert await look(reader) == Absent()


async def test_what_a_run_wrote_stays_written_when_its_log_is_rotated_away(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("began")
    engine.say("Bot shutdown active (strategy_id=paper)")
    assert await look(reader) == Found(True)
    engine.say("GET /status 200", 3)
    engine.rotate(kept=2)
    assert await look(reader) == Found(True)
    engine.rotate()
    assert await look(reader) == Found(True), "nothing is left of it"


async def test_what_was_rotated_away_between_two_looks_is_not_known(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("began")
    assert await look(reader) == Found(False)
    engine.say("Bot shutdown active (strategy_id=paper)")
    engine.rotate()
    assert isinstance(await look(reader), Broken)
    engine.say("GET /status 200", 3)
    assert isinstance(await look(reader), Broken)
    assert all("tail" in each for each in engine.asked), "there is no more of it to be read"
    engine.say("Order blocked: Bot shutdown active")
    assert await look(reader) == Found(True)
    engine.restart()
    assert await look(reader) == Found(False), "this run has written nothing yet"


async def test_a_rotated_log_that_goes_back_to_what_was_seen_before_hides_nothing(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("began", 4)
    assert await look(reader) == Found(False)
    engine.say("GET /status 200", 2)
    engine.rotate(kept=3)
    assert await look(reader) == Found(False)


async def test_a_first_look_at_a_log_that_begins_long_after_its_run_does_not_know(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("Bot shutdown active (strategy_id=paper)", 100)
    engine.say("GET /status 200", 3)
    engine.rotate(kept=3)
    assert isinstance(await look(reader), Broken)
    engine.rotate()
    assert isinstance(await look(reader), Broken), "no line is left"


async def test_a_first_look_through_all_of_a_log_that_begins_long_after_its_run_does_not_know(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("Bot shutdown active (strategy_id=paper)", 100)
    engine.say("GET /status 200", 500)
    engine.rotate(kept=500)
    assert isinstance(await look(reader), Broken)


@pytest.mark.parametrize("lines", [3, 500])
async def test_a_run_that_was_quiet_for_long_is_known_when_the_log_goes_back_to_the_run_before(
    engine: Engine, reader: DockerFactReader, lines: int
) -> None:
    engine.say("stopping")
    engine.restart()
    engine.now += 10 * MINUTE
    engine.say("GET /status 200", lines)
    assert await look(reader) == Found(False)


FILLED = "Order filled: MOCK_1 at 50000"
DENIABLE = replace(HALT, query=replace(HALT.query, denied_by="Order filled: "))


async def look_for_fills(reader: DockerFactReader) -> Finding:
    return (await reader.read([DENIABLE]))["halted"]


@pytest.mark.parametrize("after", [3, 500])
async def test_what_no_run_writes_that_has_written_it_shows_that_a_rotated_log_hides_none(
    engine: Engine, reader: DockerFactReader, after: int
) -> None:
    engine.say("began", 100)
    engine.say("GET /status 200", 70)
    engine.say(FILLED)
    engine.say("GET /status 200", after)
    engine.rotate(kept=after + 71)
    assert await look_for_fills(reader) == Found(False)
    assert isinstance(await look(one_more(RunLogs())), Broken), "who is told of no such line does not know"


async def test_it_shows_nothing_of_what_may_have_been_written_while_that_line_was_made(
    engine: Engine, reader: DockerFactReader
) -> None:
    """An order that was taken just before the halt is filled just after it."""
    engine.say("began", 100)
    engine.say("Bot shutdown active (strategy_id=paper)")
    engine.say(FILLED)
    engine.rotate(kept=1)
    engine.say("GET /status 200", 100)
    assert isinstance(await look_for_fills(reader), Broken)


async def test_it_outweighs_nothing_that_was_seen_and_nothing_that_was_lost_since(
    engine: Engine, reader: DockerFactReader
) -> None:
    engine.say("GET /status 200", 100)
    engine.say(FILLED)
    engine.rotate(kept=90)
    assert await look_for_fills(reader) == Found(False)
    engine.say("GET /status 200", 100)
    engine.rotate(kept=80)
    assert isinstance(await look_for_fills(reader), Broken), "the log was not followed from then on"
    engine.now += 2 * MINUTE
    engine.say(FILLED)
    assert await look_for_fills(reader) == Found(False)
    engine.say("Bot shutdown active (strategy_id=paper)")
    engine.say(FILLED)
    assert await look_for_fills(reader) == Found(True)


async def test_a_run_that_has_written_nothing_yet_and_was_followed_is_known(
    engine: Engine, reader: DockerFactReader
) -> None:
    assert await look(reader) == Found(False)
    for _ in range(10):
        engine.now += MINUTE // 2
        assert await look(reader) == Found(False)
    engine.say("began")
    assert await look(reader) == Found(False)
    engine.now += 10 * MINUTE
    engine.say("GET /status 200")
    assert await look(reader) == Found(False)


async def test_a_long_line_counts_as_all_of_its_pieces(engine: Engine, reader: DockerFactReader) -> None:
    engine.say("Bot shutdown active (strategy_id=paper)")
    engine.say("x" * (7 * PIECE))
    engine.say("GET /status 200")
    engine.say("GET /status 200")
    assert await look(reader) == Found(True), "the newest ten pieces are three lines"


@pytest.mark.parametrize("tail", [1, 2])
async def test_the_last_line_alone_may_be_asked_for(
    engine: Engine, reader: DockerFactReader, tail: int
) -> None:
    one = replace(HALT, query=replace(HALT.query, tail=tail))
    for _ in range(2):
        assert (await reader.read([one]))["halted"] == Found(False)
    engine.say("Bot shutdown active (strategy_id=paper)")
    engine.say("GET /status 200", 5)
    assert (await reader.read([one]))["halted"] == Found(True)


async def test_what_one_reader_knows_of_a_run_no_other_reads_through_for(engine: Engine) -> None:
    runs = RunLogs()
    engine.say("GET /status 200", 500)
    assert await look(one_more(runs)) == Found(False)
    asked = len(engine.asked)
    assert await look(one_more(runs)) == Found(False)
    assert len(engine.asked) == asked + 1


async def test_who_looks_while_another_reads_all_of_it_does_not_wait(engine: Engine) -> None:
    runs = RunLogs()
    engine.say("GET /status 200", 500)
    found: list[Finding] = []
    engine.meanwhile = lambda: found.append(asyncio.run(look(one_more(runs))))
    assert await look(one_more(runs)) == Found(False)
    (of_the_other,) = found
    assert isinstance(of_the_other, Broken)
    assert await look(one_more(runs)) == Found(False)


async def test_what_was_seen_while_another_read_all_of_it_is_not_forgotten(engine: Engine) -> None:
    runs = RunLogs()
    engine.say("GET /status 200", 500)

    def halted() -> None:
        engine.longest = 0
        engine.say("Bot shutdown active (strategy_id=paper)")
        assert asyncio.run(look(one_more(runs))) == Found(True)
        engine.log.pop()
        engine.longest = 10_000

    engine.meanwhile = halted
    await look(one_more(runs))
    assert await look(one_more(runs)) == Found(True)
