"""Requests are signed exactly as the platform's contract says, by its own test vectors."""

from __future__ import annotations

import hashlib

from backends.model.credential import bearer, canonical, internal_token, user_context
from backends.model.secret import Secret

SECRET = Secret("ab" * 32)
AT = 1_700_000_000


def test_the_signed_user_context_is_the_contracts_vector() -> None:
    headers = user_context(SECRET, user="ops1", role="admin", strategies="alpha_baseline", timestamp=AT)
    assert headers == {
        "X-User-Id": "ops1",
        "X-User-Role": "admin",
        "X-User-Strategies": "alpha_baseline",
        "X-Request-Timestamp": "1700000000",
        "X-User-Signature": "ebba4f666fd01fa448c78e4096b1fd210912ba293af7699d120f52b73c2a3315",
    }


def test_the_internal_token_is_the_contracts_vector() -> None:
    body = b'{"operator":"kim","reason":"drill"}'
    headers = internal_token(
        SECRET,
        service="orchestrator",
        method="post",
        path="/api/v1/kill-switch/engage",
        body=body,
        nonce="n-1",
        timestamp=AT,
    )
    assert headers == {
        "X-Internal-Token": "6376b8685c92d9c92de3cc36f3964b3ad630845f8a1cfbbe555566e7823fc7ee",
        "X-Internal-Timestamp": "1700000000",
        "X-Internal-Nonce": "n-1",
        "X-Service-ID": "orchestrator",
        "X-Body-Hash": "dcdae47c9e66d5329b558e414705ea6a370a8a575d68db79efdcc71a73fc2b10",
    }


def test_a_request_without_a_body_hashes_the_empty_string_and_names_whom_it_acts_for() -> None:
    common = {"service": "orchestrator", "method": "GET", "path": "/p", "nonce": "n", "timestamp": AT}
    plain = internal_token(SECRET, **common)  # type: ignore[arg-type]  # one dict of mixed arguments
    acting = internal_token(SECRET, **common, user="kim", strategy="alpha")  # type: ignore[arg-type]  # same
    assert plain["X-Body-Hash"] == hashlib.sha256(b"").hexdigest()
    assert "X-User-ID" not in plain
    assert (acting["X-User-ID"], acting["X-Strategy-ID"]) == ("kim", "alpha")
    assert acting["X-Internal-Token"] != plain["X-Internal-Token"]


def test_a_user_context_without_a_secret_is_sent_unsigned_and_without_empty_headers() -> None:
    assert user_context(None, user=" ops1 ", role="viewer", timestamp=AT) == {
        "X-User-Id": "ops1",
        "X-User-Role": "viewer",
    }


def test_what_is_signed_is_sorted_compact_and_ascii() -> None:
    assert canonical({"b": "é", "a": "x y"}) == b'{"a":"x y","b":"\\u00e9"}'


def test_a_bearer_token_is_sent_as_it_is() -> None:
    assert bearer(Secret("t0k3n")) == {"Authorization": "Bearer t0k3n"}
