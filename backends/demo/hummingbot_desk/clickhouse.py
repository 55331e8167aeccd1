"""ClickHouse as far as this desk asks it, and the ingest that fills it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

_DATABASE: Final = "hbot_events"

INGEST: Final = '''\
"""Stands for the desk's own ingest: events after the cursor go to ClickHouse. A dry run moves it, too."""

import json
import os
import sys
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
    rows += lines[cursor.get(path.name, 0) :]
    cursor[path.name] = len(lines)
if rows and not is_dry:
    url = f"http://{{os.environ['CH_HOST']}}:{port}/?database=hbot_events&query=INSERT"
    try:
        urllib.request.urlopen(url, "\\n".join(rows).encode(), timeout=5).close()
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
    """Holds events, each as often as it was inserted; answers the statements the desk's operators ask."""

    def __init__(self) -> None:
        self._types: Counter[str] = Counter()

    def routes(self) -> list[Route]:
        return [Route("/ping", self._ping), Route("/", self._query, methods=["POST"])]

    async def _ping(self, _request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def _query(self, request: Request) -> Response:
        asked, text = request.query_params, (await request.body()).decode()
        if asked.get("database") != _DATABASE:
            said = "Code: 60. DB::Exception: Table default.event_store_raw_v1 does not exist. (UNKNOWN_TABLE)"
            return PlainTextResponse(said, 404)
        if asked.get("query", "").startswith("INSERT"):
            self._types.update(json.loads(line)["event_type"] for line in text.splitlines())
            return PlainTextResponse("")
        if "GROUP BY event_type" in text:
            return _rows([{"event_type": name, "n": count} for name, count in self._types.most_common(20)])
        if "count() AS n FROM event_store_raw_v1" in text:
            return _rows([{"n": self._types.total()}])
        return PlainTextResponse("Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR)", 400)


def _rows(data: list[dict[str, Any]]) -> Response:
    return JSONResponse({"meta": [], "data": data, "rows": len(data)})
