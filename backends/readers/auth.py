"""The headers that make a source answer a read."""

from __future__ import annotations

from typing import Final

from backends.model.credential import bearer, internal_token, user_context
from backends.model.stack import Source

_USER: Final = "control-room"
_ROLE: Final = "viewer"
_SERVICE: Final = "orchestrator"


def read_headers(source: Source, path: str, query: str, *, timestamp: int, nonce: str) -> dict[str, str]:
    """Headers for one GET of ``path`` with the raw ``query``, by the source's ``auth``.

    Without a configured secret there is nothing to sign with, and the request goes out as it is: whether
    that is enough is for the service to say. Options: ``user``, ``role`` and ``strategies`` of a
    user-context, ``service_id`` of an internal-token.
    """
    secret, options = source.password, source.options
    if source.auth == "user-context":
        return user_context(
            secret,
            user=options.get("user", source.username or _USER),
            role=options.get("role", _ROLE),
            strategies=options.get("strategies", ""),
            timestamp=timestamp,
        )
    if secret is None:
        return {}
    if source.auth == "internal-token":
        return internal_token(
            secret,
            service=options.get("service_id", _SERVICE),
            method="GET",
            path=path,
            query=query,
            nonce=nonce,
            timestamp=timestamp,
        )
    return bearer(secret) if source.auth == "bearer" else {}
