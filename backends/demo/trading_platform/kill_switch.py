"""The platform's kill switch as its services use it: one JSON object in Redis, changed by one script.

``ACTIVE`` means trading is allowed. Constructing the platform's class creates ``ACTIVE`` where the key
is missing, which is why a service's start does too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

KEY: Final = "kill_switch:state"
HISTORY: Final = "kill_switch:history"
HISTORY_LIMIT: Final = 1000

_CHANGE: Final = """
local raw = redis.call('GET', KEYS[1])
if not raw then return redis.error_reply('MISSING') end
local state = cjson.decode(raw)
if state['state'] ~= ARGV[1] then return redis.error_reply('REFUSED') end
for name, value in pairs(cjson.decode(ARGV[2])) do state[name] = value end
if ARGV[3] == '1' then
  state['engagement_count_today'] = (tonumber(state['engagement_count_today']) or 0) + 1
end
local text = cjson.encode(state)
redis.call('SET', KEYS[1], text)
return text
"""


class MissingStateError(Exception):
    """The key is not there, or holds what is no kill-switch state: trading is blocked."""


class AlreadyError(Exception):
    """The switch is in that state already; the message is the platform's."""


def now_text() -> str:
    """ISO 8601, UTC, microseconds, as the platform stamps everything."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class KillSwitch:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.after_engage: Callable[[], Awaitable[None]] | None = None
        """Awaited before an engage is acknowledged."""

    async def construct(self) -> None:
        """What constructing the platform's class does: ACTIVE appears where nothing was."""
        fresh = {
            "state": "ACTIVE", "engaged_at": None, "engaged_by": None, "engagement_reason": None,
            "disengaged_at": None, "disengaged_by": None, "engagement_count_today": 0,
        }  # fmt: skip
        await self._redis.set(KEY, json.dumps(fresh), nx=True)

    async def status(self) -> dict[str, Any]:
        """The whole object. Raises MissingStateError."""
        raw = await self._redis.get(KEY)
        try:
            state = json.loads(raw or "")
        except ValueError:
            raise MissingStateError("Kill-switch state missing from Redis") from None
        if not isinstance(state, dict) or state.get("state") not in ("ACTIVE", "ENGAGED"):
            raise MissingStateError("Kill-switch state malformed")
        return state

    async def is_engaged(self) -> bool:
        return bool((await self.status())["state"] == "ENGAGED")

    async def engage(self, reason: str, operator: str, details: Mapping[str, Any] | None) -> dict[str, Any]:
        """Stop trading. Raises AlreadyError or MissingStateError."""
        at = now_text()
        change = {
            "state": "ENGAGED", "engaged_at": at, "engaged_by": operator, "engagement_reason": reason,
            "engagement_details": details, "disengaged_at": None, "disengaged_by": None,
        }  # fmt: skip
        state = await self._change("ACTIVE", change, counts=True, refusal="Kill-switch already engaged")
        await self._remember(
            {"event": "ENGAGED", "timestamp": at, "operator": operator, "reason": reason, "details": details}
        )
        if self.after_engage is not None:
            await self.after_engage()
        return state

    async def disengage(self, operator: str, notes: str | None) -> dict[str, Any]:
        """Allow trading. Raises AlreadyError or MissingStateError."""
        at = now_text()
        change = {
            "state": "ACTIVE", "disengaged_at": at, "disengaged_by": operator, "disengagement_notes": notes,
        }  # fmt: skip
        state = await self._change("ENGAGED", change, counts=False, refusal="Kill-switch not engaged")
        await self._remember({"event": "DISENGAGED", "timestamp": at, "operator": operator, "notes": notes})
        return state

    async def _change(
        self, allowed: str, change: Mapping[str, Any], *, counts: bool, refusal: str
    ) -> dict[str, Any]:
        try:
            text = await self._redis.eval(
                _CHANGE, 1, KEY, allowed, json.dumps(dict(change)), "1" if counts else "0"
            )
        except ResponseError as error:
            if "REFUSED" in str(error):
                raise AlreadyError(refusal) from None
            raise MissingStateError("Kill-switch state missing from Redis") from None
        state: dict[str, Any] = json.loads(text)
        return state

    async def _remember(self, entry: Mapping[str, Any]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.rpush(HISTORY, json.dumps(dict(entry)))
            pipe.ltrim(HISTORY, -HISTORY_LIMIT, -1)
            await pipe.execute()
