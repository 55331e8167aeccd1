"""Reads facts from one HTTP service: each path once a poll, whatever many facts are about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from backends.model.clock import Clock
from backends.model.fact import Fact, Finding, ValueType
from backends.model.query import HttpQuery
from backends.model.stack import Source
from backends.readers.coerce import MisfitError, parse_json
from backends.readers.exposition import Sample, matching, samples
from backends.readers.extract import broken, extract, one_series
from backends.readers.http_page import NoAnswer, Page, Pages
from backends.web import Web

_ON_LOOP: Final = 16 * 1024
"""Bytes of answers that are understood on the loop: a few milliseconds. More would keep a stop waiting."""

Parsed = dict[tuple[str, str], Any]
"""Bodies by path and kind as they were understood once for all facts, or the MisfitError why not."""


class HttpFactReader:
    """A FactReader over what it shares and does not close."""

    def __init__(self, source: Source, web: Web, clock: Clock | None = None) -> None:
        self._pages = Pages(source, web, clock)

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when not one path was answered."""
        answers = await self._pages.get(
            fact.query.path for fact in facts if isinstance(fact.query, HttpQuery)
        )
        size = sum(len(page.body or b"") for page in answers.values() if isinstance(page, Page))
        if size > _ON_LOOP:
            return await asyncio.to_thread(self._findings, facts, answers)
        return self._findings(facts, answers)

    async def close(self) -> None:
        """Nothing to do: what is shared belongs to who made it."""

    def _findings(
        self, facts: Sequence[Fact], answers: Mapping[str, Page | NoAnswer]
    ) -> Mapping[str, Finding]:
        parsed: Parsed = {}
        return {fact.id: self._finding(fact, answers, parsed) for fact in facts}

    def _finding(self, fact: Fact, answers: Mapping[str, Page | NoAnswer], parsed: Parsed) -> Finding:
        query = fact.query
        if not isinstance(query, HttpQuery):
            return broken("asks an HTTP service something that is no request")
        page = answers[query.path]
        try:
            if isinstance(page, NoAnswer):
                raise MisfitError(page.why)
            if page.status not in query.expect:
                return self._pages.unexpected(page)
            return _understood(fact, query, page, parsed)
        except MisfitError as misfit:
            return broken(str(misfit))


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
    if rows.total and fact.type in (ValueType.TABLE, ValueType.COUNT):
        return extract(replace(fact, pick=None), rows)
    return one_series(fact, rows)


_PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "json": parse_json,
    "text": bytes,
    "prometheus": samples,
}
