"""Facts from a real Prometheus, and from one that says what a fact cannot be made of."""

from __future__ import annotations

import shutil
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.port import HttpPort
from backends.demo.process import free_port
from backends.model.fact import Absent, Broken, Fact, Finding, Found, Level, SourceError, Table, ValueType
from backends.model.judge import level_of
from backends.model.query import PrometheusQuery
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.readers.http import HttpFactReader
from backends.readers.prometheus import PrometheusFactReader
from backends.stacks.loader import built_in, load_stack
from backends.web import Web
from tests.clock import FakeClock
from tests.conftest import need
from tests.contract.http_server import Answer, HttpServer
from tests.servers.process import Child, drop_home, make_home

FLOAT, COUNT, TABLE, TEXT = ValueType.FLOAT, ValueType.COUNT, ValueType.TABLE, ValueType.TEXT

CONFIG = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
  - job_name: itself
    static_configs: [{targets: ["127.0.0.1:PORT"]}]
  - job_name: nobody
    static_configs: [{targets: ["127.0.0.1:9"]}]
"""
RULES = """
groups:
  - name: tests
    rules:
      - alert: SomethingIsDown
        expr: up == 0
        labels: {severity: high}
        annotations: {summary: it is down}
"""


@contextmanager
def serving(config: str, is_ready: Callable[[str], bool]) -> Iterator[str]:
    """A real one with this configuration, once it is ready; its address."""
    program = shutil.which("prometheus")
    if program is None:
        need("prometheus", "not installed")
    home, port = make_home("prometheus"), free_port()
    (home / "prometheus.yml").write_text(config.replace("PORT", str(port)))
    (home / "rules.yml").write_text(RULES)
    url = f"http://127.0.0.1:{port}"
    child = Child(
        [program, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
        home / "log",
    )  # fmt: skip

    def answers() -> bool:
        try:
            return is_ready(url)
        except (httpx.HTTPError, ValueError):
            return False

    try:
        child.wait_ready(answers, 30.0)
        yield url
    finally:
        child.stop(5.0)
        drop_home(home)


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    """One that scrapes itself and a target that refuses, and whose rule fires."""

    def has_looked(url: str) -> bool:
        # Scraped more than once: the end of a range is a whole second, which may lie before the first time.
        query = {"query": "count_over_time(up[1m]) >= 3 or prometheus_rule_group_rules"}
        found = httpx.get(f"{url}/api/v1/query", params=query, trust_env=False).json()
        alerts = httpx.get(f"{url}/api/v1/alerts", trust_env=False).json()
        return len(found["data"]["result"]) == 3 and bool(alerts["data"]["alerts"])

    with serving(CONFIG, has_looked) as url:
        yield url


@pytest.fixture(scope="module")
def idle_prometheus() -> Iterator[str]:
    """One that scrapes nothing and has no rules."""
    with serving("{}", lambda url: httpx.get(f"{url}/-/ready", trust_env=False).is_success) as url:
        yield url


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web() as made:
        yield made


async def ask(
    url: str,
    web: Web,
    kind: ValueType,
    deadline: float = 5.0,
    pick: str | None = None,
    **query: Any,
) -> Finding:
    source = Source("p", SourceKind.PROMETHEUS, "Prometheus", url, every=10.0, deadline=deadline)
    reader = PrometheusFactReader(source, web)
    asked = PrometheusQuery(**{"what": "query", **query})
    try:
        return (await reader.read([Fact("f", "F", "G", "p", asked, kind, pick)]))["f"]
    finally:
        await reader.close()


async def test_queries_give_one_number_a_count_or_a_table(prometheus: str, web: Web) -> None:
    assert await ask(prometheus, web, FLOAT, query='up{job="itself"}') == Found(1.0)
    assert await ask(prometheus, web, FLOAT, query="sum(up)") == Found(1.0)
    assert await ask(prometheus, web, FLOAT, query="scalar(sum(up)) + 1") == Found(2.0)
    assert await ask(prometheus, web, COUNT, query="up") == Found(2)
    table = await ask(prometheus, web, TABLE, query="up == 0")
    assert isinstance(table, Found)
    assert isinstance(table.value, Table)
    row = dict(zip(table.value.columns, table.value.rows[0], strict=True))
    assert (row["job"], row["value"]) == ("nobody", "0")


async def test_what_is_no_single_number_is_never_made_one(prometheus: str, web: Web) -> None:
    assert await ask(prometheus, web, FLOAT, query="no_such_metric") == Absent()
    assert await ask(prometheus, web, FLOAT, query="up") == Broken("2 series, one expected")
    for text in ("vector(0) / 0", "vector(1) / 0"):
        assert isinstance(await ask(prometheus, web, FLOAT, query=text), Broken), text
    wrong = await ask(prometheus, web, FLOAT, query="up{")
    assert isinstance(wrong, Broken)
    assert "400" in wrong.why


async def test_a_range_is_one_number(prometheus: str, web: Web) -> None:
    for agg in ("last", "min", "max", "mean"):
        found = await ask(prometheus, web, FLOAT, what="range", query='up{job="itself"}', minutes=1, agg=agg)
        assert found == Found(1.0), agg
    assert await ask(prometheus, web, FLOAT, what="range", query="no_such_metric") == Absent()


async def test_targets_rules_and_alerts_are_listed(prometheus: str, web: Web) -> None:
    assert await ask(prometheus, web, COUNT, what="targets") == Found(2)
    assert await ask(prometheus, web, COUNT, what="rules") == Found(1)
    alerts = await ask(prometheus, web, TABLE, what="alerts")
    assert isinstance(alerts, Found)
    assert isinstance(alerts.value, Table)
    row = dict(zip(alerts.value.columns, alerts.value.rows[0], strict=True))
    assert (row["name"], row["state"], row["severity"]) == ("SomethingIsDown", "firing", "high")


async def test_a_prometheus_that_watches_nothing_is_never_taken_for_one_without_trouble(
    prometheus: str, idle_prometheus: str, web: Web
) -> None:
    stack = load_stack(built_in()["trading-platform"])
    asked = [stack.facts[f"prometheus.{name}"] for name in ("firing", "down", "rules")]

    async def levels(url: str) -> list[Level]:
        found = await HttpFactReader(replace(stack.sources["prometheus"], url=url), web).read(asked)
        said = [(fact, found[fact.id]) for fact in asked]
        return [level_of(f, it.value) if isinstance(it, Found) else f.missing for f, it in said]

    assert await levels(prometheus) == [Level.WARN, Level.WARN, Level.OK]
    assert await levels(idle_prometheus) == [Level.UNKNOWN, Level.UNKNOWN, Level.WARN]


async def test_nobody_there_is_a_source_that_did_not_answer(web: Web) -> None:
    for what in ("query", "targets"):
        with pytest.raises(SourceError, match="nothing listens there"):
            await ask("http://127.0.0.1:9", web, FLOAT, what=what, query="up" if what == "query" else "")


async def test_an_answer_without_end_or_sense_is_no_value(web: Web, tmp_path: Path) -> None:
    async def query(request: Any) -> Response:
        if request.query_params["query"] == "huge":
            return Response(b" " * (5 << 20), media_type="application/json")
        return JSONResponse({"status": "success", "data": {"result": [{"metric": {}}]}})

    port = HttpPort(Starlette(routes=[Route("/api/v1/query", query)]))
    await port.open()
    try:
        huge = await ask(port.url, web, FLOAT, query="huge")
        assert huge == Broken("the answer is longer than 4 MiB")
        assert await ask(port.url, web, FLOAT, query="odd") == Broken("its answer cannot be understood")
    finally:
        await port.close()


async def test_a_range_is_as_long_as_it_says_in_the_night_the_clocks_go_back(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, float]] = []

    async def answer(request: Any) -> Response:
        asked.append((float(request.query_params["start"]), float(request.query_params["end"])))
        return JSONResponse({"status": "success", "data": {"result": []}})

    port = HttpPort(Starlette(routes=[Route("/api/v1/query_range", answer)]))
    await port.open()
    source = Source("p", SourceKind.PROMETHEUS, "Prometheus", port.url, every=10.0, deadline=5.0)
    # Half past two, the second time, on the wall of a host in Berlin.
    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp()
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    reader = PrometheusFactReader(source, web, FakeClock(wall=now))
    try:
        query = PrometheusQuery(what="range", query="up", minutes=120, agg="last")
        await reader.read([Fact("f", "F", "G", "p", query, FLOAT)])
    finally:
        await reader.close()
        await port.close()
        monkeypatch.undo()
        time.tzset()
    assert asked == [(now - 120 * 60, now)]


async def test_a_password_that_was_replaced_is_used_from_the_next_question_on() -> None:
    now = iter(["new"])
    secret = Secret("old", lambda: next(now))
    up = PrometheusQuery("query", query="up")
    asked = Fact("up", "Up", "Test", "prometheus", up, TABLE)
    async with HttpServer() as web, Web() as shared:
        web.otherwise = Answer(200, b'{"status": "success", "data": {"resultType": "vector", "result": []}}')
        place = Source("prometheus", SourceKind.PROMETHEUS, "Prometheus", web.url, 1.0, 2.0)
        reader = PrometheusFactReader(replace(place, username="kim", password=secret), shared)
        await reader.read([asked])
        secret.renew()
        await reader.read([asked])
        await reader.close()
    said = [b64decode(each.headers["authorization"].removeprefix("Basic ")) for each in web.requests]
    assert said == [b"kim:old", b"kim:new"]
