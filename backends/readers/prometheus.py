"""Reads facts from Prometheus: instant and range queries, and what it says of targets, rules and alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from backends.model.clock import Clock, SystemClock
from backends.model.fact import Fact, Finding, SourceError, ValueType
from backends.model.query import PrometheusQuery
from backends.model.stack import Source
from backends.readers.coerce import MisfitError, list_in, number_in, parse_json
from backends.readers.extract import Rows, broken, extract, one_series
from backends.readers.failure import network_reason, silence, where
from backends.readers.http_page import NoAnswer, Page, Pages
from backends.readers.lane import Lane
from backends.web import Web
from backends.whereabouts import Whereabouts

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect

    from backends.readers.prometheus_session import Bounded

POINTS: Final = 120
"""Of a range, at most."""
_SHORTEST_STEP: Final = 5.0
_PATHS: Final = {
    "targets": "/api/v1/targets?state=active",
    "rules": "/api/v1/rules",
    "alerts": "/api/v1/alerts",
}
_AGGREGATES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "last": lambda values: values[-1],
    "min": min,
    "max": max,
    "mean": fmean,
}


class PrometheusFactReader:
    """A FactReader. Queries go through prometheus-api-client, which blocks, in a thread of their own."""

    def __init__(self, source: Source, web: Web, clock: Clock | None = None) -> None:
        self._source = source
        self._place = where(source.url, 9090)
        self._pages = Pages(source, web, clock)
        self._clock = clock or SystemClock()
        self._lane = Lane(source.title)
        self._connect: PrometheusConnect | None = None
        self._connections: Bounded | None = None
        self._whereabouts = Whereabouts()

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when Prometheus answered nothing."""
        queries = list(dict.fromkeys(each.query for each in facts if isinstance(each.query, PrometheusQuery)))
        listed = [query for query in queries if query.what in _PATHS]
        computed = [query for query in queries if query.what not in _PATHS]
        answers: dict[PrometheusQuery, Any] = {}
        for found in await asyncio.gather(self._listed(listed), self._computed(computed)):
            answers |= found
        silent = [answer for answer in answers.values() if isinstance(answer, SourceError)]
        if silent and len(silent) == len(answers):
            raise silent[0]
        return {fact.id: _finding(fact, answers) for fact in facts}

    async def close(self) -> None:
        if self._connections is not None:
            self._connections.close()

    async def _listed(self, queries: Sequence[PrometheusQuery]) -> Mapping[PrometheusQuery, Any]:
        try:
            pages = await self._pages.get(_PATHS[query.what] for query in queries)
        except SourceError as error:
            return dict.fromkeys(queries, error)
        return {query: _said(query, pages[_PATHS[query.what]]) for query in queries}

    async def _computed(self, queries: Sequence[PrometheusQuery]) -> Mapping[PrometheusQuery, Any]:
        if not queries:
            return {}
        kept = self._connections
        if kept is not None and await self._whereabouts.has_moved(
            urlsplit(self._source.url).hostname, kept.peer
        ):
            kept.close()  # what is idle: it goes on with new ones
        try:
            return await self._lane.call(lambda: self._ask_all(queries), self._source.deadline)
        except SourceError as error:
            return dict.fromkeys(queries, error)

    def _ask_all(self, queries: Sequence[PrometheusQuery]) -> Mapping[PrometheusQuery, Any]:
        if self._connect is None:
            from backends.readers.prometheus_session import connect  # noqa: PLC0415 (half a second to load)

            self._connect, self._connections = connect(self._source)
        ends = monotonic() + self._source.deadline
        return {query: self._ask(self._connect, query, ends) for query in queries}

    def _ask(self, prometheus: PrometheusConnect, query: PrometheusQuery, ends: float) -> Any:
        """The series, or the error in words."""
        from prometheus_api_client.exceptions import PrometheusApiClientException  # noqa: PLC0415 (as above)

        try:
            return self._series(prometheus, query, ends - monotonic())
        except PrometheusApiClientException as refusal:
            # Its text holds the status and the body, which says why.
            return MisfitError(f"refused: {' '.join(str(refusal).split())[:120]}")
        except (MisfitError, SourceError) as error:
            return error
        except (KeyError, TypeError, ValueError):
            return MisfitError("its answer cannot be understood")
        except Exception as error:  # requests and urllib3 each have their own kinds
            return SourceError(network_reason(error, self._place) or silence(self._source.deadline))

    def _series(self, prometheus: PrometheusConnect, query: PrometheusQuery, left: float) -> Any:
        if left <= 0:
            raise SourceError(silence(self._source.deadline))
        if query.what == "query":
            return prometheus.custom_query(query.query, timeout=left)
        until = datetime.fromtimestamp(self._clock.now().wall, UTC)  # a range may span a change of the hour
        span = timedelta(minutes=query.minutes)
        step = max(_SHORTEST_STEP, span.total_seconds() / POINTS)
        return prometheus.custom_query_range(query.query, until - span, until, f"{step:.0f}", timeout=left)


