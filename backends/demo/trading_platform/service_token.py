"""The console's service tokens (RS256), each good for one request. Nothing on the platform mints them.

The key pair lies in the demo's folder as it does on the platform, so that an operator's tool can mint.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

ISSUER: Final = "trading-platform-web-console"
AUDIENCE: Final = "trading-platform-api"
LEEWAY: Final = 30
"""Seconds a clock may be off."""


class TokenError(Exception):
    """The token does not hold; the message is for the answer."""


class ServiceTokens:
    """Verifies tokens; ``make_keys`` comes first."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        self.private_key = folder / "jwt_private.key"
        self.public_key = folder / "jwt_public.pem"
        self._redis = redis

    def make_keys(self) -> None:
        """Write the key pair, the private one readable by this user alone; blocks for a while."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 # only when it is asked for
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 # only when it is asked for

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.private_key.touch(mode=0o600)
        self.private_key.write_bytes(private)
        self.public_key.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    async def user_of(self, token: str, claimed: str) -> str:
        """The user the token was made for, who must be ``claimed``. Raises TokenError."""
        import jwt  # noqa: PLC0415 # only when a token comes

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.public_key.read_bytes(),
                algorithms=["RS256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={"require": ["sub", "iat", "exp", "jti"]},
            )
        except (jwt.InvalidTokenError, OSError) as error:
            raise TokenError(f"Invalid token: {error}") from None
        if claims.get("type") != "service" or claims["sub"] != claimed:
            raise TokenError("Token subject does not match X-User-ID")
        left = max(1, int(claims["exp"] + LEEWAY - time.time()))
        if not await self._redis.set(f"jti_seen:{claims['jti']}", "1", nx=True, ex=left):
            raise TokenError("Token has already been used")
        return str(claims["sub"])
