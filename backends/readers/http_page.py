"""Asks one HTTP service for its pages: each path once, with GET, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import httpx
from msgspec import Struct

from backends.model.clock import Clock, SystemClock
from backends.model.fact import Absent, Finding, SourceError
from backends.model.reading import UNTOLD
from backends.model.stack import Source
from backends.readers.auth import read_headers
from backends.readers.extract import broken
from backends.readers.failure import network_reason, silence, where
from backends.web import AT_ONCE, Web, origin

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of one answer."""
REDIRECT_LIMIT: Final = 3
_SHARE: Final = 0.9
"""Part of the source's deadline the reader uses, so that it can still say what happened."""
_REFUSED: Final = (401, 403)


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
            if origin(target) != origin(url):
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
            if response.location:
                return response.location
            if response.is_encoded:
                return Page(response.status, None, "answers compressed, which was not asked for")
            body = bytearray()
            async for piece in response.pieces():
                body += piece
                if len(body) > BODY_LIMIT:
                    return Page(response.status, None, f"answer is more than {BODY_LIMIT // 1024} KiB")
            return Page(response.status, bytes(body))

    def _reason(self, error: Exception) -> str:
        if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
            return "its address is not one of an HTTP service"
        if isinstance(error, httpx.RemoteProtocolError) and "without sending" not in str(error):
            return f"{self._place} does not answer as an HTTP service"
        return network_reason(error, self._place) or f"{self._place} closed the connection"


@lru_cache(maxsize=512)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)
