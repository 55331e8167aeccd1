"""Asks one HTTP service for its pages: each path once, with GET, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import math
import ssl
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib import import_module
from typing import Final, Self

import httpx
from msgspec import Struct

from backends.model.clock import Clock, SystemClock
from backends.model.fact import Absent, Finding, SourceError
from backends.model.reading import UNTOLD
from backends.model.stack import Source
from backends.readers.auth import read_headers
from backends.readers.extract import broken
from backends.readers.failure import network_reason, silence, where
from backends.whereabouts import Whereabouts

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of one answer."""
REDIRECT_LIMIT: Final = 3
AT_ONCE: Final = 8
"""Requests to one service at the same time."""
_SHARE: Final = 0.9
"""Part of the source's deadline the reader uses, so that it can still say what happened."""
_REFUSED: Final = (401, 403)
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
    """What all HTTP sources share: connections, and nothing else. No proxies, cookies, redirects or retries:
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
        timeout: float,
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
        origin = _origin(request.url)
        service = await self._service(origin)
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
            self._leave(origin, service)
            raise
        finally:
            service.users -= 1
            self._close_left(origin, service)

    async def _service(self, origin: Origin) -> _Service:
        """Its connections, made anew when there are none or its name leads to another machine by now."""
        tls = await self._context() if origin[0] == "https" else None
        kept = self._services.get(origin)
        if kept is not None and await kept.whereabouts.has_moved(origin[1], kept.peer):
            self._leave(origin, kept)
        service = self._services.get(origin)
        if service is None:
            service = self._services[origin] = _Service(tls)
        return service

    def _leave(self, origin: Origin, service: _Service) -> None:
        """Ask over it no more; what is under way there comes to its end."""
        if self._services.get(origin) is service:
            del self._services[origin]
            self._close_left(origin, service)

    def _close_left(self, origin: Origin, service: _Service) -> None:
        """Close what was left once nobody uses it, beside whoever was the last, who has no time for that."""
        if service.users or self._services.get(origin) is service:
            return
        closing = asyncio.ensure_future(service.pool.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _context(self) -> ssl.SSLContext:
        """Made once, beside the loop, and to its end whether or not who waits for it has the time."""
        if self._tls is None:
            making = asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
            self._tls = asyncio.ensure_future(making)
        return await asyncio.shield(self._tls)

    async def aclose(self) -> None:
        for service in self._services.values():
            await service.pool.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)


class Page(Struct, frozen=True):
    """An answer to one path. ``body`` is None, and ``why`` says the reason, when it is not all there."""

    status: int
    body: bytes | None
    why: str = ""


class NoAnswer(Struct, frozen=True):
    """Nobody answered one path."""

    why: str


class Pages:
    """What one service answers, over what it shares with others and does not close."""

    def __init__(self, source: Source, web: Web, clock: Clock | None = None) -> None:
        self._source = source
        self._web = web
        self._clock = clock or SystemClock()
        self._base = source.url.rstrip("/")
        self._place = where(source.url, 443 if source.url.startswith("https:") else 80)
        self._seconds = source.deadline * _SHARE

    async def get(self, paths: Iterable[str]) -> dict[str, Page | NoAnswer]:
        """What each path answered. Raises SourceError when not one was answered."""
        wanted = list(dict.fromkeys(paths))
        gate = asyncio.Semaphore(AT_ONCE)
        # With more paths than may be asked at once each gets its share, so that slow ones starve nobody.
        seconds = self._seconds / max(1, math.ceil(len(wanted) / AT_ONCE))
        asked = await asyncio.gather(*(self._page(path, gate, seconds) for path in wanted))
        silent = [answer for answer in asked if isinstance(answer, NoAnswer)]
        if asked and len(silent) == len(asked):
            raise SourceError(silent[0].why)
        return dict(zip(wanted, asked, strict=True))

    def unexpected(self, page: Page) -> Finding:
        """What a status that was not expected says about a fact."""
        if page.status in _REFUSED:
            return broken(f"refused ({page.status}): {self._lacking()}")
        if page.status == 404:
            return Absent()
        return broken(page.why if page.why and page.status < 400 else f"answered {page.status}")

    def _lacking(self) -> str:
        if self._source.auth == "none":
            return "it wants credentials"
        is_configured = self._source.password is not None
        return "the credentials are not accepted" if is_configured else UNTOLD

    async def _page(self, path: str, gate: asyncio.Semaphore, seconds: float) -> Page | NoAnswer:
        async with gate:
            try:
                async with asyncio.timeout(seconds):
                    return await self._follow(_url(self._base + path), seconds)
            except (TimeoutError, httpx.TimeoutException):
                return NoAnswer(silence(seconds))
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                return NoAnswer(self._reason(error))

    async def _follow(self, url: httpx.URL, seconds: float) -> Page:
        for _ in range(REDIRECT_LIMIT + 1):
            page = await self._get(url, seconds)
            if isinstance(page, Page):
                return page
            target = url.join(page)
            if _origin(target) != _origin(url):
                return Page(302, None, f"sends the room to another place: {target.host}")
            url = target
        return Page(302, None, "sends the room round in circles")

    async def _get(self, url: httpx.URL, seconds: float) -> Page | str:
        """The page, or where it says to look instead."""
        now = self._clock.now()
        headers = read_headers(
            self._source,
            url.raw_path.partition(b"?")[0].decode("ascii"),
            url.query.decode("ascii"),
            timestamp=int(now.wall),
            nonce=uuid.uuid4().hex,
        )
        async with self._web.stream("GET", url, headers=headers, timeout=seconds) as response:
            if response.is_redirect and "location" in response.headers:
                return response.headers["location"]
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                return Page(response.status_code, None, "answers compressed, which was not asked for")
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > BODY_LIMIT:
                    return Page(response.status_code, None, f"answer is more than {BODY_LIMIT // 1024} KiB")
            return Page(response.status_code, bytes(body))

    def _reason(self, error: Exception) -> str:
        if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
            return "its address is not one of an HTTP service"
        if isinstance(error, httpx.RemoteProtocolError) and "without sending" not in str(error):
            return f"{self._place} does not answer as an HTTP service"
        return network_reason(error, self._place) or f"{self._place} closed the connection"


@lru_cache(maxsize=512)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port


def _peer(response: httpx.Response) -> str | None:
    """The address of the machine that answered."""
    stream = response.extensions.get("network_stream")
    told = None if stream is None else stream.get_extra_info("server_addr")
    return str(told[0]) if isinstance(told, tuple) else None
