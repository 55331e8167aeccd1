"""Reads facts from one HTTP service: each path once a poll, with GET, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from backends.model.clock import Clock, SystemClock
from backends.model.fact import Absent, Fact, Finding, SourceError, ValueType
from backends.model.query import HttpQuery
from backends.model.stack import Source
from backends.readers.auth import read_headers
from backends.readers.coerce import MisfitError, parse_json
from backends.readers.exposition import Sample, matching, samples
from backends.readers.extract import broken, extract
from backends.readers.failure import network_reason, silence, where

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of one answer."""
REDIRECT_LIMIT: Final = 3
AT_ONCE: Final = 8
"""Requests to one service at the same time."""
_SHARE: Final = 0.9
"""Part of the source's deadline the reader uses, so that it can still say what happened."""
_REFUSED: Final = (401, 403)


def new_client() -> httpx.AsyncClient:
    """The client every HTTP source shares: no proxies, cookies or redirects of its own, no retry."""
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": "controlroom", "Accept-Encoding": "identity"},
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=30.0),
    )


@dataclass(frozen=True, slots=True)
class Page:
    """An answer to one path. ``body`` is None, and ``why`` says the reason, when it is not all there."""

    status: int
    body: bytes | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nobody answered one path."""

    why: str


Parsed = dict[tuple[str, str], Any]
"""Bodies by path and kind as they were understood once for all facts, or the MisfitError why not."""


class HttpFactReader:
    """A FactReader over a client it shares and does not close."""

    def __init__(self, source: Source, client: httpx.AsyncClient, clock: Clock | None = None) -> None:
        self._source = source
        self._client = client
        self._clock = clock or SystemClock()
        self._base = source.url.rstrip("/")
        self._place = where(source.url, 443 if source.url.startswith("https:") else 80)
        self._seconds = source.deadline * _SHARE

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when not one path was answered."""
        paths = list(dict.fromkeys(fact.query.path for fact in facts if isinstance(fact.query, HttpQuery)))
        gate = asyncio.Semaphore(AT_ONCE)
        # With more paths than may be asked at once each gets its share, so that slow ones starve nobody.
        seconds = self._seconds / max(1, math.ceil(len(paths) / AT_ONCE))
        asked = await asyncio.gather(*(self._page(path, gate, seconds) for path in paths))
        answers = dict(zip(paths, asked, strict=True))
        silent = [answer for answer in asked if isinstance(answer, NoAnswer)]
        if asked and len(silent) == len(asked):
            raise SourceError(silent[0].why)
        parsed: Parsed = {}
        return {fact.id: self._finding(fact, answers, parsed) for fact in facts}

    async def close(self) -> None:
        """Nothing to do: the client belongs to who made it."""

    async def _page(self, path: str, gate: asyncio.Semaphore, seconds: float) -> Page | NoAnswer:
        async with gate:
            try:
                async with asyncio.timeout(seconds):
                    return await self._follow(httpx.URL(self._base + path), seconds)
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
        async with self._client.stream("GET", url, headers=headers, timeout=seconds) as response:
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

    def _finding(self, fact: Fact, answers: Mapping[str, Page | NoAnswer], parsed: Parsed) -> Finding:
        query = fact.query
        if not isinstance(query, HttpQuery):
            return broken("asks an HTTP service something that is no request")
        page = answers[query.path]
        try:
            if isinstance(page, NoAnswer):
                raise MisfitError(page.why)
            if page.status not in query.expect:
                return self._unexpected(page)
            return _understood(fact, query, page, parsed)
        except MisfitError as misfit:
            return broken(str(misfit))

    def _unexpected(self, page: Page) -> Finding:
        if page.status in _REFUSED:
            has_proof = self._source.auth != "none" and self._source.password is not None
            what = "the credentials are not accepted" if has_proof else "it wants credentials"
            return broken(f"refused ({page.status}): {what}")
        if page.status == 404:
            return Absent()
        return broken(page.why if page.why and page.status < 400 else f"answered {page.status}")


def _understood(fact: Fact, query: HttpQuery, page: Page, parsed: Parsed) -> Finding:
    """What an expected answer says about the fact. Raises MisfitError."""
    if query.body == "none":
        # An expected status is all that was asked: it is itself, or simply true.
        status: Any = True if fact.type is ValueType.BOOL else str(page.status).encode()
        return extract(replace(fact, pick=None), status)
    if page.body is None:
        raise MisfitError(page.why)
    if query.body not in _PARSERS:
        raise MisfitError(f"a body of kind {query.body} is not known")
    place = (query.path, query.body)
    if place not in parsed:
        try:
            parsed[place] = _PARSERS[query.body](page.body)
        except MisfitError as misfit:
            parsed[place] = misfit
    found = parsed[place]
    if isinstance(found, MisfitError):
        raise found
    return _series(fact, found) if query.body == "prometheus" else extract(fact, found)


def _series(fact: Fact, found: Sequence[Sample]) -> Finding:
    rows = matching(found, fact.pick)
    if not rows.total:
        return Absent()
    if fact.type in (ValueType.TABLE, ValueType.COUNT):
        return extract(replace(fact, pick=None), rows)
    if rows.total > 1:
        raise MisfitError(f"{rows.total} series, one expected")
    return extract(replace(fact, pick=None), str(rows.rows[0]["value"]).encode())


_PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "json": parse_json,
    "text": bytes,
    "prometheus": samples,
}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
