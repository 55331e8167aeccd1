"""Loki (port 3100): finds the lines the containers wrote, as far as label and line filters go."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from backends.demo.dockerd.log_store import Entry
from backends.demo.dockerd.stamps import parse
from backends.demo.replies import says, success

LogLines = Callable[[], Mapping[str, list[Entry]]]
"""What every compose service wrote."""


_SELECTOR = re.compile(
    r'\s*\{\s*(?:service|compose_service|container)\s*(=~?)\s*"([^"]*)"\s*\}(.*)$', re.DOTALL
)


class Loki:
    """Finds the lines the containers wrote, by service label and filter."""

    def __init__(self, lines: LogLines) -> None:
        self._lines = lines

    def routes(self) -> list[Route]:
        return [
            Route("/ready", says("ready\n")),
            Route("/loki/api/v1/labels", self._labels),
            Route("/loki/api/v1/label/{name}/values", self._values),
            Route("/loki/api/v1/query_range", self._query),
            Route("/loki/api/v1/series", self._series),
        ]

    async def _labels(self, _request: Request) -> Response:
        return success(["compose_project", "compose_service", "container", "service", "service_name"])

    async def _values(self, _request: Request) -> Response:
        return success(sorted(self._lines()))

    async def _series(self, request: Request) -> Response:
        """The streams of a selector that have any line."""
        head = _SELECTOR.match(request.query_params.get("match[]", ""))
        if head is None:
            return _unselective()
        wanted = _service(head)
        found = [name for name, entries in self._lines().items() if entries and wanted.fullmatch(name)]
        return success([_labels(name) for name in found])

    async def _query(self, request: Request) -> Response:
        query = request.query_params
        asked = query.get("query", "")
        head = _SELECTOR.match(asked)
        if head is None:
            return _unselective()
        try:
            wanted = _service(head)
            filters = [
                (kind, re.compile(word if kind[1] == "~" else re.escape(word)))
                for kind, word in re.findall(r'(\|=|\|~|!=|!~)\s*"((?:[^"\\]|\\.)*)"', head[3])
            ]
            start, end = _moment(query.get("start", "0")), _moment(query.get("end", str(time.time_ns())))
        except (re.error, ValueError) as error:
            return PlainTextResponse(f"parse error : {error}", 400)
        limit = int(query.get("limit", 100))
        streams = []
        for service, entries in self._lines().items():
            if not wanted.fullmatch(service):
                continue
            values: list[list[str]] = []
            for entry in reversed(entries):
                text = entry.text.decode("utf-8", "replace").rstrip("\n")
                fits = all(bool(word.search(text)) == (kind[0] == "|") for kind, word in filters)
                if start <= entry.at <= end and fits and len(values) < limit:
                    values.append([str(entry.at), text])
            if values:
                streams.append({"stream": _labels(service), "values": values})
        return success({"resultType": "streams", "result": streams})


def _service(head: re.Match[str]) -> re.Pattern[str]:
    """The services a selector means. Raises re.error."""
    return re.compile(head[2] if head[1] == "=~" else re.escape(head[2].removeprefix("trading_platform_")))


def _labels(service: str) -> dict[str, str]:
    return {"service": service, "compose_service": service}


def _unselective() -> Response:
    return PlainTextResponse("parse error : queries require at least one regexp or equality matcher", 400)


def _moment(text: str) -> int:
    """Nanoseconds; Loki takes them as they are, or seconds, or RFC 3339. Raises ValueError."""
    return int(text) if text.isdecimal() and len(text) > 12 else parse(text)
