"""ClickHouse as far as this desk asks it, and the ingest that fills it."""

from __future__ import annotations

import json
import re
import sqlite3
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

_DATABASE: Final = "hbot_events"
_TABLE: Final = "event_store_raw_v1"
_TEXT: Final = ("TEXT", "''")
_COLUMNS: Final = {
    **dict.fromkeys(("ingest_ts", "event_ts", "event_id", "correlation_id", "event_type", "producer"), _TEXT),
    **dict.fromkeys(("instance_name", "controller_id", "source_file"), _TEXT),
    "source_line": ("INTEGER", "0"),
    **dict.fromkeys(("payload_json", "raw_json"), _TEXT),
}
_FAILURES: Final = (
    (r"no such table: (\S+)", 404, "Code: 60. DB::Exception: Table {database}.{what} does not exist."),
    (r"no such column: (\S+)", 404, "Code: 47. DB::Exception: Unknown expression identifier `{what}`."),
    (r"no such function: (\S+)", 404, "Code: 46. DB::Exception: Function with name `{what}` does not exist."),
)
"""What SQLite says, and the status and words of ClickHouse for it. All else is bad syntax."""

INGEST: Final = '''\
"""Stands for the desk's own ingest: events after the cursor go to ClickHouse. A dry run moves it, too."""

import json
import os
import sys
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

reports = Path(os.environ["PYTHONPATH"]) / "reports"
own = reports / "clickhouse_ingest"
own.mkdir(exist_ok=True)
cursor = json.loads((own / "state.json").read_text()) if (own / "state.json").exists() else {{}}
is_dry, rows, errors = "--dry-run" in sys.argv, [], []
for path in sorted((reports / "event_store").glob("events_*.jsonl")):
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines[cursor.get(path.name, 0) :], cursor.get(path.name, 0)):
        event = json.loads(line)
        said = {{name: event[name] for name in ("event_id", "event_type", "producer") if name in event}}
        rows.append({{**said, "source_file": path.name, "source_line": number, "raw_json": line}})
    cursor[path.name] = len(lines)
if rows and not is_dry:
    asked = {{"database": "hbot_events", "query": "INSERT INTO event_store_raw_v1 FORMAT JSONEachRow"}}
    url = f"http://{{os.environ['CH_HOST']}}:{port}/?{{urllib.parse.urlencode(asked)}}"
    try:
        urllib.request.urlopen(url, "\\n".join(map(json.dumps, rows)).encode(), timeout=5).close()
    except OSError as error:
        errors.append(str(error))
if not errors:
    (own / "state.json").write_text(json.dumps(cursor))
said = {{"status": "fail" if errors else "pass", "dry_run": is_dry, "errors": errors}}
said["rows_inserted"] = 0 if is_dry or errors else len(rows)
(own / "latest.json").write_text(json.dumps({{**said, "ts_utc": datetime.now(timezone.utc).isoformat()}}))
print(f"[clickhouse-ingest] rows={{len(rows)}}")
'''
"""``port`` is where this world's ClickHouse listens."""


class ClickHouse:
    """Holds events, each as often as it was inserted. A SELECT that SQLite understands as well is answered by
    SQLite, in ClickHouse's words."""

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        """``users``: the password of each; without them there is ``default``, who has none."""
        self._users = users or {"default": ""}
        self._store = sqlite3.connect(":memory:", check_same_thread=False)
        self._store.create_function("timezone", 0, lambda: "UTC")
        columns = (f"{name} {kind} NOT NULL DEFAULT {empty}" for name, (kind, empty) in _COLUMNS.items())
        self._store.execute(f"CREATE TABLE {_TABLE} ({', '.join(columns)})")

    def routes(self) -> list[Route]:
        return [Route("/ping", self._ping), Route("/", self._query, methods=["POST"])]

    async def _ping(self, _request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def _query(self, request: Request) -> Response:
        asked, text = request.query_params, (await request.body()).decode()
        database = asked.get("database", "default")
        user, password = _credentials(request)
        if self._users.get(user) != password:
            return PlainTextResponse(f"Code: 516. DB::Exception: {user}: Authentication failed.", 403)
        if database not in (_DATABASE, "default"):
            return PlainTextResponse(f"Code: 81. DB::Exception: Database {database} does not exist.", 404)
        try:
            if database != _DATABASE:
                raise sqlite3.OperationalError(f"no such table: {_TABLE}")
            if asked.get("query") == f"INSERT INTO {_TABLE} FORMAT JSONEachRow":
                self._insert(map(json.loads, text.splitlines()))
                return PlainTextResponse("")
            statement = text.removesuffix("FORMAT JSON")
            # What it says of rows before the limit is before a limit further in as well.
            unlimited = re.sub(r"\bLIMIT \d+\s*(?=\)|$)", "", statement)
            (before,) = self._store.execute(f"SELECT count(*) FROM (\n{unlimited}\n)").fetchone()  # noqa: S608 # a demo
            is_quoted = asked.get("output_format_json_quote_64bit_integers") != "0"
            return _rows(self._store.execute(statement), before, is_quoted)
        except sqlite3.Error as error:
            return _failure(str(error), database)

    def _insert(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            known = [name for name in _COLUMNS if name in event]
            marks = ", ".join(f":{name}" for name in known)
            into = f"INSERT INTO {_TABLE} ({', '.join(known)}) VALUES ({marks})"  # noqa: S608 # names above
            self._store.execute(into, dict(event))


def _credentials(request: Request) -> tuple[str, str]:
    encoded = request.headers.get("authorization", "Basic ZGVmYXVsdDo=").removeprefix("Basic ")
    user, _, password = b64decode(encoded).decode().partition(":")
    return user, password


def _rows(found: sqlite3.Cursor, before: int, is_quoted: bool) -> Response:
    """Whole numbers are 64 bits wide, and quoted unless it was asked otherwise."""
    names = [column[0] for column in found.description or ()]
    data = [
        {
            name: str(value) if is_quoted and isinstance(value, int) else value
            for name, value in zip(names, row, strict=True)
        }
        for row in found
    ]
    meta = [{"name": name} for name in names]
    return JSONResponse({"meta": meta, "data": data, "rows": len(data), "rows_before_limit_at_least": before})


def _failure(said: str, database: str) -> Response:
    for pattern, status, words in _FAILURES:
        if found := re.match(pattern, said):
            return PlainTextResponse(words.format(database=database, what=found[1]), status)
    return PlainTextResponse(f"Code: 62. DB::Exception: Syntax error: {said}", 400)
