"""The service token, as the platform's gateway checks it: signature, claims, headers, each used once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.structs import replace

from backends.model.action import HttpCall
from backends.model.clock import Clock, SystemClock
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.secret import Secret
from backends.model.stack import Source, SourceKind
from backends.writers.http import HttpEffector
from tests.clock import FakeClock
from tests.contract.switch_server import Call, SwitchServer
from tests.servers.demo import DemoWorld, start_demo
from tests.servers.process import wait_until

CANCEL_ALL = HttpCall("gateway", "POST", "/api/v1/orders/cancel-all", {"by": "$operator"}, auth="service-jwt")
STEP = Step("cancel", "Cancel", CANCEL_ALL, (), connect=5.0, deadline=5.0)
VALUES = {"operator": "kim", "operation": "op-1"}
KEY = rsa.generate_private_key(65537, 2048)
BODY = {"reason": "no longer wanted", "requested_by": "kim", "requested_at": "2026-11-21T14:03:05+00:00"}
NOW = 1_790_000_000.0


def pem(key: Any = KEY) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(folder: Path, text: str | None = None, mode: int = 0o600) -> str:
    path = folder / "jwt_private.key"
    path.write_text(pem() if text is None else text)
    path.chmod(mode)
    return str(path)


def bad_key_file(folder: Path, what: str) -> str:
    text = {"nonsense": "canary-4711", "curve": pem(ec.generate_private_key(ec.SECP256R1()))}.get(what)
    path = Path(key_file(folder, text, 0o644 if what == "open" else 0o600))
    if what == "absent":
        path.unlink()
    if what == "linked":
        (folder / "link").symlink_to(path)
        return str(folder / "link")
    return str(path)


def keys_of(world: DemoWorld) -> list[Path]:
    """The private key the demo made, once its public half is there too."""
    found = [*world.config.parent.rglob("jwt_public.pem"), *world.home.rglob("jwt_public.pem")]
    return [path.with_name("jwt_private.key") for path in found[:1]]


@asynccontextmanager
async def writing(url: str, clock: Clock | None = None, **more: Any) -> AsyncIterator[HttpEffector]:
    source = Source("gateway", SourceKind.HTTP, "Gateway", url, 1.0, 0.5, **more)
    effector = HttpEffector(source, clock or FakeClock(wall=NOW))
    try:
        yield effector
    finally:
        await effector.close()


async def act(url: str, values: Mapping[str, Any] = VALUES, **more: Any) -> Receipt:
    async with writing(url, **more) as effector:
        return await effector.act(STEP.action, values, STEP)


def claims(call: Call) -> dict[str, Any]:
    """What the gateway's check gives for a request; it raises where the gateway would refuse."""
    token = call.headers["authorization"].removeprefix("Bearer ")
    found: dict[str, Any] = jwt.decode(
        token,
        KEY.public_key(),
        algorithms=["RS256"],
        issuer="trading-platform-web-console",
        audience="trading-platform-api",
        options={
            "require": ["sub", "iat", "exp", "jti", "iss", "aud"],
            "verify_exp": False,
            "verify_iat": False,
        },
    )
    assert found["sub"] == call.headers["x-user-id"]
    assert found["iat"] - 30 <= NOW <= found["exp"] + 30
    return found


async def test_each_request_carries_a_token_of_its_own_that_the_gateway_accepts(tmp_path: Path) -> None:
    options = {"jwt_key_file": key_file(tmp_path)}
    async with SwitchServer() as web, writing(web.url, options=options) as effector:
        await effector.warm()
        for _ in range(2):
            await effector.act(STEP.action, VALUES, STEP)
        first, second = (claims(call) for call in web.calls)
        headers = web.calls[0].headers
    assert (first["sub"], first["type"]) == ("kim", "service")
    assert first["exp"] - first["iat"] <= 900
    assert first["jti"] != second["jti"]
    assert headers["x-session-version"].isdecimal()
    assert len(headers["x-request-id"]) == 36
    assert headers["x-request-id"] != web.calls[1].headers["x-request-id"]
    # With a role as well, the platform would demand another signature.
    assert "x-user-role" not in headers


