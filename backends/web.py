"""Connections to services over HTTP, for who reads and for who writes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final, Self

import httpx

from backends.whereabouts import Whereabouts

AT_ONCE: Final = 8
"""Requests to one service at the same time."""
Origin = tuple[str, str, int | None]
_HEADERS: Final = (("User-Agent", "controlroom"), ("Accept-Encoding", "identity"), ("Accept", "*/*"))


class _Service:
    """The connections to one service, how many requests use them now, and where the last one led."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.users = 0
        self.peer: str | None = None
        self.whereabouts = Whereabouts()
        self.pool = httpx.AsyncHTTPTransport(
            verify=tls or False,  # where nothing is encrypted there is nothing to verify
            trust_env=False,
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=AT_ONCE, keepalive_expiry=30.0),
        )


class Web:
    """Connections, and nothing else that its users would share. No proxies, cookies, redirects or retries:
    what one source was given is sent to no other, and a whole client costs as much again as the connections.

    There is a pool for each service, for every request looks at every connection of its pool. They share one
    TLS context, made when the first service wants it: that takes longer than all else.
    """

    def __init__(self) -> None:
        """Loads what httpx would load at the first request, on the loop: call it in a thread."""
        import_module("httpcore")
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
    ) -> AsyncIterator[httpx.Response]:
        """The answer to one request, of which only the head was read. ``timeout``: seconds for each of
        connecting, sending and a piece of the answer. Raises httpx.HTTPError."""
        request = httpx.Request(
            method,
            url,
            params=params,
            headers=[*_HEADERS, *(headers or {}).items()],
            content=content,
            extensions={"timeout": httpx.Timeout(timeout).as_dict()},
        )
        place = origin(request.url)
        service = await self._service(place)
        service.users += 1
        try:
            response = await service.pool.handle_async_request(request)
            service.peer = _peer(response)
            try:
                yield response
            finally:
                await response.aclose()
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


def _peer(response: httpx.Response) -> str | None:
    """The address of the machine that answered."""
    stream = response.extensions.get("network_stream")
    told = None if stream is None else stream.get_extra_info("server_addr")
    return str(told[0]) if isinstance(told, tuple) else None
