"""The HTTP connection of the HTTP writer; the only module that loads the HTTP library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from backends.model.action import HttpCall
from backends.model.procedure import Receipt, Step
from backends.model.safetext import LINE_LIMIT, SafeText
from backends.web import Answer, Web
from backends.writers.answer import already, done, failed, reason, unknown

BODY_LIMIT: Final = 65_536
"""Bytes of an answer that are read."""

_LOOKED: Final = 2 * LINE_LIMIT
"""Characters of an answer that are looked through for secrets: more than are told of it."""

_AMBIGUOUS: Final = frozenset({500, 502, 504})
"""The service fell over while it acted, or a proxy heard nothing of it: it may have acted."""

_SIGNED: Final = ("Authorization", "X-Internal-Token")
"""Headers that an answer might quote and nobody must read."""


class HttpClient:
    """One service. No retry, no redirect, no proxy from the environment."""

    def __init__(self, url: str, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._base = url.rstrip("/")
        self._web = Web()

    async def warm(self) -> None:
        """Read the host's certificates, where they are wanted: that takes 30 ms."""
        if self._base.startswith("https:"):
            await self._web.context()

    async def call(
        self, action: HttpCall, path: str, body: bytes | None, headers: Mapping[str, str], step: Step
    ) -> Receipt:
        """Send one request. FAILED means it was not done; UNKNOWN means it may have been."""
        try:
            async with (
                asyncio.timeout(step.connect + step.deadline),
                self._web.stream(
                    action.method,
                    self._base + path,
                    content=body or b"",
                    headers=headers,
                    timeout=step.deadline,
                    connect=step.connect,
                ) as answer,
            ):
                text = await _text(answer)
        except httpx.ConnectTimeout:
            return failed(f"no connection within {step.connect * 1000:.0f} ms, nothing was sent")
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            return failed(f"no connection, nothing was sent: {reason(error)}")
        except (httpx.TimeoutException, TimeoutError):
            return unknown(f"no answer within {step.deadline * 1000:.0f} ms")
        except (httpx.HTTPError, OSError) as error:
            return unknown(f"cut off before it answered: {reason(error)}")
        return _receipt(action, answer.status, _without_secrets(text, headers), self._redact)

    async def close(self) -> None:
        await self._web.aclose()


async def _text(answer: Answer) -> str:
    """The beginning of the body, decoded."""
    if answer.is_encoded:
        return "what it says is compressed, which was not asked for"
    parts = bytearray()
    async for part in answer.pieces():
        parts += part
        if len(parts) >= BODY_LIMIT:
            break
    return bytes(parts[:BODY_LIMIT]).decode("utf-8", "backslashreplace")


def _receipt(action: HttpCall, status: int, text: str, redact: Callable[[str], str]) -> Receipt:
    # Before anything is cut: a secret must be found whole.
    after = SafeText(redact(text[:_LOOKED])) if text else None
    words = redact(_said(text)[:_LOOKED])
    said = f": {words[:200]}" if words else ""
    mark = action.already.get(status)
    if mark is not None and mark.casefold() in text.casefold():
        return already(f"it was so already{said}", after=after)
    if status in action.expect:
        return done("done", after=after)
    if status in _AMBIGUOUS:
        return unknown(f"answered {status}{said}")
    return failed(f"refused: answered {status}{said}")


def _without_secrets(text: str, headers: Mapping[str, str]) -> str:
    for name in _SIGNED:
        secret = headers.get(name, "").removeprefix("Bearer ")
        if secret:
            text = text.replace(secret, "****")
    return text


def _said(text: str) -> str:
    """What a JSON error body says, or how the body begins, in one line."""
    try:
        body = json.loads(text)
        detail = body.get("detail", body) if isinstance(body, dict) else body
        said = detail if isinstance(detail, str) else json.dumps(detail)
    except (ValueError, RecursionError):
        said = text
    return " ".join(said.split())