async def test_the_key_may_be_the_sources_credential_or_a_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SwitchServer() as web:
        await act(web.url, password=Secret(pem()))
        monkeypatch.setenv("DESK_JWT_KEY", key_file(tmp_path))
        options = {"jwt_key_file_env": "DESK_JWT_KEY", "jwt_subject": "desk-$operator"}
        await act(web.url, options=options)
        assert [claims(call)["sub"] for call in web.calls] == ["kim", "desk-kim"]


async def test_a_new_key_counts_at_once(tmp_path: Path) -> None:
    options = {"jwt_key_file": key_file(tmp_path, pem(rsa.generate_private_key(65537, 2048)))}
    async with SwitchServer() as web, writing(web.url, options=options) as effector:
        await effector.act(STEP.action, VALUES, STEP)
        with pytest.raises(jwt.InvalidSignatureError):
            claims(web.calls[0])
        key_file(tmp_path)
        await effector.act(STEP.action, VALUES, STEP)
        assert claims(web.calls[1])["sub"] == "kim"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("open", "others may use it (mode 0644)"),
        ("absent", "no such file"),
        ("linked", "symbolic link"),
        ("nonsense", "not a private RSA key"),
        ("curve", "not a private RSA key"),
    ],
)
async def test_a_key_that_cannot_be_trusted_or_used_signs_nothing(
    tmp_path: Path, what: str, words: str
) -> None:
    path = bad_key_file(tmp_path, what)
    async with SwitchServer() as web:
        receipt = await act(web.url, options={"jwt_key_file": path})
        assert web.connections == 0
    assert receipt.kind is ReceiptKind.FAILED
    assert words in receipt.text
    assert "nothing was sent" in receipt.text
    assert "canary" not in receipt.text
    assert "PRIVATE KEY" not in receipt.text


async def test_a_name_that_no_header_can_hold_is_not_signed_for(tmp_path: Path) -> None:
    options = {"jwt_key_file": key_file(tmp_path)}
    async with SwitchServer() as web:
        for name in ("kim\r\nX-User-Role: admin", "кim", ""):
            receipt = await act(web.url, {**VALUES, "operator": name}, options=options)
            assert receipt.kind is ReceiptKind.FAILED
        assert web.connections == 0


async def test_a_token_that_the_service_quotes_is_not_told_on(tmp_path: Path) -> None:
    async with SwitchServer(fault="quote") as web:
        receipt = await act(web.url, options={"jwt_key_file": key_file(tmp_path)})
        token = web.calls[0].headers["authorization"].removeprefix("Bearer ")
    assert receipt.kind is ReceiptKind.FAILED
    assert "not valid: Bearer ****" in receipt.text
    assert token not in f"{receipt.text}{receipt.after}"


async def test_the_demos_gateway_that_demands_proof_takes_the_token_and_nothing_less() -> None:
    """An order that does not exist, so that being let in shows as 404."""
    world = await asyncio.to_thread(start_demo, "--fault", "auth-enforced")
    try:
        (key,) = await asyncio.to_thread(wait_until, lambda: keys_of(world), 10, "a key pair")
        cancel = HttpCall("gateway", "POST", "/api/v1/manual/orders/no-such-order/cancel", BODY)
        said = []
        for auth in ("none", "service-jwt", "service-jwt"):
            action = replace(cancel, auth=auth)
            step = replace(STEP, action=action, deadline=5.0)
            options = {"jwt_key_file": str(key)}
            async with writing(world["http"]["gateway"], clock=SystemClock(), options=options) as effector:
                said.append((await effector.act(action, VALUES, step)).text)
    finally:
        await asyncio.to_thread(world.stop)
    assert "answered 401" in said[0]
    assert ["answered 404" in text for text in said[1:]] == [True, True], said


def test_the_library_loads_with_the_first_token() -> None:
    program = "import sys, backends.writers.http; print('jwt' in sys.modules, 'cryptography' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
