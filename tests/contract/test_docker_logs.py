"""Following logs through a real engine and the demo's: every line once, in order, whatever happens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

import pytest

from backends.logs.ring import LogRing
from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.service import RunState
from backends.model.stack import LogGrammar
from backends.model.stamp import STAMP, to_ns
from backends.readers.docker import DockerServiceReader
from tests.contract.docker_place import PLACES, Place, find_place, poll_until, reading, spec
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

pytestmark = DOCKER

T = TypeVar("T")


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return find_place(request.param, request)


@pytest.fixture
def ring() -> LogRing:
    return LogRing(LogGrammar(()))


def rows(ring: LogRing, service: str, *, marked: bool = False) -> list[LogLine]:
    """The rows of one service: its lines, or its marks."""
    every = ring.window(ring.first, ring.end)
    plain = (None, Marker.LATE)
    return [row for row in every if row.service == service and (row.marker not in plain) is marked]


async def poll_rows(
    reader: DockerServiceReader, is_so: Callable[[], T], seconds: float = 30.0, what: str = "a line"
) -> T:
    """Poll, as the engine does, until the ring holds what is waited for."""
    return await poll_until(reader, lambda _: is_so(), seconds, what, forgive=True)


def is_whole(place: Place, name: str, got: list[LogLine]) -> bool:
    """Whether every line came that the container wrote between the first and the last of these, and no other.

    Between two streams of one container an engine keeps no order: near either end one of them may be ahead.
    """
    raw = place.client.api.logs(name, timestamps=True).decode().splitlines()
    said = {(to_ns(line[:STAMP].encode()) / 1e9, line.split(" ", 1)[1]) for line in raw}
    came = {(row.at or 0.0, str(row.text)) for row in got}
    first, last = min(came)[0], max(came)[0]
    return came <= said and {line for line in said if first + 0.1 < line[0] < last - 1.0} <= came


def _seconds(came: list[LogLine]) -> float:
    """Between the first and the last of them."""
    return (came[-1].at or 0.0) - (came[0].at or 0.0)


async def test_the_log_of_a_running_container_is_followed(place: Place, ring: LogRing) -> None:
    async with reading(place.url, place.specs(), logs=ring) as reader:
        await poll_rows(reader, lambda: rows(ring, place.chatty))
        count = len(rows(ring, place.chatty))
        await poll_rows(reader, lambda: len(rows(ring, place.chatty)) >= count + 3, what="more lines")
        await poll_rows(reader, lambda: _seconds(rows(ring, place.chatty)) >= 3.0, what="some seconds of it")
        got = rows(ring, place.chatty)
    assert all(row.at is not None for row in got)
    assert is_whole(place, place.chatty, got)


async def test_when_the_thread_that_follows_ends_another_goes_on_and_a_gap_says_so(
    place: Place, ring: LogRing
) -> None:
    async with reading(place.url, place.specs(), logs=ring) as reader:
        await poll_rows(reader, lambda: rows(ring, place.chatty))
        ended = reader._streams._pump
        assert ended is not None
        ended.stop(grace=10.0)
        assert not ended.is_alive
        count = len(rows(ring, place.chatty))
        await poll_rows(reader, lambda: len(rows(ring, place.chatty)) >= count + 3, what="more lines")
        gaps = await poll_rows(
            reader, lambda: [row for row in rows(ring, place.chatty, marked=True) if row.marker is Marker.GAP]
        )
        got = [(row.at, row.text) for row in rows(ring, place.chatty)]
    assert [gap.text for gap in gaps] == [
        "lines may be missing here: what follows the logs ended and was started again"
    ]
    assert len(got) == len(set(got))


async def test_a_restart_loses_no_line_repeats_none_and_is_shown(place: Place, ring: LogRing) -> None:
    async with reading(place.url, place.specs(), logs=ring) as reader:
        await poll_rows(reader, lambda: rows(ring, place.chatty))
        place.client.api.restart(place.chatty, timeout=1)
        count = len(rows(ring, place.chatty))
        await poll_rows(reader, lambda: len(rows(ring, place.chatty)) >= count + 3, what="lines after it")
        await poll_rows(reader, lambda: "container started" in _marks(ring, place.chatty))
        got = rows(ring, place.chatty)
        marks = _marks(ring, place.chatty)
    assert len(got) == len({(row.at, row.text) for row in got})
    assert is_whole(place, place.chatty, got)
    assert any(mark.startswith("container ended") for mark in marks)
    assert not any("may be missing" in mark for mark in marks)


def _marks(ring: LogRing, service: str) -> list[str]:
    return [row.text for row in rows(ring, service, marked=True)]


async def test_a_container_that_is_not_to_be_followed_is_not(place: Place, ring: LogRing) -> None:
    specs = [spec(place.chatty, is_followed=False), spec(place.healthy)]
    async with reading(place.url, specs, logs=ring) as reader:
        await poll_until(reader, lambda found: found[place.chatty].usage.memory, what="the streams")
        place.client.api.restart(place.chatty, timeout=1)
        await poll_rows(reader, lambda: "container started" in _marks(ring, place.chatty))
        assert rows(ring, place.chatty) == []


# ── What only a real engine can be brought to do ─────────────────────────────────────────────────────


async def test_what_a_container_printed_before_it_died_is_there(
    docker_engine: DockerEngine, ring: LogRing
) -> None:
    dead = docker_engine.run("cr-dead", "echo ERROR last words; exit 1")
    dead.wait()
    try:
        async with reading(docker_engine.url, [spec("cr-dead")], logs=ring) as reader:
            await poll_rows(reader, lambda: rows(ring, "cr-dead"))
    finally:
        dead.remove(force=True)
    assert [(row.text, row.level) for row in rows(ring, "cr-dead")] == [("ERROR last words", LogLevel.ERROR)]


async def test_every_line_of_every_run_of_a_crash_loop_comes_once(
    docker_engine: DockerEngine, ring: LogRing
) -> None:
    script = "echo run; echo more >&2; exit 3"
    loop = docker_engine.run("cr-loop", script, restart_policy={"Name": "always"})
    try:
        async with reading(docker_engine.url, [spec("cr-loop")], logs=ring) as reader:
            await poll_rows(reader, lambda: len(rows(ring, "cr-loop")) >= 8, 20.0, "four runs")
            loop.stop(timeout=0)
            said = sorted(loop.logs().decode().splitlines())
            await poll_rows(reader, lambda: len(rows(ring, "cr-loop")) >= len(said), what="the last run")
    finally:
        loop.remove(force=True)
    assert sorted(row.text for row in rows(ring, "cr-loop")) == said
    assert "container ended, exit code 3" in _marks(ring, "cr-loop")


async def test_a_container_made_later_is_followed_from_its_first_line(
    docker_engine: DockerEngine, ring: LogRing
) -> None:
    async with reading(docker_engine.url, [spec("cr-late"), spec("cr-nocheck")], logs=ring) as reader:
        await reader.services()
        late = docker_engine.run("cr-late", "echo first; sleep 60")
        try:
            await poll_rows(reader, lambda: rows(ring, "cr-late"))
        finally:
            late.remove(force=True)
        await poll_rows(reader, lambda: "container removed" in _marks(ring, "cr-late"))
        again = docker_engine.run("cr-late", "echo second life; sleep 60")
        try:
            await poll_rows(reader, lambda: len(rows(ring, "cr-late")) == 2)
        finally:
            again.remove(force=True)
    assert [row.text for row in rows(ring, "cr-late")] == ["first", "second life"]


async def test_an_engine_that_is_cut_off_and_comes_back_loses_no_line(
    docker_engine: DockerEngine, ring: LogRing, cut: Cut
) -> None:
    talker = docker_engine.run("cr-talker", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")
    try:
        async with reading(f"unix://{cut.path}", [spec("cr-talker")], logs=ring) as reader:
            # Events, statistics and the log: what is not open yet is not cut off.
            await poll_rows(reader, lambda: len(rows(ring, "cr-talker")) > 20 and cut.open >= 3)
            cut.sever()
            count = len(rows(ring, "cr-talker"))
            await poll_rows(reader, lambda: len(rows(ring, "cr-talker")) > count + 50, what="more")
    finally:
        talker.remove(force=True)
    numbers = [int(row.text) for row in rows(ring, "cr-talker")]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert cut.severed >= 3


async def test_a_container_with_a_terminal_is_read_without_frames(
    docker_engine: DockerEngine, ring: LogRing
) -> None:
    terminal = docker_engine.run("cr-tty", "echo one; echo two >&2; sleep 60", tty=True)
    try:
        async with reading(docker_engine.url, [spec("cr-tty")], logs=ring) as reader:
            await poll_rows(reader, lambda: len(rows(ring, "cr-tty")) == 2)
    finally:
        terminal.remove(force=True)
    assert [row.text for row in rows(ring, "cr-tty")] == ["one", "two"]


async def test_long_lines_and_bytes_that_are_no_text_come_through(
    docker_engine: DockerEngine, ring: LogRing
) -> None:
    script = (
        "head -c 40000 /dev/zero | tr '\\0' a; echo; head -c 3000000 /dev/zero | tr '\\0' b; echo;"
        "printf '\\377\\000\\033[2Jz\\n'; sleep 60"
    )
    odd = docker_engine.run("cr-odd", script)
    try:
        async with reading(docker_engine.url, [spec("cr-odd")], logs=ring) as reader:
            await poll_rows(reader, lambda: len(rows(ring, "cr-odd")) == 3)
    finally:
        odd.remove(force=True)
    long, huge, binary = (row.text for row in rows(ring, "cr-odd"))
    assert re.fullmatch(r"a{4096}… \+35904 bytes", long)
    assert re.fullmatch(r"b{4096}… \+2995904 bytes", huge)
    # What is no UTF-8 the engine itself replaces in its log file.
    assert binary == "\ufffd\\x00\\x1b[2Jz"


async def test_a_log_the_engine_cannot_read_says_so(docker_engine: DockerEngine, ring: LogRing) -> None:
    mute = docker_engine.run("cr-mute", "echo lost; sleep 60", log_config={"Type": "none", "Config": {}})
    try:
        async with reading(docker_engine.url, [spec("cr-mute")], logs=ring) as reader:
            await poll_rows(reader, lambda: _marks(ring, "cr-mute"))
    finally:
        mute.remove(force=True)
    assert re.match(
        r"this log cannot be read: Docker answered \d+: .*logging driver", _marks(ring, "cr-mute")[0]
    )


async def test_closing_ends_the_thread_and_every_connection(docker_engine: DockerEngine, cut: Cut) -> None:
    async with reading(f"unix://{cut.path}", [spec("cr-chatty")], logs=LogRing(LogGrammar(()))) as reader:
        await poll_until(reader, lambda found: found["cr-chatty"].state is RunState.RUNNING)
        until = monotonic() + 20
        while cut.open < 3:  # events, statistics and the log
            assert monotonic() < until
            await asyncio.sleep(0.02)
    until = monotonic() + 20
    while cut.open:
        assert monotonic() < until, f"{cut.open} connections are still open"
        await asyncio.sleep(0.02)


class Cut:
    """A unix socket in front of the engine's own, whose connections can all be broken at once."""

    def __init__(self, path: str, target: str) -> None:
        self.path = path
        self.severed = 0
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._pairs = 0

    @property
    def open(self) -> int:
        return self._pairs

    def sever(self) -> None:
        """Break every connection there is, without a word."""
        self.severed += self._pairs
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, inner_writer}
        self._pairs += 1
        try:
            await asyncio.wait(
                [
                    asyncio.ensure_future(_copy(reader, inner_writer)),
                    asyncio.ensure_future(_copy(inner_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._pairs -= 1
            self._writers -= {writer, inner_writer}
            writer.transport.abort()
            inner_writer.transport.abort()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            to.write(data)
            await to.drain()
    except ConnectionError:
        return


@pytest.fixture
async def cut(docker_engine: DockerEngine, tmp_path):  # type: ignore[no-untyped-def]  # an async generator
    path = str(tmp_path / "cut.sock")
    made = Cut(path, docker_engine.socket)
    server = await asyncio.start_unix_server(made.serve, path)
    yield made
    server.close()
    made.sever()
