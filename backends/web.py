"""Connections to services over HTTP, for who reads and for who writes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final, Self

import httpcore
import httpx

from backends.whereabouts import Whereabouts
from backends.wire import Wire, connected

AT_ONCE: Final = 8
"""Requests to one service at the same time; so many connections are kept for the next ones."""

KEPT: Final = 4.0
"""Seconds for which a connection is kept that nobody uses. Many servers close it after five: what is sent at
that moment would be lost."""

Origin = tuple[str, str, int | None]
_HEADERS: Final = (
    (b"User-Agent", b"controlroom"),
    (b"Accept-Encoding", b"identity"),
    (b"Accept", b"*/*"),
)

_FAULTS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
)
_ELSEWHERE: Final = range(300, 400)
_WITH_BODY: Final = ("POST", "PUT", "PATCH")


class Answer:
    """The head of an answer, and the way to its body."""

    def __init__(self, response: httpcore.Response) -> None:
        self.status: int = response.status
        self._response = response

    def header(self, name: str) -> str:
        """Of the head, by its name in lower case; empty when there is none."""
        wanted = name.encode("ascii")
        found = (value for key, value in self._response.headers if key.lower() == wanted)
        return b", ".join(found).decode("latin-1")

    @property
    def is_encoded(self) -> bool:
        """Whether its body is compressed, which was not asked for."""
        return self.header("content-encoding").lower() not in ("", "identity")

    @property
    def location(self) -> str:
        """Where it says to look instead; empty when it does not."""
        return self.header("location") if self.status in _ELSEWHERE else ""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises httpx.HTTPError."""
        try:
            async for piece in self._response.aiter_stream():
                yield piece
        except _FAULTS as fault:
            raise _told(fault) from fault


class _Connection(httpcore.AsyncHTTP11Connection):
    """One, with what it leads over."""

    def __init__(self, place: httpcore.Origin, wire: Wire) -> None:
        super().__init__(place, wire, keepalive_expiry=KEPT)
        told = wire.get_extra_info("server_addr")
        self.peer: str | None = str(told[0]) if isinstance(told, tuple) else None
        """The address of the machine that answers."""

    @property
    def is_clean(self) -> bool:
        """Whether it can take another request: what came after an answer would be the answer to that."""
        return self.is_idle() and not self._h11_state.trailing_data[0]


class _Service:
    """The connections to one service that nobody uses now."""

    def __init__(self) -> None:
        self.idle: list[_Connection] = []
        self.whereabouts = Whereabouts()


class Web:
    """Connections, and nothing else that its users would share. No proxies, cookies, redirects or retries:
    what one source was given is sent to no other. A request that is given up takes its connection with it.

    They share one TLS context, made when the first service wants it: that takes longer than all else.
    """

    def __init__(self) -> None:
        """Loads what would else be loaded at the first request, on the loop: call it in a thread."""
        import_module("anyio._backends._asyncio")
        self._tls: asyncio.Future[ssl.SSLContext] | None = None
        self._services: dict[Origin, _Service] = {}
        self._used: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        timeout: float,
        connect: float | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> AsyncIterator[Answer]:
        """The answer to one request, of which only the head was read. ``timeout``: seconds for each piece of
        the answer, and for connecting unless ``connect`` says how many that may take. Raises httpx.HTTPError
        and httpx.InvalidURL."""
        url = httpx.URL(url)
        if params:
            url = url.copy_merge_params(params)
        place = origin(url)
        request = httpcore.Request(
            method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/"
            ),
            headers=[(b"Host", url.netloc), *_HEADERS, *_encoded(headers or {}, method, content)],
            content=content,
            extensions={"timeout": {"read": timeout, "write": timeout}},
        )
        try:
            service = await self._service(place)
            connection, response = await self._asked(service, request, connect or timeout)
            try:
                try:
                    yield Answer(response)
                finally:
                    await response.aclose()
            finally:
                self._used.discard(connection)
                is_known = self._services.get(place) is service and len(service.idle) < AT_ONCE
                if is_known and connection.is_clean:
                    service.idle.append(connection)
                else:
                    await connection.aclose()
        except _FAULTS as fault:
            raise _told(fault) from fault

    async def _service(self, place: Origin) -> _Service:
        """Its connections; none where its name leads to another machine by now."""
        if place[0] not in ("http", "https") or not place[1]:
            raise httpcore.UnsupportedProtocol("no address of an HTTP service")
        kept = self._services.setdefault(place, _Service())
        if kept.idle and await kept.whereabouts.has_moved(place[1], kept.idle[0].peer):
            self._services[place] = _Service()
            await _close(kept.idle)
        return self._services.setdefault(place, _Service())

    async def _asked(
        self, service: _Service, request: httpcore.Request, seconds: float
    ) -> tuple[_Connection, httpcore.Response]:
        """The head of the answer, and what it came over. A question is asked again where a kept connection
        ended instead of an answer: its server closed it meanwhile. What may act is sent once."""
        while True:
            connection = await self._taken(service, request.url, seconds)
            may_ask_again = connection.is_idle() and request.method == b"GET"
            self._used.add(connection)
            try:
                return connection, await connection.handle_async_request(request)
            except BaseException as fault:
                self._used.discard(connection)
                await connection.aclose()
                is_cut = isinstance(fault, (httpcore.RemoteProtocolError, httpcore.NetworkError))
                if not (may_ask_again and is_cut):
                    raise

    async def _taken(self, service: _Service, url: httpcore.URL, seconds: float) -> _Connection:
        """One that was used before and lives, or a new one."""
        await _close([each for each in service.idle if each.has_expired()])
        service.idle = [each for each in service.idle if not each.is_closed()]
        if service.idle:
            return service.idle.pop()
        tls = await self.context() if url.scheme == b"https" else None
        host = url.host.decode("ascii")
        wire = await connected(host, url.origin.port, seconds)
        return _Connection(url.origin, wire if tls is None else await wire.start_tls(tls, host, seconds))

    async def context(self) -> ssl.SSLContext:
        """Made once, beside the loop, and to its end whether or not who waits for it has the time."""
        if self._tls is None:
            self._tls = asyncio.ensure_future(asyncio.to_thread(_made))
        return await asyncio.shield(self._tls)

    async def aclose(self) -> None:
        """Whoever still waits for an answer gets none."""
        services, self._services = self._services, {}
        await _close([*self._used, *(each for service in services.values() for each in service.idle)])


def _made() -> ssl.SSLContext:
    tls = httpx.create_ssl_context(trust_env=False)
    tls.set_alpn_protocols(["http/1.1"])
    return tls


async def _close(connections: Iterable[_Connection]) -> None:
    for each in connections:
        await each.aclose()


def origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port


def _encoded(headers: Mapping[str, str], method: str, content: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers.items():
        yield name.encode("ascii"), value.encode("ascii")
    if content or method in _WITH_BODY:
        yield b"Content-Length", b"%d" % len(content)


def _told(fault: Exception) -> httpx.HTTPError:
    """The same fault as httpx names it, which is what the rest of the house knows."""
    # It has no name for a connection that was closed before anything was sent over it.
    kind: type[httpx.HTTPError] = getattr(httpx, type(fault).__name__, httpx.ConnectError)
    return kind(str(fault))
