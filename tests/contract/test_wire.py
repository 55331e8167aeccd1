"""What travels under HTTP: real sockets on loopback, plain and encrypted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import certifi
import httpcore
import httpx
import pytest

from backends import web as web_module
from backends.readers.failure import network_reason
from backends.web import Web
from backends.wire import Wire, connected
from tests.servers.certificates import certificates, serving

HERE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere"
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve, folder: Path | None = None) -> AsyncIterator[int]:
    """The port of a server, encrypted with the certificate in ``folder``."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    tls = None if folder is None else serving(folder)
    made = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    yield int(made.sockets[0].getsockname()[1])
    made.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def get(web: Web, url: str, timeout: float = 5.0) -> tuple[int, bytes]:
    async with web.stream("GET", url, timeout=timeout) as answer:
        return answer.status, b"".join([piece async for piece in answer.pieces()])


async def always_here(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(HERE)


async def test_a_service_is_read_over_tls_when_its_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates(tmp_path)
    made = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        await always_here(reader, writer)

    async with server(counted, tmp_path) as port, Web() as strict:
        with pytest.raises(httpx.ConnectError) as refused:
            await get(strict, f"https://127.0.0.1:{port}/")
        assert network_reason(refused.value, "it") == "the certificate of it is not trusted"

        monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "ca.pem"))
        async with Web() as web:
            for _ in range(3):
                assert await get(web, f"https://127.0.0.1:{port}/") == (200, b"here")
        assert made == 1


async def test_what_came_together_with_an_answer_is_not_taken_for_that_of_the_next_request() -> None:
    async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(HERE + TOO_LATE)

    async with server(talks) as port, Web() as web:
        for _ in range(3):
            assert await get(web, f"http://127.0.0.1:{port}/") == (200, b"here")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_question_is_asked_again_when_its_kept_connection_ends_and_an_order_is_not(
    method: str,
) -> None:
    asked = 0

    async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(HERE)
        await reader.readuntil(b"\r\n\r\n")  # and goes when it is asked once more
        asked += 1

    async with server(leaves) as port, Web() as web:
        url = f"http://127.0.0.1:{port}/"
        assert await get(web, url) == (200, b"here")
        if method == "GET":
            assert await get(web, url) == (200, b"here")
            assert asked == 3
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                async with web.stream("POST", url, timeout=5.0):
                    pass
            assert asked == 2


