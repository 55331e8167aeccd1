"""How a request proves who sends it: the recipes of the platform contracts, from the standard library.

Pure: what the caller gets depends on the arguments only. Timestamps are epoch seconds of the wall
clock; nonces come from the caller, one for each request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from backends.model.secret import Secret


def canonical(members: Mapping[str, str]) -> bytes:
    """The JSON text both sides sign: keys in order, no spaces, ASCII only."""
    return json.dumps(dict(members), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def signature(secret: Secret, members: Mapping[str, str]) -> str:
    """HMAC-SHA256 in lower-case hex. The key is the secret's own text, even where it looks like hex."""
    return hmac.new(secret.reveal().encode("utf-8"), canonical(members), hashlib.sha256).hexdigest()


def user_context(
    secret: Secret | None, *, user: str, role: str, strategies: str = "", timestamp: int
) -> dict[str, str]:
    """Headers of the signed user context (``X-User-*``); without a secret they are unsigned.

    Valid for 300 s around ``timestamp``. ``strategies`` is the literal header value, comma-joined.
    """
    user, role, strategies = user.strip(), role.strip(), strategies.strip()
    headers = {"X-User-Id": user, "X-User-Role": role}
    if strategies:
        headers["X-User-Strategies"] = strategies
    if secret is not None:
        signed = {"uid": user, "role": role, "strats": strategies, "ts": str(timestamp)}
        headers["X-Request-Timestamp"] = str(timestamp)
        headers["X-User-Signature"] = signature(secret, signed)
    return headers


def internal_token(
    secret: Secret,
    *,
    service: str,
    method: str,
    path: str,
    query: str = "",
    body: bytes = b"",
    nonce: str,
    timestamp: int,
    user: str = "",
    strategy: str = "",
) -> dict[str, str]:
    """Headers of one service-to-service request (``X-Internal-*``); a nonce is accepted only once.

    ``path`` is the path alone and ``query`` the raw query string without its question mark.
    """
    body_hash = hashlib.sha256(body).hexdigest()
    signed = {
        "body_hash": body_hash,
        "method": method.upper(),
        "nonce": nonce,
        "path": path,
        "query": query,
        "service_id": service,
        "strategy_id": strategy,
        "timestamp": str(timestamp),
        "user_id": user,
    }
    headers = {
        "X-Internal-Token": signature(secret, signed),
        "X-Internal-Timestamp": str(timestamp),
        "X-Internal-Nonce": nonce,
        "X-Service-ID": service,
        "X-Body-Hash": body_hash,
    }
    if user:
        headers["X-User-ID"] = user
    if strategy:
        headers["X-Strategy-ID"] = strategy
    return headers


def bearer(secret: Secret) -> dict[str, str]:
    """The header of a token that is sent as it is."""
    return {"Authorization": f"Bearer {secret.reveal()}"}
