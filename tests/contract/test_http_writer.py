"""The second way to the kill switch: one HTTP request, and the truth about what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.redact import Redactor
from backends.model.action import HttpCall, RedisTransition
from backends.model.clock import Instant
from backends.model.credential import internal_token, user_context
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.model.substitution import values_of
from backends.procedures.plan import make_plan
from backends.stacks.loader import built_in, load_stack
from backends.writers.http import HttpEffector
from tests.clock import FakeClock
from tests.contract.switch_server import ENGAGE, PACKED, SwitchServer, packed
from tests.sim.world import HALT, intent, tiny_stack

SHIPPED = load_stack(built_in()["trading-platform"]).procedures["halt"].steps[1]
STEP = replace(SHIPPED, connect=5.0, deadline=5.0)
"""With time for a busy machine, where the time is not what is tested."""
HASTY = replace(SHIPPED, connect=0.25, deadline=0.5)
VALUES = values_of(intent(), Instant(1.0, 1_790_000_000.0))
DONE, ALREADY, FAILED, UNKNOWN = (
    ReceiptKind.DONE, ReceiptKind.ALREADY, ReceiptKind.FAILED, ReceiptKind.UNKNOWN,
)  # fmt: skip


@asynccontextmanager
async def writing(url: str, **more: Any) -> AsyncIterator[HttpEffector]:
    source = Source("orchestrator", SourceKind.HTTP, "Orchestrator", url, 1.0, 0.5, **more)
    effector = HttpEffector(source, FakeClock())
    await effector.warm()
    try:
        yield effector
    finally:
        await effector.close()


async def act(url: str, step: Step = STEP, **more: Any) -> Receipt:
    async with writing(url, **more) as effector:
        return await effector.act(step.action, VALUES, step)


def call(**changes: Any) -> Step:
    assert isinstance(STEP.action, HttpCall)
    return replace(STEP, action=replace(STEP.action, **changes))


async def test_engaging_sends_the_platforms_own_request_once() -> None:
    async with SwitchServer() as web:
        receipt = await act(web.url)
        assert receipt.kind is DONE
        (sent,) = web.calls
    assert (sent.method, sent.target) == ("POST", ENGAGE)
    assert json.loads(sent.body) == {"reason": "drill", "operator": "kim"}
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["idempotency-key"] == "op-1"


async def test_each_step_of_a_run_is_a_request_of_its_own_and_each_try_of_it_the_same() -> None:
    """A service that knows the key again answers what it answered first: a second position is no retry."""
    plan = make_plan(intent(), HALT, tiny_stack(), Instant(0.0, 1_790_000_000.0))
    first, second = (replace(STEP, id=f"close:{symbol}") for symbol in ("AAPL", "NVDA"))
    async with SwitchServer() as web:
        async with writing(web.url) as effector:
            for step in (first, second, second):
                await effector.act(step.action, plan.values_for(step), step)
        keys = [sent.headers["idempotency-key"] for sent in web.calls]
    assert keys[0] != keys[1] == keys[2]


async def test_already_engaged_is_told_apart_from_other_refusals() -> None:
    async with SwitchServer(state="ENGAGED") as web:
        receipt = await act(web.url)
        assert receipt.kind is ALREADY
        assert "already engaged by lee" in receipt.text
    async with SwitchServer(fault="400") as web:
        assert (await act(web.url)).kind is FAILED


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("hang", UNKNOWN, "no answer within 500 ms"),
        ("reset", UNKNOWN, "cut off"),
        ("half", UNKNOWN, "cut off"),
        ("noise", UNKNOWN, "cut off"),
        ("drip", UNKNOWN, "no answer within"),
        ("500", UNKNOWN, "answered 500"),
        ("502", UNKNOWN, "answered 502"),
        ("504", UNKNOWN, "answered 504"),
        ("401", FAILED, "refused: answered 401: status 401"),
        ("503", FAILED, "refused: answered 503"),
        ("redirect", FAILED, "answered 307"),
        ("huge", DONE, "done"),
    ],
)
@pytest.mark.alone
async def test_every_way_to_go_wrong_is_told_in_time_and_without_a_retry(
    fault: str, kind: ReceiptKind, words: str
) -> None:
    async with SwitchServer(fault) as web, writing(web.url) as effector:
        began = time.monotonic()
        receipt = await effector.act(HASTY.action, VALUES, HASTY)
        assert time.monotonic() - began < 1.0
        assert receipt.kind is kind, receipt.text
        assert words in receipt.text
        assert len(web.calls) == 1


async def test_nobody_listening_means_nothing_happened() -> None:
    receipt = await act("http://127.0.0.1:1")
    assert receipt.kind is FAILED
    assert "nothing was sent" in receipt.text


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with SwitchServer() as web:
        assert (await act(web.url)).kind is DONE


async def test_an_internal_token_signs_exactly_what_is_sent_and_never_twice_the_same() -> None:
    secret = Secret("ab" * 32)
    more = {"password": secret, "options": {"service_id": "orchestrator"}}
    async with SwitchServer() as web, writing(web.url + "/base", **more) as effector:
        step = call(auth="internal-token", path=f"{ENGAGE}?a=1&b=2")
        await effector.act(step.action, VALUES, step)
        await effector.act(step.action, VALUES, step)
        first, second = web.calls
    assert first.target == f"/base{ENGAGE}?a=1&b=2"
    nonce = first.headers["x-internal-nonce"]
    expected = internal_token(
        secret, service="orchestrator", method="POST", path=f"/base{ENGAGE}", query="a=1&b=2",
        body=first.body, nonce=nonce, timestamp=1_790_000_000,
    )  # fmt: skip
    assert expected.items() <= {name: first.headers.get(name.lower(), "") for name in expected}.items()
    assert first.headers["x-body-hash"] == hashlib.sha256(first.body).hexdigest()
    assert second.headers["x-internal-nonce"] != nonce


async def test_a_signed_user_context_names_who_presses() -> None:
    more = {"password": Secret("ab" * 32), "options": {"role": "admin", "strategies": "alpha_baseline"}}
    async with SwitchServer() as web, writing(web.url, **more) as effector:
        step = call(auth="user-context")
        await effector.act(step.action, {**VALUES, "operator": "ops1"}, step)
        sent = web.calls[0].headers
    expected = user_context(
        Secret("ab" * 32), user="ops1", role="admin", strategies="alpha_baseline", timestamp=1_790_000_000
    )
    assert expected.items() <= {name: sent.get(name.lower(), "") for name in expected}.items()


async def test_a_bearer_token_is_sent_and_never_told() -> None:
    async with SwitchServer(fault="401") as web:
        receipt = await act(web.url, call(auth="bearer"), password=Secret("canary-token-4711"))
        assert web.calls[0].headers["authorization"] == "Bearer canary-token-4711"
        assert "canary" not in str(receipt)


@pytest.mark.parametrize("length", [0, 150, 180, 195, 3990])
async def test_what_a_service_quotes_of_the_rooms_secrets_is_told_without_them_wherever_it_is_cut(
    length: int,
) -> None:
    secret, redact = "canary-4711-canary-4711", Redactor([Secret("canary-4711-canary-4711")]).text
    async with SwitchServer("500", detail=f"{'x' * length} no way to redis://:{secret}@risk {secret}") as web:
        source = Source("web", SourceKind.HTTP, "Web", web.url, 1.0, 0.5)
        effector = HttpEffector(source, FakeClock(), redact)
        receipt = await effector.act(STEP.action, VALUES, STEP)
        await effector.close()
    assert receipt.kind is UNKNOWN
    assert "cana" not in repr(receipt)
    assert ("no way to" in receipt.text) is (length < 190)


async def test_an_answer_that_was_packed_is_not_unpacked() -> None:
    """A few bytes can become more than there is memory."""
    packed()
    async with SwitchServer("packed") as web:
        tracemalloc.start()
        try:
            receipt = await act(web.url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < PACKED / 4
    assert web.calls[0].headers["accept-encoding"] == "identity"
    assert receipt.kind is FAILED
    assert receipt.text.startswith("refused: answered 409: what it says is compressed")


async def test_an_answer_that_is_too_deep_to_read_is_still_an_answer() -> None:
    async with SwitchServer("deep") as web:
        receipt = await act(web.url)
    assert receipt.kind is FAILED
    assert receipt.text.startswith("refused: answered 409: [[[[")


@pytest.mark.parametrize("auth", ["bearer", "internal-token", "service-jwt"])
async def test_a_request_that_cannot_be_signed_is_not_sent(auth: str) -> None:
    async with SwitchServer() as web:
        receipt = await act(web.url, call(auth=auth))
        assert receipt.kind is FAILED
        assert "nothing was sent" in receipt.text
        assert web.connections == 0


async def test_a_value_cannot_leave_its_place_in_the_path() -> None:
    async with SwitchServer() as web, writing(web.url) as effector:
        step = call(path="/orders/$order/cancel")
        await effector.act(step.action, {**VALUES, "order": "a/../b?c#d"}, step)
        assert web.calls[0].target == "/orders/a%2F..%2Fb%3Fc%23d/cancel"
        refused = await effector.act(step.action, {**VALUES, "order": ".."}, step)
        assert refused.kind is FAILED
        assert len(web.calls) == 1


async def test_a_step_of_another_kind_is_refused() -> None:
    other = RedisTransition("redis", "k", "state", ("A",), "B")
    async with writing("http://127.0.0.1:1") as effector:
        assert (await effector.act(other, VALUES, STEP)).kind is FAILED


def test_the_http_library_loads_only_when_the_writer_is_first_used() -> None:
    program = "import sys, backends.writers.http; print('httpx' in sys.modules, 'redis' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


@pytest.mark.alone
async def test_loading_it_does_not_hold_up_the_other_rungs() -> None:
    """Two cold writers act at once and each has its own whole deadline."""
    async with SwitchServer() as web:
        source = Source("orchestrator", SourceKind.HTTP, "Orchestrator", web.url, 1.0, 0.5)
        effector = HttpEffector(source)
        receipts = await asyncio.gather(*(effector.act(HASTY.action, VALUES, HASTY) for _ in range(2)))
        await effector.close()
    assert {receipt.kind for receipt in receipts} == {DONE, ALREADY}