async def test_a_server_that_never_answers_is_not_asked_for_ever() -> None:
    asked = 0

    async def leaves(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1

    async with server(leaves) as port, Web() as web:
        with pytest.raises(httpx.RemoteProtocolError):
            await asyncio.wait_for(get(web, f"http://127.0.0.1:{port}/"), 5.0)
        assert asked == 1


async def test_a_connection_is_left_before_servers_leave_it_after_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert web_module.KEPT < 5
    monkeypatch.setattr(web_module, "KEPT", 0.0)
    made = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        await always_here(reader, writer)

    async with server(counted) as port, Web() as web:
        for _ in range(2):
            assert await get(web, f"http://127.0.0.1:{port}/") == (200, b"here")
    assert made == 2


async def test_of_many_requests_at_once_eight_connections_are_kept_for_the_next() -> None:
    made = left = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made, left
        made += 1
        try:
            await always_here(reader, writer)
        except asyncio.IncompleteReadError:
            left += 1

    async with server(counted) as port, Web() as web:
        for opened in (12, 12 + 4):
            await asyncio.gather(*(get(web, f"http://127.0.0.1:{port}/") for _ in range(12)))
            for _ in range(10):
                await asyncio.sleep(0)
            assert (made, made - left) == (opened, 8)


async def test_who_still_waits_when_all_is_closed_gets_no_answer() -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with server(silent) as port, Web() as web:
        waiting = asyncio.ensure_future(get(web, f"http://127.0.0.1:{port}/", timeout=60.0))
        await asked.wait()
        await web.aclose()
        with pytest.raises(httpx.HTTPError):
            await asyncio.wait_for(waiting, 5.0)


async def test_a_server_that_does_not_shake_hands_holds_up_nobody_longer_than_it_may(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(silent) as port, Web() as web:
        with pytest.raises(httpx.ConnectTimeout):
            await get(web, f"https://127.0.0.1:{port}/", timeout=0.2)


@pytest.mark.parametrize("turns", [0, 10], ids=["as it comes", "when it has come"])
async def test_an_answer_that_nobody_asked_for_is_not_taken_for_that_of_the_next_request(turns: int) -> None:
    said: list[asyncio.StreamWriter] = []

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(writer)
        await always_here(reader, writer)

    async with server(hasty) as port, Web() as web:
        assert await get(web, f"http://127.0.0.1:{port}/") == (200, b"here")
        said[0].write(TOO_LATE)
        await said[0].drain()
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(3):
            assert await get(web, f"http://127.0.0.1:{port}/") == (200, b"here")
        assert len(said) == 2, "the connection that spoke out of turn was left, the next one is kept"


@pytest.mark.parametrize("is_seen", [True, False], ids=["the loop has seen it", "it has not yet"])
async def test_a_connection_that_the_server_has_closed_is_not_asked_again(is_seen: bool) -> None:
    said: list[asyncio.StreamWriter] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(writer)
        await always_here(reader, writer)

    async with server(once) as port:
        wire = await connected("127.0.0.1", port, 5.0)
        await wire.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await wire.read(1000, 5.0) == HERE
        assert not wire.get_extra_info("is_readable")
        said[0].get_extra_info("socket").shutdown(socket.SHUT_WR)
        if is_seen:
            assert await wire.read(1000, 5.0) == b""
        assert wire.get_extra_info("is_readable")
        await wire.aclose()


async def test_no_more_is_taken_from_a_server_that_talks_than_is_read_of_it() -> None:
    written = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            written += 65_536

    async def stopped() -> bool:
        before = written
        await asyncio.sleep(0.1)
        return written == before > 0

    async with server(flood) as port:
        wire = await connected("127.0.0.1", port, 5.0)
        for _ in range(30):
            if await stopped():
                break
        else:
            pytest.fail("it goes on")
        kept = written
        while written == kept:
            assert 0 < len(await wire.read(65_536, 5.0)) <= 65_536
        await wire.aclose()


async def test_what_a_broken_connection_still_said_is_read_before_it_is_told() -> None:
    gone = asyncio.Event()

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"last words")
        await writer.drain()
        wire = writer.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # its end is a reset
        await reader.readexactly(1)
        writer.transport.abort()
        for _ in range(10):
            await asyncio.sleep(0)  # closed, and heard by the other side
        gone.set()

    async with server(breaks) as port:
        wire = await connected("127.0.0.1", port, 5.0)
        await wire.write(b"a")
        assert await wire.read(4, 5.0) == b"last"
        await wire.write(b"b")
        await gone.wait()
        assert await wire.read(1000, 5.0) == b" words"
        with pytest.raises(httpcore.ReadError):
            await wire.read(1000, 5.0)
        with pytest.raises(httpcore.WriteError):
            await wire.write(b"c")
        await wire.aclose()


async def test_a_name_with_several_addresses_at_which_nobody_listens_is_told_like_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with server(always_here) as port:
        pass
    kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    both = [(*kinds, (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", lambda *_, **__: asyncio.sleep(0, both))
    async with Web() as web:
        with pytest.raises(httpx.ConnectError) as refused:
            await get(web, f"http://both.example:{port}/")
    assert network_reason(refused.value, "it") == "it refuses the connection: nothing listens there"


async def test_a_name_whose_first_address_is_silent_is_reached_at_its_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.2", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())  # its queue is full: nobody else gets an answer
        async with server(always_here) as port:
            kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            both = [(*kinds, deaf.getsockname()), (*kinds, ("127.0.0.1", port))]
            loop = asyncio.get_running_loop()
            monkeypatch.setattr(loop, "getaddrinfo", lambda *_, **__: asyncio.sleep(0, both))
            wire = await connected("both.example", port, 5.0)
            assert wire.get_extra_info("server_addr") == ("127.0.0.1", port)
            await wire.aclose()
        for filler in fillers:
            filler.close()


async def test_a_wire_that_leads_nowhere_is_said_to_be_over() -> None:
    assert Wire().get_extra_info("is_readable") is None
    with pytest.raises(httpcore.WriteError):
        await Wire().write(b"a")
