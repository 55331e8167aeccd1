"""Calling an HTTP service to change something, over a client nothing else uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from backends.loading import LOADING
from backends.model.action import Action, HttpCall
from backends.model.clock import Clock, SystemClock
from backends.model.credential import bearer, internal_token, user_context
from backends.model.procedure import Receipt, Step
from backends.model.secret import Secret
from backends.model.stack import Source
from backends.model.substitution import fill, fill_path
from backends.writers import service_jwt
from backends.writers.answer import failed

if TYPE_CHECKING:
    from backends.writers.http_client import HttpClient


class HttpEffector:
    """Sends one request a call.

    The HTTP library takes longest to load of all that a stop needs, so it loads in a thread, on the first
    ``warm`` or ``act``, while the other rungs go on.
    """

    def __init__(
        self, source: Source, clock: Clock | None = None, redact: Callable[[str], str] = str
    ) -> None:
        """``redact`` takes secrets out of what the service answers."""
        self._redact = redact
        self._source = source
        self._clock = clock or SystemClock()
        self._client: HttpClient | None = None

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Send the request once. FAILED means it was not done; UNKNOWN means it may have been."""
        if not isinstance(action, HttpCall):
            return failed("does not take this kind of step")
        try:
            path = fill_path(action.path, values)
            body = None if action.body is None else json.dumps(fill(action.body, values)).encode()
            headers = await self._headers(action, path, body or b"", values)
        except ValueError as error:
            return failed(str(error))
        # Of this step alone, and the same for every try of it.
        headers["Idempotency-Key"] = str(values.get("event", ""))
        client = await self._ready()
        return await client.call(action, path, body, headers, step)

    async def warm(self) -> None:
        """Load the libraries and make the client; no request is sent."""
        client = await self._ready()
        await client.warm()
        if service_jwt.has_key(self._source):
            await asyncio.to_thread(service_jwt.warm)

    async def close(self) -> None:
        """Drop the client and its connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _headers(
        self, action: HttpCall, path: str, body: bytes, values: Mapping[str, Any]
    ) -> dict[str, str]:
        """Raises ValueError when the request cannot be signed."""
        headers = {"Content-Type": "application/json"} if body else {}
        secret = self._source.password
        if action.auth == "none":
            return headers
        if action.auth == "service-jwt":
            now = self._clock.now().wall
            # In a thread: it may load a library, reads a file, and signs for a millisecond.
            signed = await asyncio.to_thread(service_jwt.service_jwt, self._source, values, now)
            return headers | signed
        if action.auth == "user-context":
            options, now = self._source.options, int(self._clock.now().wall)
            return headers | user_context(
                secret,
                # Who presses, not who reads: the service writes it into its own log.
                user=str(values.get("operator") or options.get("user", "control-room")),
                role=options.get("role", "viewer"),
                strategies=options.get("strategies", ""),
                timestamp=now,
            )
        if secret is None:
            raise ValueError(f"needs a credential ({action.auth}) and none is configured; nothing was sent")
        if action.auth == "bearer":
            return headers | bearer(secret)
        if action.auth == "internal-token":
            return headers | self._token(action, secret, path, body)
        raise ValueError(f"cannot authenticate by {action.auth}; nothing was sent")

    def _token(self, action: HttpCall, secret: Secret, path: str, body: bytes) -> dict[str, str]:
        service = self._source.options.get("service_id")
        if not service:
            raise ValueError("needs a service_id to sign as, and none is configured; nothing was sent")
        bare, _, query = path.partition("?")
        return internal_token(
            secret,
            service=service,
            method=action.method,
            path=urlsplit(self._source.url).path.rstrip("/") + bare,
            query=query,
            body=body,
            nonce=str(uuid4()),
            timestamp=int(self._clock.now().wall),
        )

    async def _ready(self) -> HttpClient:
        if self._client is None:
            made = await asyncio.to_thread(_load, self._source.url, self._redact)
            if self._client is None:
                self._client = made
        return self._client


def _load(url: str, redact: Callable[[str], str]) -> HttpClient:
    with LOADING:
        from backends.writers.http_client import HttpClient  # noqa: PLC0415 (loads here, not at a stop's start)

    return HttpClient(url, redact)
