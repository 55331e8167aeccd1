"""HTTP services are read with GET only, once a path, bounded, and an answer that is none is named as such."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from backends.model.credential import internal_token, user_context
from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, Table, ValueType
from backends.model.query import HttpQuery
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.readers import http
from backends.readers.exposition import Sample, samples
from backends.readers.http import HttpFactReader
from backends.web import Web
from tests.clock import FakeClock
from tests.contract.faulty import Fault, Faulty
from tests.contract.http_server import HANG, Answer, HttpServer

TEXT, INT, FLOAT, BOOL = ValueType.TEXT, ValueType.INT, ValueType.FLOAT, ValueType.BOOL
COUNT, TABLE = ValueType.COUNT, ValueType.TABLE
CONFIG = b'{"dry_run": false, "alpaca_paper": true, "version": "1.0", "slice": "0.05", "environment": null}'
METRICS = b"""# HELP up Whether it is up
# TYPE up gauge
up 1
queue_depth{queue="high",pod="a\\"b"} 7 1795275062500
queue_depth{queue="low"} 2.5
broken_gauge NaN
latency_bucket{le="+Inf"} 12
"""
SECRET = Secret("canary-" + "ab" * 32)


def fact(
    path: str,
    kind: ValueType = TEXT,
    pick: str | None = None,
    expect: tuple[int, ...] = (200,),
    body: str = "json",
) -> Fact:
    ident = f"{path} {kind.value} {pick} {expect} {body}"
    return Fact(ident, "F", "g", "web", HttpQuery(path, expect, body), kind, pick)


def metric(name: str) -> Fact:
    return fact("/x", INT, name, body="prometheus")


def source(url: str, deadline: float = 10.0, **more: Any) -> Source:
    return Source("web", SourceKind.HTTP, "Web", url, every=2.0, deadline=deadline, **more)


@asynccontextmanager
async def reading(url: str, **more: Any) -> AsyncIterator[HttpFactReader]:
    async with Web() as web:
        yield HttpFactReader(source(url, **more), web, FakeClock(wall=1_700_000_000.5))


async def read_one(url: str, asked: Fact, **more: Any) -> Finding:
    async with reading(url, **more) as reader:
        return (await reader.read([asked]))[asked.id]


async def value(url: str, asked: Fact) -> Any:
    found = await read_one(url, asked)
    assert isinstance(found, Found), found
    return found.value


def said(found: Finding) -> str:
    assert isinstance(found, Broken), found
    return str(found.why)


async def failure(url: str, **more: Any) -> str:
    async with reading(url, **more) as reader:
        with pytest.raises(SourceError) as caught:
            await reader.read([fact("/a"), fact("/b")])
        return str(caught.value)


@pytest.fixture
async def web() -> AsyncIterator[HttpServer]:
    async with HttpServer() as server:
        server.answers["/config"] = Answer(200, CONFIG)
        server.answers["/metrics/"] = Answer(200, METRICS)
        yield server


async def test_json_text_status_and_metrics_become_values(web: HttpServer) -> None:
    web.answers["/ready"] = Answer(200, b"ready")
    web.answers["/runs?limit=2"] = Answer(200, b'{"runs": [{"id": 1, "status": "completed"}, {"id": 2}]}')
    assert await value(web.url, fact("/config", BOOL, "dry_run")) is False
    assert await value(web.url, fact("/config", TEXT, "version")) == "1.0"
    assert await value(web.url, fact("/config", FLOAT, "slice")) == 0.05
    assert await value(web.url, fact("/ready", TEXT, body="text")) == "ready"
    assert await value(web.url, fact("/ready", INT, body="none")) == 200
    assert await value(web.url, fact("/ready", BOOL, body="none")) is True
    assert await value(web.url, fact("/runs?limit=2", TEXT, "runs.0.status")) == "completed"
    assert await value(web.url, fact("/runs?limit=2", COUNT, "runs")) == 2
    table: Table = await value(web.url, fact("/runs?limit=2", TABLE, "runs"))
    assert table.rows == (("1", "completed"), ("2", "–"))
    assert await value(web.url, fact("/metrics/", INT, "up", body="prometheus")) == 1
    low = 'queue_depth{queue="low"}'
    assert await value(web.url, fact("/metrics/", FLOAT, low, body="prometheus")) == 2.5
    escaped = r'queue_depth{pod="a\"b"}'
    assert await value(web.url, fact("/metrics/", INT, escaped, body="prometheus")) == 7
    assert await value(web.url, fact("/metrics/", COUNT, "queue_depth", body="prometheus")) == 2


@pytest.mark.parametrize(
    ("answer", "asked", "expected"),
    [
        (Answer(404), fact("/x", TEXT, "state"), Absent()),
        (Answer(200, b'{"state": null}'), fact("/x", TEXT, "state"), Absent()),
        (Answer(200, METRICS), fact("/x", INT, "no_such_metric", body="prometheus"), Absent()),
        (Answer(200, METRICS), fact("/x", COUNT, "no_such_metric", body="prometheus"), Absent()),
        (Answer(404, b"{}"), fact("/x", INT, expect=(200, 404), body="none"), Found(404)),
        (Answer(503, b'{"status":"degraded"}'), fact("/x", TEXT, "status", (200, 503)), Found("degraded")),
        (Answer(401), fact("/x", TEXT, "state"), "refused (401): it wants credentials"),
        (Answer(403), fact("/x", TEXT, "state"), "refused (403): it wants credentials"),
        (Answer(500, b'{"state":"ACTIVE"}'), fact("/x", TEXT, "state"), "answered 500"),
        (Answer(503, b'{"state":"ACTIVE"}'), fact("/x", TEXT, "state"), "answered 503"),
        (Answer(204), fact("/x", TEXT, "state"), "answered 204"),
        (Answer(200), fact("/x", TEXT, "state"), "is empty"),
        (Answer(200), fact("/x", TEXT, body="text"), "is empty, text expected"),
        (Answer(200, b"<html>login</html>"), fact("/x", TEXT, "state"), "not JSON"),
        (Answer(200, b"{}"), fact("/x", TEXT, "state"), "no member 'state'"),
        (Answer(200, b"[]"), fact("/x", TEXT, "state"), "is a list, an object with 'state' expected"),
        (Answer(200, b'{"state": []}'), fact("/x", TEXT, "state"), "is a list, text expected"),
        (Answer(200, b'{"on": "true"}'), fact("/x", BOOL, "on"), "is 'true', true or false expected"),
        (Answer(200, b"x" * 1_100_000), fact("/x", TEXT, body="text"), "answer is more than 1024 KiB"),
        (
            Answer(200, gzip.compress(CONFIG), {"Content-Encoding": "gzip"}),
            fact("/x", BOOL, "dry_run"),
            "answers compressed, which was not asked for",
        ),
        (Answer(200, METRICS), metric("broken_gauge"), "is 'NaN', a number expected"),
        (Answer(200, METRICS), metric("queue_depth"), "2 series, one expected"),
        (Answer(200, METRICS), metric("not a name"), "'not a name' names no metric"),
        (Answer(200, b"up 1\n<html>"), metric("up"), "line 2 is not Prometheus text"),
        (Answer(200), metric("up"), "holds no Prometheus sample"),
    ],
    ids=lambda part: str(part)[:40],
)  # fmt: skip
async def test_each_answer_is_found_missing_or_broken_for_its_own_reason(
    web: HttpServer, answer: Answer, asked: Fact, expected: Any
) -> None:
    web.answers["/x"] = answer
    found = await read_one(web.url, asked)
    assert (said(found) if isinstance(expected, str) else found) == expected


async def test_a_path_is_asked_once_for_all_its_facts_and_the_connection_is_kept(web: HttpServer) -> None:
    asked = [
        fact("/config", BOOL, "dry_run"),
        fact("/config", BOOL, "alpaca_paper"),
        fact("/config", TEXT, "version"),
    ]
    async with reading(web.url) as reader:
        await reader.read(asked)
        await reader.read(asked)
    assert [(each.method, each.target) for each in web.requests] == [("GET", "/config")] * 2
    assert web.connections == 1


@pytest.mark.alone
async def test_one_path_that_hangs_or_breaks_leaves_the_others_in_place_and_in_time(web: HttpServer) -> None:
    web.answers["/slow"] = Answer(HANG)
    asked = [fact("/slow", TEXT, "a"), fact("/config", BOOL, "dry_run"), fact("/gone", TEXT, "a")]
    async with reading(web.url, deadline=0.5) as reader:
        started = time.monotonic()
        found = await reader.read(asked)
        assert time.monotonic() - started < 0.5
    assert said(found[asked[0].id]) == "no answer within 0.45 s"
    assert [found[each.id] for each in asked[1:]] == [Found(False), Absent()]


@pytest.mark.alone
async def test_many_paths_that_hang_starve_no_other_path(web: HttpServer) -> None:
    asked = [fact(f"/slow{number}", TEXT, "a") for number in range(12)] + [fact("/config", BOOL, "dry_run")]
    web.answers |= {f"/slow{number}": Answer(HANG) for number in range(12)}
    async with reading(web.url, deadline=0.6) as reader:
        started = time.monotonic()
        found = await reader.read(asked)
        assert time.monotonic() - started < 0.6
    assert found[asked[-1].id] == Found(False)


async def test_a_service_that_answers_nothing_at_all_is_a_source_that_failed(web: HttpServer) -> None:
    web.answers |= {"/a": Answer(HANG), "/b": Answer(HANG)}
    assert await failure(web.url, deadline=0.3) == "no answer within 0.27 s"
    assert await failure("http://127.0.0.1:1") == "127.0.0.1:1 refuses the connection: nothing listens there"
    assert await failure("http://no.invalid") == "the name in no.invalid:80 is not known here"
    assert await failure("gopher://127.0.0.1") == "its address is not one of an HTTP service"
    async with Faulty(fault=Fault.GARBAGE) as door:
        assert "does not speak TLS" in await failure(f"https://127.0.0.1:{door.port}")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.GARBAGE, "does not answer as an HTTP service"), (Fault.CLOSE, "closed the connection")],
)
async def test_a_server_of_another_kind_is_named_as_such(fault: Fault, reason: str) -> None:
    async with Faulty(fault=fault) as door:
        assert await failure(f"http://127.0.0.1:{door.port}") == f"127.0.0.1:{door.port} {reason}"


async def test_a_redirect_is_followed_within_the_service_and_nowhere_else(web: HttpServer) -> None:
    web.answers["/metrics"] = Answer(307, b"", {"Location": f"{web.url}/metrics/"})
    web.answers["/relative"] = Answer(302, b"", {"Location": "/config"})
    web.answers["/round"] = Answer(302, b"", {"Location": "/round"})
    assert await value(web.url, fact("/metrics", INT, "up", body="prometheus")) == 1
    assert await value(web.url, fact("/relative", BOOL, "alpaca_paper")) is True
    async with HttpServer() as other:
        other.answers["/config"] = Answer(200, CONFIG)
        web.answers["/away"] = Answer(302, b"", {"Location": f"{other.url}/config"})
        token = {"auth": "bearer", "password": SECRET}
        away = await read_one(web.url, fact("/away", BOOL, "dry_run"), **token)
        assert said(away) == "sends the room to another place: 127.0.0.1"
        assert other.requests == []
    assert said(await read_one(web.url, fact("/round", TEXT, "a"))) == "sends the room round in circles"


async def test_a_huge_answer_is_left_after_its_first_mebibyte(web: HttpServer) -> None:
    web.answers["/huge"] = Answer(200, b"x" * 64_000_000)
    async with Faulty(web.port) as door:
        found = await read_one(f"http://127.0.0.1:{door.port}", fact("/huge", TEXT, body="text"))
        assert door.received < 16_000_000
    assert said(found) == "answer is more than 1024 KiB"


@pytest.mark.parametrize("size", [10, 10_000])
async def test_a_long_answer_is_understood_beside_the_loop_that_stops_run_on(
    size: int, web: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[threading.Thread] = []

    def noted(body: bytes) -> list[Sample]:
        where.append(threading.current_thread())
        return samples(body)

    monkeypatch.setitem(http._PARSERS, "prometheus", noted)
    web.answers["/metrics"] = Answer(200, b"up 1\n" * size)
    await read_one(web.url, fact("/metrics", COUNT, "up", body="prometheus"))
    assert [it is threading.main_thread() for it in where] == [size == 10]


async def test_requests_are_signed_as_the_source_says(web: HttpServer) -> None:
    options = {"user": "ops1", "role": "admin", "strategies": "alpha_baseline"}
    plain = fact("/config", BOOL, "dry_run")
    await read_one(web.url, plain, auth="user-context", password=SECRET, options=options)
    await read_one(web.url, fact("/config?a=1", TEXT, "x"), auth="internal-token", password=SECRET)
    await read_one(web.url, plain, auth="bearer", password=SECRET)
    context, internal, bearer = (request.headers for request in web.requests)
    signed = user_context(
        SECRET, user="ops1", role="admin", strategies="alpha_baseline", timestamp=1_700_000_000
    )
    assert {name.lower(): word for name, word in signed.items()}.items() <= context.items()
    token = internal_token(
        SECRET, service="orchestrator", method="GET", path="/config", query="a=1",
        nonce=internal["x-internal-nonce"], timestamp=1_700_000_000,
    )  # fmt: skip
    assert {name.lower(): word for name, word in token.items()}.items() <= internal.items()
    assert bearer["authorization"] == f"Bearer {SECRET.reveal()}"


async def test_a_token_is_never_sent_twice_and_a_missing_secret_is_no_reason_not_to_ask(
    web: HttpServer,
) -> None:
    asked = fact("/config", BOOL, "dry_run")
    async with reading(web.url, auth="internal-token", password=SECRET) as reader:
        await reader.read([asked])
        await reader.read([asked])
    first, second = (request.headers["x-internal-nonce"] for request in web.requests)
    assert first != second
    for auth in ("internal-token", "bearer", "user-context"):
        assert await read_one(web.url, asked, auth=auth) == Found(False)


async def test_refused_credentials_are_said_and_never_shown(web: HttpServer) -> None:
    web.answers["/x"] = Answer(401, b'{"detail":"bad"}')
    found = await read_one(web.url, fact("/x", TEXT, "state"), auth="bearer", password=SECRET)
    assert said(found) == "refused (401): the credentials are not accepted"
    found = await read_one(web.url, fact("/x", TEXT, "state"), auth="internal-token")
    assert said(found) == "refused (401): its secret is not configured here"


@pytest.mark.alone
async def test_a_cancelled_read_ends_at_once_and_the_next_one_works(web: HttpServer) -> None:
    web.answers["/slow"] = Answer(HANG)
    async with reading(web.url) as reader:
        started = time.monotonic()
        task = asyncio.create_task(reader.read([fact("/slow", TEXT, "a")]))
        await asyncio.wait({task}, timeout=0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asked = fact("/config", BOOL, "dry_run")
        assert (await reader.read([asked]))[asked.id] == Found(False)
        assert time.monotonic() - started < 1.0


async def test_the_shared_client_takes_no_proxy_from_the_environment(
    web: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert await value(web.url, fact("/config", BOOL, "dry_run")) is False
    async with httpx.AsyncClient() as ordinary:
        with pytest.raises(httpx.ConnectError):
            await ordinary.get(f"{web.url}/config")


async def test_a_cookie_of_one_answer_is_sent_with_no_other_request(web: HttpServer) -> None:
    web.answers["/config"] = Answer(200, CONFIG, {"Set-Cookie": "session=canary"})
    async with reading(web.url) as reader:
        for _ in range(2):
            await reader.read([fact("/config", BOOL, "dry_run")])
    assert [request.headers.get("cookie") for request in web.requests] == [None, None]
    assert {request.headers["user-agent"] for request in web.requests} == {"controlroom"}
