"""The gateway's authentication: classes N, H, A and J of the platform's contract, verified for real.

As compose-dev sets it (``log_only``, ``DEBUG``, paper), classes A and J let everybody in and say so in
the log. Enforcing can be switched on, to try signed requests against it.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request

from backends.demo.trading_platform import sign_in
from backends.demo.trading_platform.kill_switch import now_text
from backends.demo.trading_platform.service_token import ServiceTokens, TokenError
from backends.demo.voice import Voice
from backends.model.credential import internal_token, user_context
from backends.model.secret import Secret

SKEW: Final = 300
"""Seconds a signature's timestamp may be off."""
NONCE_SECONDS: Final = 600
MAY: Final = {
    "orchestrator": {"cancel_order", "submit_order", "view_positions", "generate_signals", "market_data"},
    "execution_gateway": {"submit_order", "cancel_order", "modify_order", "market_data"},
    "signal_service": {"generate_signals"},
    "web_console_ng": {"market_data"},
}
"""What each service may do with an internal token."""


class AuthError(Exception):
    """The request is refused: HTTP status and the body to answer with."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail


class Authority:
    """Decides who may ask. ``nonces`` is a client of Redis DB 2."""

    def __init__(self, secret: Secret, nonces: Redis, tokens: ServiceTokens, voice: Voice) -> None:
        self._secret = secret
        self._tokens = tokens
        self._nonces = nonces
        self._voice = voice.named("libs.core.common.api_auth_dependency")
        self.enforces = False

    async def user_context(self, request: Request) -> None:
        """Class H. Raises AuthError."""
        user, role = (request.headers.get(name, "").strip() for name in ("x-user-id", "x-user-role"))
        if not user or not role:
            raise AuthError(401, "Missing authenticated user context")
        if not self.enforces:
            return
        stamp = request.headers.get("x-request-timestamp", "")
        if not _is_current(stamp):
            raise AuthError(401, "Invalid or missing internal authentication token")
        strategies = request.headers.get("x-user-strategies", "")
        expected = user_context(
            self._secret, user=user, role=role, strategies=strategies, timestamp=int(stamp)
        )["X-User-Signature"]
        if not hmac.compare_digest(expected, request.headers.get("x-user-signature", "")):
            raise AuthError(401, "Invalid or missing internal authentication token")

    async def api(self, request: Request, permission: str) -> None:
        """Class A: a service token, or the internal token of a service with ``permission``.

        Raises AuthError.
        """
        names = ("x-internal-token", "x-internal-timestamp", "x-internal-nonce", "x-service-id")
        token, stamp, nonce, service = (request.headers.get(name, "") for name in names)
        if user_token := _bearer(request):
            await self._token_user(user_token, request.headers.get("x-user-id", ""))
            return
        if not (token and stamp and nonce and service):
            self._unproven("authentication_required", "Authentication required", request)
            return
        body = await request.body()
        expected = (
            internal_token(
                self._secret, service=service, method=request.method, path=request.url.path,
                query=request.url.query, body=body, nonce=nonce, timestamp=int(stamp),
                user=request.headers.get("x-user-id", ""), strategy=request.headers.get("x-strategy-id", ""),
            )["X-Internal-Token"]
            if _is_current(stamp) and len(nonce) <= 128
            else ""
        )  # fmt: skip
        is_known = service in MAY and bool(expected) and hmac.compare_digest(expected, token)
        if not is_known or not await self._is_first(service, nonce):
            self._unproven("invalid_internal_token", "Invalid internal service token", request)
        elif permission not in MAY[service] and self.enforces:
            raise AuthError(403, {"error": "permission_denied", "message": f"{service} may not {permission}"})

    async def manual(self, request: Request) -> str:
        """Class J: who it is, by a service token; ``log_only`` takes whoever has none for a developer.

        Raises AuthError.
        """
        claimed = request.headers.get("x-user-id", "")
        token = _bearer(request)
        if token:
            return await self._token_user(token, claimed)
        if self.enforces:
            raise AuthError(401, _told("unauthorized", "Missing bearer token"))
        self._voice.debug(f"auth_mode_log_only_paper_allowed: {request.url.path}")
        return claimed or "dev-user"

    async def second_factor(self, token: str, user: str) -> None:
        """That ``user`` signed in with a second factor just now. Raises MfaError."""
        await asyncio.to_thread(sign_in.check, self._tokens.public_key.read_bytes(), token, user)

    async def _token_user(self, token: str, claimed: str) -> str:
        try:
            return await self._tokens.user_of(token, claimed)
        except TokenError as error:
            raise AuthError(401, _told("invalid_token", str(error))) from None
        except RedisError:
            raise AuthError(503, _told("auth_unavailable", "Redis does not answer")) from None

    def _unproven(self, error: str, message: str, request: Request) -> None:
        if self.enforces:
            self._voice.warning(f"api_auth_rejected: {error} {request.url.path}")
            raise AuthError(401, {"error": error, "message": message})
        self._voice.debug(f"api_auth_unauthenticated_allowed: {request.url.path}")

    async def _is_first(self, service: str, nonce: str) -> bool:
        key = f"internal_nonce:{re.sub('[^a-z_]', '_', service)}:{nonce}"
        try:
            is_first = await self._nonces.set(key, "1", nx=True, ex=NONCE_SECONDS)
        except RedisError:
            if self.enforces:
                raise AuthError(
                    503, {"error": "auth_unavailable", "message": "Redis does not answer"}
                ) from None
            return True
        if not is_first:
            self._voice.warning(f"s2s_replay_detected: {service}")
        return bool(is_first)


def _is_current(stamp: str) -> bool:
    return stamp.isdecimal() and abs(time.time() - int(stamp)) <= SKEW


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _told(error: str, message: str) -> dict[str, str]:
    return {"error": error, "message": message, "timestamp": now_text()}
