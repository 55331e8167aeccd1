"""The platform's service token: a signed statement of who asks, good for one request.

The private key stays in this process and is read anew for each token, so that a new key file counts at
once. The JWT library loads when the first token is made, or ahead of it by ``warm``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from backends.loading import LOADING
from backends.model.secret import Secret
from backends.model.stack import Source
from backends.model.substitution import fill
from backends.secret_file import CredentialError, from_file

LIFETIME: Final = 120
"""Seconds a token is valid: enough for clocks that differ, short enough to be worth nothing later."""

ISSUER: Final = "trading-platform-web-console"
AUDIENCE: Final = "trading-platform-api"

_PEM: Final = "-----BEGIN "


def has_key(source: Source) -> bool:
    """Whether a private key is configured for this source. Whether it is any good is not looked at."""
    options = source.options
    if "jwt_key_file" in options or "jwt_key_file_env" in options:
        return True
    return source.password is not None and source.password.reveal().startswith(_PEM)


def service_jwt(source: Source, values: Mapping[str, Any], now: float) -> dict[str, str]:
    """The headers of one request, with a token of its own. ``now`` is epoch seconds.

    The key (RSA, PEM) is in the file that option ``jwt_key_file`` names, or that the environment variable
    named by ``jwt_key_file_env`` names, or it is the source's own credential. ``jwt_subject`` (else
    ``$operator``), ``jwt_issuer`` and ``jwt_audience`` are options too. Raises ValueError, in the
    operator's words and without the key, when there is no key that can be trusted and used.
    """
    key = _key(source)
    subject = str(fill(source.options.get("jwt_subject", "$operator"), values))
    if not subject or not subject.isascii() or not subject.isprintable():
        raise ValueError(f"cannot sign for {subject!r}: a header cannot hold that name; nothing was sent")
    claims = {
        "sub": subject,
        "iat": int(now),
        "exp": int(now) + LIFETIME,
        "jti": str(uuid4()),
        "iss": source.options.get("jwt_issuer", ISSUER),
        "aud": source.options.get("jwt_audience", AUDIENCE),
        "type": "service",
    }
    return {
        "Authorization": f"Bearer {_sign(claims, key)}",
        "X-User-ID": subject,
        "X-Request-ID": str(uuid4()),
        "X-Session-Version": "1",
    }


def warm() -> None:
    """Load the library."""
    with LOADING:
        import jwt  # noqa: F401, PLC0415 (100 ms: only where a token is needed)


def _key(source: Source) -> Secret:
    path = source.options.get("jwt_key_file")
    name = source.options.get("jwt_key_file_env")
    if path is None and name is not None:
        path = os.environ.get(name)
        if not path and source.password is None:
            raise ValueError(f"needs a private key, and {name} names no file; nothing was sent")
    if path:
        try:
            return from_file(Path(path).expanduser()).value
        except CredentialError as error:
            raise ValueError(f"cannot sign: {error}; nothing was sent") from None
    if source.password is None:
        raise ValueError("needs a private key (service-jwt) and none is configured; nothing was sent")
    return source.password


def _sign(claims: Mapping[str, Any], key: Secret) -> str:
    with LOADING:
        import jwt  # noqa: PLC0415 (as above)

    try:
        return jwt.encode(dict(claims), key.reveal(), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError):
        # What the libraries say may quote the key.
        text = "cannot sign: its credential is not a private RSA key (PEM, no passphrase); nothing was sent"
        raise ValueError(text) from None
