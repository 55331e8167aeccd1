"""The demo's gateway asks for the proofs of the platform's contract when it enforces them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import jwt
import pytest
from msgspec.structs import replace

from backends.model.credential import internal_token, user_context
from backends.model.fact import Broken, Found
from backends.model.safetext import SafeText
from backends.model.secret import Secret
from backends.readers.http import HttpFactReader
from backends.stacks.loader import built_in, load_stack
from backends.web import Web
from tests.contract.demo_eyes import Eyes
from tests.servers.demo import start_demo

STATUS = "/api/v1/kill-switch/status"
ENGAGE = "/api/v1/kill-switch/engage"


@pytest.fixture(scope="module")
def eyes() -> Iterator[Eyes]:
    world = start_demo("--fault", "auth-enforced")
    made = Eyes(world)
    yield made
    made.close()
    world.stop()


@pytest.fixture
def folder(eyes: Eyes) -> Path:
    return eyes.world.config.parent


@pytest.fixture
def secret(folder: Path) -> Secret:
    return Secret((folder / "internal_token_secret").read_text().strip())


def token(secret: Secret, method: str, path: str, *, body: bytes = b"", **more: str) -> dict[str, str]:
    """Headers of the orchestrator's own call."""
    given = {"service": "orchestrator", "nonce": str(uuid.uuid4()), **more}
    return internal_token(secret, method=method, path=path, body=body, timestamp=int(time.time()), **given)


def user_token(folder: Path, **more: object) -> Mapping[str, str]:
    """Headers with a service token of user ``ops``, as the contract says it is minted."""
    now = int(time.time())
    claims = {
        "sub": "ops", "iat": now, "exp": now + 900, "jti": str(uuid.uuid4()), "type": "service",
        "iss": "trading-platform-web-console", "aud": "trading-platform-api", **more,
    }  # fmt: skip
    signed = jwt.encode(claims, (folder / "jwt_private.key").read_bytes(), algorithm="RS256")
    return {"Authorization": f"Bearer {signed}", "X-User-ID": "ops"}


def test_without_proof_nothing_but_what_is_open_answers(eyes: Eyes) -> None:
    assert eyes.ask("gateway", STATUS).json()["detail"]["error"] == "authentication_required"
    assert eyes.ask("gateway", "/api/v1/orders/pending").status_code == 401
    assert eyes.ask("gateway", "/api/v1/account").status_code == 401
    for path in ("/health", "/api/v1/config", "/api/v1/reconciliation/status"):
        assert eyes.ask("gateway", path).status_code == 200
    assert eyes.ask("orchestrator", STATUS).status_code == 200, "the orchestrator never asks anybody"


def test_a_signed_user_is_let_in_and_a_forged_one_is_not(eyes: Eyes, secret: Secret) -> None:
    now = int(time.time())
    good = user_context(secret, user="ops", role="nonsense", timestamp=now)
    assert eyes.ask("gateway", "/api/v1/account", headers=good).json()["status"] == "ACTIVE"
    old = user_context(secret, user="ops", role="admin", timestamp=now - 400)
    for bad in ({**good, "X-User-Id": "eve"}, old, user_context(None, user="ops", role="x", timestamp=now)):
        assert eyes.ask("gateway", "/api/v1/account", headers=bad).status_code == 401


def test_an_internal_token_is_good_once_for_exactly_its_request(eyes: Eyes, secret: Secret) -> None:
    body = json.dumps({"reason": "drill", "operator": "kim"}).encode()
    headers = {**token(secret, "POST", ENGAGE, body=body), "Content-Type": "application/json"}
    url = eyes.world["http"]["gateway"] + ENGAGE
    assert httpx.post(url, content=body + b" ", headers=headers).status_code == 401
    assert httpx.post(url, content=body, headers=headers).json()["state"] == "ENGAGED"
    replay = httpx.post(url, content=body, headers=headers)
    assert replay.json()["detail"]["error"] == "invalid_internal_token"
    eyes.tell("orchestrator", "/api/v1/kill-switch/disengage", {"operator": "kim"})


def test_a_service_may_do_only_what_is_its_own(eyes: Eyes, secret: Secret) -> None:
    path = "/api/v1/circuit-breaker/status"
    assert eyes.ask("gateway", path, headers=token(secret, "GET", path)).status_code == 403
    headers = token(secret, "GET", STATUS, service="web_console_ng")
    assert eyes.ask("gateway", STATUS, headers=headers).status_code == 403
    assert eyes.ask("gateway", STATUS, headers=token(secret, "GET", STATUS, service="eve")).status_code == 401
    assert eyes.ask("gateway", STATUS, headers=token(secret, "GET", STATUS)).json()["state"] == "ACTIVE"


async def test_the_room_reads_the_gateways_own_word_with_the_secret_and_says_that_it_has_none_without(
    eyes: Eyes, secret: Secret
) -> None:
    stack = load_stack(built_in()["trading-platform"])
    fact = stack.facts["gateway.kill"]
    there = replace(stack.sources[fact.source], url=eyes.world["http"]["gateway"], deadline=5.0)
    async with Web() as web:
        signed = HttpFactReader(replace(there, password=secret), web)
        assert await signed.read([fact]) == {fact.id: Found(SafeText("ACTIVE"))}
        why = SafeText("refused (401): its secret is not configured here")
        assert await HttpFactReader(there, web).read([fact]) == {fact.id: Broken(why)}
        # The fault of a gateway that finds no key is not taken for a word.
        kept = eyes.redis.getdel("kill_switch:state")
        assert await signed.read([fact]) == {fact.id: Broken(SafeText("answered 503"))}
        eyes.redis.set("kill_switch:state", kept)


def test_a_service_token_is_good_once_and_only_for_its_user(eyes: Eyes, folder: Path) -> None:
    pending = "/api/v1/orders/pending"
    headers = user_token(folder)
    assert eyes.ask("gateway", pending, headers=headers).status_code == 200
    assert eyes.ask("gateway", pending, headers=headers).status_code == 401
    wrong = (
        user_token(folder, sub="eve"), user_token(folder, exp=int(time.time()) - 60),
        user_token(folder, aud="somebody else"), user_token(folder, type="access"),
    )  # fmt: skip
    assert [eyes.ask("gateway", pending, headers=one).status_code for one in wrong] == [401] * len(wrong)
    assert (
        eyes.ask("gateway", "/api/v1/circuit-breaker/status", headers=user_token(folder)).status_code == 200
    )
