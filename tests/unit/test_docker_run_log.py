"""Whether a run of a container ever wrote a line: what left the newest lines was written all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, ValueType
from backends.model.query import DockerQuery
from backends.model.stamp import to_ns, to_stamp
from backends.readers import docker_fact
from backends.readers.docker_fact import DockerFactReader
from tests.contract.docker_place import source, spec

SECOND = 1_000_000_000
HALT = Fact(
    "halted", "H", "G", "docker",
    DockerQuery("log", "one", pattern="Bot shutdown active", tail=10, since_start=True), ValueType.BOOL,
)  # fmt: skip


class Engine:
    """One container whose log keeps every line; ``longest`` lines are all it can be asked for at once."""

    def __init__(self) -> None:
        self.now = to_ns(b"2026-01-17T10:00:00.000000000Z")
        self.log: list[tuple[int, str]] = []
        self.started = self.finished = self.now
        self.is_running = True
        self.longest = 10_000
        self.asked: list[Mapping[str, str]] = []

    def say(self, line: str, times: int = 1) -> None:
        for _ in range(times):
            self.now += SECOND
            self.log.append((self.now, line))

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
        whole, _, part = params.get("since", "0").partition(".")
        since = int(whole) * SECOND + int(part.ljust(9, "0") or 0)
        kept = [(at, line) for at, line in self.log if at >= since]
        if "tail" in params:
            kept = kept[-int(params["tail"]) :]
        elif len(kept) > self.longest:
            raise SourceError("Docker's answer is longer than 32 MiB")
        return b"".join(to_stamp(at) + b" " + line.encode() + b"\n" for at, line in kept)

    def close(self) -> None:
        return


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(docker_fact, "DockerClient", made)
    return made


@pytest.fixture
def reader(engine: Engine) -> DockerFactReader:
    return DockerFactReader(source("unix:///nowhere"), [spec("one", "cr-one")])


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
