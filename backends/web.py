"""Connections to services over HTTP, for who reads and for who writes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final, Self

import httpcore
import httpx

from backends.whereabouts import Whereabouts
from backends.wire import Network

AT_ONCE: Final = 8
"""Requests to one service at the same time."""
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
)
_ELSEWHERE: Final = range(300, 400)
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_NETWORK: Final = Network()


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


class _Service:
    """The connections to one service, how many requests use them now, and where the last one led."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.users = 0
        self.peer: str | None = None
        self.whereabouts = Whereabouts()
        self.pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=16,
            max_keepalive_connections=AT_ONCE,
            keepalive_expiry=30.0,
            network_backend=_NETWORK,
        )


class Web:
    """Connections, and nothing else that its users would share. No proxies, cookies, redirects or retries:
    what one source was given is sent to no other, and a whole client costs as much again as the connections.

    There is a pool for each service, for every request looks at every connection of its pool. They share one
    TLS context, made when the first service wants it: that takes longer than all else.
    """

    def __init__(self) -> None:
        """Loads what httpx would load at the first request, on the loop: call it in a thread."""
        import_module("anyio._backends._asyncio")
        self._tls: asyncio.Future[ssl.SSLContext] | None = None
        self._services: dict[Origin, _Service] = {}
        self._closing: set[asyncio.Task[None]] = set()

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
        timeout: float | httpx.Timeout,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> AsyncIterator[Answer]:
        """The answer to one request, of which only the head was read. ``timeout``: seconds for each of
        connecting, sending and a piece of the answer. Raises httpx.HTTPError and httpx.InvalidURL."""
        url = httpx.URL(url)
        if params:
            url = url.copy_merge_params(params)
        place = origin(url)
        service = await self._service(place)
        service.users += 1
        try:
            async with service.pool.stream(
                method,
                httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/"
                ),
                headers=[(b"Host", url.netloc), *_HEADERS, *_encoded(headers or {})],
                content=b"" if content is None and method in _WITH_BODY else content,
                extensions={"timeout": httpx.Timeout(timeout).as_dict()},
            ) as response:
                service.peer = _peer(response)
                yield Answer(response)
        except _FAULTS as fault:
            raise _told(fault) from fault
        except asyncio.CancelledError:
            # Given up at some moments, a request keeps its connection for good, and the place of it: when all
            # are taken the service is never asked again.
            self._leave(place, service)
            raise
        finally:
            service.users -= 1
            self._close_left(place, service)

    async def _service(self, place: Origin) -> _Service:
        """Its connections, made anew when there are none or its name leads to another machine by now."""
        tls = await self.context() if place[0] == "https" else None
        kept = self._services.get(place)
        if kept is not None and await kept.whereabouts.has_moved(place[1], kept.peer):
            self._leave(place, kept)
        service = self._services.get(place)
        if service is None:
            service = self._services[place] = _Service(tls)
        return service

    def _leave(self, place: Origin, service: _Service) -> None:
        """Ask over it no more; what is under way there comes to its end."""
        if self._services.get(place) is service:
            del self._services[place]
            self._close_left(place, service)

    def _close_left(self, place: Origin, service: _Service) -> None:
        """Close what was left once nobody uses it, beside whoever was the last, who has no time for that."""
        if service.users or self._services.get(place) is service:
            return
        closing = asyncio.ensure_future(service.pool.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def context(self) -> ssl.SSLContext:
        """Made once, beside the loop, and to its end whether or not who waits for it has the time."""
        if self._tls is None:
            making = asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
            self._tls = asyncio.ensure_future(making)
        return await asyncio.shield(self._tls)

    async def aclose(self) -> None:
        for service in self._services.values():
            await service.pool.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)


def origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port


def _encoded(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers.items():
        yield name.encode("ascii"), value.encode("ascii")


def _told(fault: Exception) -> httpx.HTTPError:
    """The same fault as httpx names it, which is what the rest of the house knows."""
    kind: type[httpx.HTTPError] = getattr(httpx, type(fault).__name__)
    return kind(str(fault))


def _peer(response: httpcore.Response) -> str | None:
    """The address of the machine that answered."""
    told = response.extensions["network_stream"].get_extra_info("server_addr")
    return str(told[0]) if isinstance(told, tuple) else None
