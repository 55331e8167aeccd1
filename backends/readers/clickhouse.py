"""Reads facts from ClickHouse over its HTTP interface: one statement a fact, read-only, bounded."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
from msgspec import Struct

from backends.model.fact import Fact, Finding, SourceError
from backends.model.query import SqlQuery
from backends.model.stack import Source
from backends.readers.coerce import MisfitError, excerpt, parse_json
from backends.readers.extract import Rows, broken, extract
from backends.readers.failure import network_reason, silence, where
from backends.web import Web

PORT: Final = 8123
BODY_LIMIT: Final = 1024 * 1024
"""Bytes of one answer."""
AT_ONCE: Final = 4
"""Statements under way at the same time."""
_SHARE: Final = 0.9
"""Part of the source's deadline the reader uses, so that it can still say what happened."""
_SAID: Final = 120
_REFUSED: Final = (401, 403)
_CODE: Final = re.compile(r"Code: (\d+)")
_READONLY: Final = "164"
_NOT_GRANTED: Final = "497"
_ZONE: Final = "room_zone"
"""A column more, in which the server says its zone; unlikely to be one of the statement's."""
_MOMENT: Final = re.compile(r"(?:Nullable\()?DateTime(?:64)?(?:\((?:\d, )?'([^']+)'\)|\(\d\))?\)?")
"""The type of a column of times, and its zone where that is not the server's."""


class Silent(Struct, frozen=True):
    """Nobody answered one statement."""

    why: str


class ClickHouseFactReader:
    """A FactReader over what it shares and does not close. Option ``database`` names the database."""

    def __init__(self, source: Source, web: Web) -> None:
        self._source = source
        self._web = web
        self._place = where(source.url, PORT)
        self._seconds = source.deadline * _SHARE

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact. Raises SourceError when not one statement was answered."""
        gate = asyncio.Semaphore(AT_ONCE)
        answers = await asyncio.gather(*(self._ask(fact, gate) for fact in facts))
        silent = [answer for answer in answers if isinstance(answer, Silent)]
        if facts and len(silent) == len(facts):
            raise SourceError(silent[0].why)
        return {
            fact.id: broken(answer.why) if isinstance(answer, Silent) else answer
            for fact, answer in zip(facts, answers, strict=True)
        }

    async def close(self) -> None:
        """Nothing to do: what is shared belongs to who made it."""

    async def _ask(self, fact: Fact, gate: asyncio.Semaphore) -> Finding | Silent:
        if not isinstance(fact.query, SqlQuery):
            return broken("asks ClickHouse something that is no statement")
        try:
            async with gate, asyncio.timeout(self._seconds):
                return extract(fact, _rows(fact.query, await self._post(fact.query)))
        except MisfitError as misfit:
            return broken(str(misfit))
        except (TimeoutError, httpx.TimeoutException):
            return Silent(silence(self._seconds))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Silent(network_reason(error, self._place) or f"{self._place} closed the connection")

    async def _post(self, query: SqlQuery) -> Any:
        """The answer as JSON. A GET would be refused a ``readonly`` of its own; a POST obeys it."""
        params = {
            # 1 would forbid the limits, and take them from a user who has 2.
            "readonly": "2",
            # Older servers take what is below a second for no limit, and nobody else ends what was given up.
            "max_execution_time": str(max(1, int(self._seconds))),
            # A statement that fails after its first rows is then no answer that looks like one.
            "wait_end_of_query": "1",
            "output_format_json_quote_64bit_integers": "0",
            # What is not a number would come as null, and null is "no such value".
            "output_format_json_quote_denormals": "1",
        }
        if database := self._source.options.get("database"):
            params["database"] = database
        # The line break ends a comment the statement may end with.
        inner = query.text.strip().removesuffix(";")
        text = f"SELECT *, timezone() AS {_ZONE} FROM (\n{inner}\n) LIMIT {query.limit + 1} FORMAT JSON"  # noqa: S608 # stack file
        url, seconds = f"{self._source.url.rstrip('/')}/", self._seconds
        async with self._web.stream(
            "POST", url, params=params, headers=self._headers(), content=text.encode(), timeout=seconds
        ) as response:
            body = bytearray()
            async for piece in response.pieces():
                body += piece
                if len(body) > BODY_LIMIT:
                    raise MisfitError(f"answer is more than {BODY_LIMIT // 1024} KiB")
        if response.status != httpx.codes.OK:
            raise MisfitError(_failure(response.status, bytes(body)))
        return parse_json(bytes(body))

    def _headers(self) -> Mapping[str, str]:
        # Encoded, because a header of its own would take no password that is not ASCII.
        password = "" if self._source.password is None else self._source.password.reveal()
        user = f"{self._source.username or 'default'}:{password}"
        return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"}


def _failure(status: int, body: bytes) -> str:
    """Why a statement was not answered, in a few words."""
    said = _said(body)
    found = _CODE.search(said)
    code = found[1] if found else ""
    if code == _READONLY:
        return "this user may set no limits: its profile needs readonly = 2, or none"
    if status in _REFUSED and code != _NOT_GRANTED:
        return f"refused ({status}): the credentials are not accepted"
    return f"statement failed: {said[:_SAID] or status}"


def _said(body: bytes) -> str:
    """What a server says that did not answer: text, or from 23.8 on a member of the JSON it was asked for."""
    try:
        answer = parse_json(body)
    except MisfitError:
        answer = None
    why = answer.get("exception") if isinstance(answer, dict) else None
    return " ".join((why if isinstance(why, str) else body.decode("utf-8", "backslashreplace")).split())


def _rows(query: SqlQuery, answer: Any) -> Rows:
    """Raises MisfitError for what is no answer in ClickHouse's format JSON, or is only the beginning of one.

    Of more than ``limit`` rows one more is counted. What the server calls ``rows_before_limit_at_least`` does
    not count these rows: it is of those before a limit of the statement's own as well, and not of all."""
    if isinstance(answer, dict) and "exception" in answer:
        raise MisfitError(f"statement failed: {str(answer['exception'])[:_SAID]}")
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise MisfitError("does not answer as ClickHouse")
    zones = _zones(answer.get("meta"))
    return Rows([_zoned(row, zones) for row in data[: query.limit]], len(data))


def _zones(meta: Any) -> dict[str, str | None]:
    """The columns of times, each with its zone where that is not the server's."""
    columns = meta if isinstance(meta, list) else []
    types = {it.get("name"): _MOMENT.fullmatch(str(it.get("type"))) for it in columns if isinstance(it, dict)}
    return {str(name): found[1] for name, found in types.items() if found}


def _zoned(row: Mapping[str, Any], zones: Mapping[str, str | None]) -> dict[str, Any]:
    """A row whose times say how far they are from UTC. Raises MisfitError for a zone not known here."""
    plain = {name: value for name, value in row.items() if name != _ZONE}
    for name, zone in zones.items():
        plain[name] = _moment(plain.get(name), zone or str(row.get(_ZONE, "UTC")))
    return plain


def _moment(raw: Any, zone: str) -> Any:
    if not isinstance(raw, str) or zone == "UTC":
        return raw
    try:
        place = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise MisfitError(f"holds a time of the zone {excerpt(zone)}, which is not known here") from None
    try:
        at = datetime.fromisoformat(raw)
        return raw if at.tzinfo is not None else at.replace(tzinfo=place).isoformat(" ")
    except ValueError:
        return raw
