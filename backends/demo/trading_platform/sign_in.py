"""The identity provider's stand-in: ID tokens that say who signed in, when, and with which second factor.

``id_token`` in the demo's folder is that of somebody who is always fresh from the sign-in, so that what
demands one can be practised. It is signed with the demo's one key pair.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import time
from pathlib import Path
from typing import Any, Final

ISSUER: Final = "https://demo.auth0.invalid/"
AUDIENCE: Final = "trading-platform-demo"
FRESH: Final = 60
"""Seconds a sign-in counts for what moves the market."""

_RENEWED: Final = 20.0
"""Seconds between two sign-ins of the operator who is always fresh."""
_FACTORS: Final = {"mfa", "otp", "sms", "push", "webauthn", "hwk"}


class MfaError(Exception):
    """The sign-in does not count; ``code`` and the message are for the answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def id_token(private_key: bytes, user: str, signed_in: float, factors: list[str]) -> str:
    """What the provider hands to somebody who signed in then."""
    import jwt  # noqa: PLC0415 # only when a token is made

    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": int(signed_in), "exp": int(signed_in) + 3600,
        "auth_time": int(signed_in), "amr": factors,
    }  # fmt: skip
    return jwt.encode(claims, private_key, algorithm="RS256")


def check(public_key: bytes, token: str, user: str) -> None:
    """Whether ``user`` signed in with a second factor a moment ago. Raises MfaError."""
    import jwt  # noqa: PLC0415 # only when a token comes

    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            public_key,
            algorithms=["RS256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["sub", "exp", "auth_time"]},
        )
    except jwt.InvalidTokenError as error:
        raise MfaError("mfa_invalid", f"ID token is not valid: {error}") from None
    if claims["sub"] != user:
        raise MfaError("token_mismatch", "ID token belongs to another user")
    if not _FACTORS & set(claims.get("amr", ())):
        raise MfaError("mfa_required", "Sign in with a second factor")
    if not 0 <= time.time() - claims["auth_time"] <= FRESH:
        raise MfaError("mfa_expired", f"Sign-in is older than {FRESH} s")


async def keep_signed_in(private_key: Path, file: Path) -> None:
    """Keep ``file`` fresh."""
    while True:
        await asyncio.sleep(_RENEWED)
        await asyncio.to_thread(sign_in, private_key, file)


def sign_in(private_key: Path, file: Path) -> None:
    """Write a token of the user this process belongs to, who has signed in just now; blocks for a moment."""
    user = pwd.getpwuid(os.getuid()).pw_name
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(id_token(private_key.read_bytes(), user, time.time(), ["pwd", "otp"]) + "\n")
    fresh.replace(file)
