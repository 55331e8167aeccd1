"""The journal of units, followed: a real journald's, and the demo's stand-in for it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from backends.logs.ring import LogRing
from backends.model.clock import SystemClock
from backends.model.logline import LogLevel
from backends.model.stack import LogGrammar, ServiceSpec
from backends.readers.systemd import SystemdServiceReader
from tests.contract.systemd_place import KINDS, Place, place, source
from tests.servers.process import wait_until

Rows = list[tuple[str, LogLevel, str]]


@pytest.fixture(scope="module", params=KINDS)
def systemd(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(str(request.param)) as it:
        yield it


@pytest.fixture(autouse=True)
def _the_users_systemd_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")


class Followed:
    """A reader that follows, and the rows it has brought."""

    def __init__(self, systemd: Place, scope: str, units: tuple[str, ...]) -> None:
        self.ring = LogRing(LogGrammar(()), patience=0.0)
        specs = [ServiceSpec(unit, (f"{unit}.service",), "a part", "systemd") for unit in units]
        self.reader = SystemdServiceReader(source(systemd, scope), specs, SystemClock(), self.ring)

    async def rows(self, is_enough: Callable[[list[str]], bool]) -> Rows:
        """All of them, once there are enough."""
        until = time.monotonic() + 20
        while True:
            rows = self.ring.window(self.ring.first, 1000)
            if is_enough([str(row.text) for row in rows]):
                return [(row.service, row.level, str(row.text)) for row in rows]
            assert time.monotonic() < until, "\n".join(map(str, rows))
            await asyncio.sleep(0.02)

    async def until(self, *last: str) -> Rows:
        """The rows up to and with the ones that were said last."""
        return await self.rows(lambda texts: texts[-len(last) :] == list(last))


@asynccontextmanager
async def followed(systemd: Place, *units: str, scope: str = "") -> AsyncIterator[Followed]:
    it = Followed(systemd, scope, units)
    await it.reader.services()
    try:
        yield it
    finally:
        await it.reader.close()


async def test_the_past_is_read_and_then_what_comes_and_only_of_these_units(systemd: Place) -> None:
    systemd.say("bot.service", "before the room")
    systemd.say("user.service", "not of these")
    async with followed(systemd, "bot", "desk") as it:
        await it.until("before the room")
        systemd.say("bot.service", "after that", priority=2)
        rows = await it.until("<crit> after that")
        assert rows[-1] == ("bot", LogLevel.CRITICAL, "<crit> after that")
        assert "not of these" not in [text for _, _, text in rows]


async def test_what_a_unit_says_as_a_regular_user_is_its_own_all_the_same(systemd: Place) -> None:
    """journald keeps such lines in the user's file, beside the system's."""
    async with followed(systemd, "user") as it:
        systemd.say("user.service", "filled an order")
        assert (await it.until("filled an order"))[-1][0] == "user"


async def test_the_users_own_units_are_followed(systemd: Place) -> None:
    async with followed(systemd, "blue", scope="user") as it:
        systemd.say("blue.service", "colour is blue", scope="user")
        assert (await it.until("colour is blue"))[-1][0] == "blue"


@pytest.mark.parametrize(
    ("message", "rows"),
    [
        ("🛑 halted", ["🛑 halted"]),
        ("first\n\nthird", ["first", "", "third"]),
        ("a\tb", ["a    b"]),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07", ["red \\x1b]0;title\\x07"]),
        (b"price \xff\xfe9", ["price \\xff\\xfe9"]),
        (b"x" * 5000, ["(longer than journalctl tells)"]),
    ],
    ids=["signs", "several lines", "tab", "escape sequences", "not UTF-8", "long"],
)
async def test_whatever_a_unit_says_is_text_that_does_nothing_to_a_terminal(
    systemd: Place, message: str | bytes, rows: list[str]
) -> None:
    async with followed(systemd, "bot") as it:
        systemd.say("bot.service", message)
        await it.until(*rows)  # journald keeps no order between its sockets
        systemd.say("bot.service", f"after {rows}")
        found = await it.until(f"after {rows}")
        assert [text for _, _, text in found[-1 - len(rows) : -1]] == rows


async def test_it_goes_on_where_it_broke_and_reads_nothing_twice(systemd: Place) -> None:
    async with followed(systemd, "bot") as it:
        systemd.say("bot.service", "the last before")
        before = await it.until("the last before")
        for pid in systemd.followers():
            with suppress(ProcessLookupError):  # of one that has just ended by itself
                os.kill(pid, signal.SIGKILL)
        systemd.say("bot.service", "while nobody followed")
        systemd.say("bot.service", "and then")
        after = await it.until("while nobody followed", "and then")
        assert after[: len(before)] == before
        assert len(after) == len(before) + 2


async def test_its_program_ends_with_it(systemd: Place) -> None:
    async with followed(systemd, "bot") as it:
        systemd.say("bot.service", "last words")
        await it.until("last words")
        assert systemd.followers()
    wait_until(lambda: not systemd.followers(), what="its end")