def _said(query: PrometheusQuery, page: Page | NoAnswer) -> Any:
    """The rows of a list, or the error in words."""
    if isinstance(page, NoAnswer):
        return SourceError(page.why)
    if page.status != 200 or page.body is None:
        return MisfitError(page.why or f"answered {page.status}")
    try:
        return _LISTS[query.what](parse_json(page.body)["data"])
    except MisfitError as misfit:
        return misfit
    except (KeyError, TypeError, AttributeError):
        return MisfitError("its answer cannot be understood")


def _targets(data: Any) -> Rows:
    rows = [
        {"job": each["labels"].get("job"), "instance": each["labels"].get("instance"),
         "health": each["health"], "error": each.get("lastError") or None}
        for each in list_in(data["activeTargets"])
    ]  # fmt: skip
    return Rows(rows, len(rows))


def _rules(data: Any) -> Rows:
    rows = [
        {"name": rule["name"], "group": group["name"], "state": rule.get("state"), "health": rule["health"],
         "error": rule.get("lastError") or None}
        for group in list_in(data["groups"])
        for rule in list_in(group["rules"])
    ]  # fmt: skip
    return Rows(rows, len(rows))


def _alerts(data: Any) -> Rows:
    rows = [
        {"name": each["labels"].get("alertname"), "state": each["state"],
         "severity": each["labels"].get("severity"), "since": each["activeAt"],
         "summary": (each.get("annotations") or {}).get("summary")}
        for each in list_in(data["alerts"])
    ]  # fmt: skip
    return Rows(rows, len(rows))


_LISTS: Final[Mapping[str, Callable[[Any], Rows]]] = {
    "targets": _targets,
    "rules": _rules,
    "alerts": _alerts,
}


def _finding(fact: Fact, answers: Mapping[PrometheusQuery, Any]) -> Finding:
    if not isinstance(fact.query, PrometheusQuery):
        return broken("asks Prometheus something that is no query")
    try:
        found = answers[fact.query]
        if isinstance(found, Exception):
            raise found
        rows = found if isinstance(found, Rows) else _series(fact.query, found)
    except (MisfitError, SourceError) as misfit:
        return broken(str(misfit))
    except (KeyError, TypeError, ValueError, IndexError):
        return broken("its answer cannot be understood")
    if fact.type in (ValueType.TABLE, ValueType.COUNT) or isinstance(found, Rows):
        return extract(fact, rows)
    return one_series(fact, rows)


def _series(query: PrometheusQuery, found: Any) -> Rows:
    """One row a series: its labels and its value as Prometheus writes it."""
    series = list_in(found)
    if series and not isinstance(series[0], Mapping):
        # A scalar is a pair of time and value, not a list of series.
        return Rows([{"value": series[1]}], 1)
    rows = [{**each["metric"], "value": _value(query, each)} for each in series]
    return Rows(rows, len(rows))


def _value(query: PrometheusQuery, series: Mapping[str, Any]) -> Any:
    if query.what == "query":
        return series["value"][1]
    # NaN in between is no number that can be left out: it raises.
    return _AGGREGATES[query.agg]([float(number_in(value)) for _, value in series["values"]])
