"""Reads facts from Loki: lines of the last minutes. "Nothing is shipped" is not "nothing was found"."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from msgspec.structs import replace

from backends.model.clock import Clock, SystemClock
from backends.model.fact import Fact, Finding, ValueType
from backends.model.query import LokiQuery
from backends.model.safetext import SafeText
from backends.model.stack import Source
from backends.readers.coerce import MisfitError, list_in, parse_json
from backends.readers.extract import Rows, broken, extract, one_series
from backends.readers.http_page import NoAnswer, Page, Pages
from backends.web import Web

_SELECTOR: Final = re.compile(r'\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\}')
_LINE: Final = 2000
_STEPS: Final = 4
"""Of a metric query; only the newest is looked at."""


class LokiFactReader:
    """A FactReader over what it shares and does not close."""

    def __init__(self, source: Source, web: Web, clock: Clock | None = None) -> None:
        self._pages = Pages(source, web, clock)
        self._clock = clock or SystemClock()

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact: Absent where no stream meets the query's selector, whatever its filters.

        Raises SourceError when Loki answered nothing.
        """
        now = self._clock.now().wall
        queries = {fact.id: fact.query for fact in facts if isinstance(fact.query, LokiQuery)}
        asked = {fact: _query_path(query, now) for fact, query in queries.items()}
        pages = await self._pages.get(asked.values())
        answers = {fact: (pages[path], queries[fact].limit) for fact, path in asked.items()}
        # In a thread: thousands of lines are some tens of milliseconds, for which a stop would wait.
        found = await asyncio.to_thread(_all_understood, answers)
        # Nothing found: is anything shipped at all?
        doubtful = {
            fact.id: _series_path(fact.query, now)
            for fact in facts
            if isinstance(fact.query, LokiQuery) and _is_empty(found[fact.id])
        }
        shipped = await self._pages.get(doubtful.values()) if doubtful else {}
        for fact_id, path in doubtful.items():
            found[fact_id] = _shipped(shipped[path], found[fact_id])
        return await asyncio.to_thread(_findings, facts, found)

    async def close(self) -> None:
        """Nothing to do: what is shared belongs to who made it."""


def _query_path(query: LokiQuery, now: float) -> str:
    start = int((now - query.minutes * 60) * 1e9)
    # One more than is wanted tells whether there are more.
    asked = {"query": query.query, "start": start, "end": int(now * 1e9), "limit": query.limit + 1}
    asked |= {"direction": "backward", "step": f"{query.minutes * 60 / _STEPS:.0f}"}
    return f"/loki/api/v1/query_range?{urlencode(asked)}"


def _series_path(query: LokiQuery, now: float) -> str:
    selector = _SELECTOR.search(query.query)
    asked = {"match[]": selector[0] if selector else query.query}
    asked |= {"start": str(int((now - query.minutes * 60) * 1e9)), "end": str(int(now * 1e9))}
    return f"/loki/api/v1/series?{urlencode(asked)}"


Answer = Rows | MisfitError | None
"""Rows, why there are none, or nothing is shipped."""


def _all_understood(pages: Mapping[str, tuple[Page | NoAnswer, int]]) -> dict[str, Answer]:
    return {fact: _bounded(_understood(page), limit) for fact, (page, limit) in pages.items()}


def _bounded(answer: Answer, limit: int) -> Answer:
    """The newest lines; where there are more, the total is more too, so that nobody takes them for all."""
    if not isinstance(answer, Rows) or answer.total <= limit or "line" not in answer.rows[0]:
        return answer
    return Rows(answer.rows[:limit], answer.total)


def _findings(facts: Sequence[Fact], found: Mapping[str, Answer]) -> Mapping[str, Finding]:
    return {fact.id: _finding(fact, found.get(fact.id)) for fact in facts}


def _understood(page: Page | NoAnswer) -> Answer:
    try:
        data = _data(page)
        return _ROWS[data["resultType"]](data["result"])
    except MisfitError as misfit:
        return misfit
    except (KeyError, TypeError, ValueError, AttributeError):
        return MisfitError("its answer cannot be understood")


def _data(page: Page | NoAnswer) -> Any:
    """What a page holds. Raises MisfitError."""
    if isinstance(page, NoAnswer):
        raise MisfitError(page.why)
    if page.body is None:
        raise MisfitError(page.why or f"answered {page.status}")
    if page.status != 200:
        said = SafeText.from_bytes(page.body, 120)
        raise MisfitError(f"answered {page.status}: {said}")
    return parse_json(page.body)["data"]


def _is_empty(answer: Answer) -> bool:
    return isinstance(answer, Rows) and not answer.total


def _shipped(page: Page | NoAnswer, nothing: Answer) -> Answer:
    """``nothing`` found where there are streams, else None: nothing comes here at all."""
    try:
        return nothing if list_in(_data(page)) else None
    except MisfitError as misfit:
        return misfit
    except (KeyError, TypeError):
        return MisfitError("its answer cannot be understood")


def _streams(result: Any) -> Rows:
    """Lines, newest first."""
    rows = [
        {
            "time": datetime.fromtimestamp(int(at) / 1e9, UTC).isoformat(timespec="milliseconds"),
            "labels": ", ".join(f"{name}={value}" for name, value in sorted(each["stream"].items())),
            "line": str(SafeText(line, _LINE)),
        }
        for each in list_in(result)
        for at, line, *_ in list_in(each["values"])
    ]
    rows.sort(key=lambda row: row["time"], reverse=True)
    return Rows(rows, len(rows))


def _matrix(result: Any) -> Rows:
    """The newest value of each series."""
    rows = [
        {**each["metric"], "value": each["values"][-1][1]}
        for each in list_in(result)
        if list_in(each["values"])
    ]
    return Rows(rows, len(rows))


_ROWS: Final = {"streams": _streams, "matrix": _matrix}


def _finding(fact: Fact, answer: Answer) -> Finding:
    """All rows for a table or a count; anything else is about the newest line, or the one series."""
    if not isinstance(fact.query, LokiQuery):
        return broken("asks Loki something that is no query")
    if isinstance(answer, MisfitError):
        return broken(str(answer))
    if answer is None or fact.type in (ValueType.TABLE, ValueType.COUNT):
        return extract(fact, answer)
    if answer.rows and "value" in answer.rows[0] and "line" not in answer.rows[0]:
        return one_series(fact, answer)
    newest = Rows(answer.rows[:1], min(answer.total, 1))
    return extract(fact if fact.pick else replace(fact, pick="line"), newest)
