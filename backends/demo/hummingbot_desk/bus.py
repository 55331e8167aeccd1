"""How intents reach bots here: one group and one consumer name for all, so some reach the wrong one."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from backends.demo.hummingbot_desk.bot import Bot, envelope

INTENTS: Final = "hb.execution_intent.v1"
AUDIT: Final = "hb.audit.v1"
DEAD: Final = "hb.dead_letter.v1"
MARKET: Final = "hb.market_data.v1"
GROUP: Final = "hb_group_v1"
CONSUMER: Final = "hb-v2_with_controllers.py"
_GROUPS: Final = ((INTENTS, GROUP), (INTENTS, "hb_kill_switch_v1"), (MARKET, "hb_event_store_v1"))
_WRONG: Final = 0.2
"""How often an intent reaches another bot than the one it is for."""


class Bus:
    """Reads intents for the bots and says what became of them."""

    def __init__(self, redis: Redis, bots: Sequence[Bot], rng: random.Random) -> None:
        self._redis, self._bots, self._rng = redis, bots, rng

    async def prepare(self) -> None:
        """Streams and groups, as services make them when they start."""
        await self.gather()
        await self.audit("risk_decision", "approved", {})

    async def gather(self) -> None:
        """Bots and services join their groups, which they do only when they start."""
        for stream, group in _GROUPS:
            with suppress(ResponseError):
                await self._redis.xgroup_create(stream, group, id="$", mkstream=True)
        await self._redis.xgroup_createconsumer(INTENTS, GROUP, CONSUMER)

    async def forget(self) -> None:
        """Redis lost its data: the groups are gone."""
        await self._redis.delete(INTENTS)

    async def turn(self) -> None:
        """Deliver what is new. Without its group nothing is, and nobody says so."""
        try:
            await self._redis.xreadgroup("hb_kill_switch_v1", "kill-switch-bot1", {INTENTS: ">"}, count=50)
            store = await self._redis.xreadgroup(
                "hb_event_store_v1", "event-store-bot1", {MARKET: ">"}, count=500
            )
            await self._ack(MARKET, "hb_event_store_v1", store)
            found: Any = await self._redis.xreadgroup(GROUP, CONSUMER, {INTENTS: ">"}, count=50)
            # The desk's Redis 7.2 counts a read that finds nothing as interaction. An older one, as it may be
            # here, counts only this: asking what the consumer itself still holds.
            await self._redis.xreadgroup(GROUP, CONSUMER, {INTENTS: "0"}, count=1)
        except ResponseError:
            return
        except RedisError:
            return
        for entry, fields in found[0][1] if found else ():
            await self._deliver(entry, fields.get("payload", ""))
        await self._ack(INTENTS, GROUP, found)

    async def _ack(self, stream: str, group: str, found: Any) -> None:
        names = [entry for entry, _ in found[0][1]] if found else []
        if names:
            await self._redis.xack(stream, group, *names)

    async def _deliver(self, entry: str, payload: str) -> None:
        running = [bot for bot in self._bots if bot.is_up]
        try:
            intent = json.loads(payload)
            is_sound = all(isinstance(word, str) for word in (intent.get("metadata") or {}).values())
            wanted, action = str(intent["instance_name"]), str(intent["action"])
        except (ValueError, KeyError, AttributeError):
            is_sound, intent, wanted, action = False, {}, "", ""
        if not is_sound:
            await self._refuse("schema_validation", entry, payload, None)
            return
        if not running:
            return
        if (intent.get("expires_at_ms") or float("inf")) < time.time() * 1000:
            await self._refuse("expired_intent", entry, payload, intent)
            return
        named = next((bot for bot in running if bot.name == wanted), None)
        bot = self._rng.choice(running) if named is None or self._rng.random() < _WRONG else named
        if bot.controller != intent.get("controller_id") or bot.name != wanted:
            await self._refuse("controller_not_found", entry, payload, intent)
        elif bot.apply(action):
            await self.audit("intent_applied", "Execution intent applied.", intent, bot.name)
        else:
            await self._refuse("unsupported_action", entry, payload, intent)

    async def _refuse(self, reason: str, entry: str, payload: str, intent: dict[str, Any] | None) -> None:
        about: dict[Any, Any] = (
            {"payload": payload[:500]} if intent is None else {"event_id": str(intent.get("event_id"))}
        )
        await self._redis.xadd(DEAD, {"reason": reason, "entry_id": entry, **about}, maxlen=100_000)
        if intent is not None:
            await self.audit("intent_rejected", reason, intent)

    async def audit(self, category: str, message: str, intent: dict[str, Any], bot: str = "bot1") -> None:
        said = {
            **envelope("audit", "hb_bridge"),
            "instance_name": bot,
            "severity": "info",
            "category": category,
            "message": message,
            "metadata": {"event_id": str(intent.get("event_id", ""))},
        }
        await self._redis.xadd(AUDIT, {"payload": json.dumps(said)}, maxlen=100_000)

    async def intend(self, bot: Bot, action: str) -> None:
        """A bot in a risk hard stop tells everybody, every tick, without an expiry."""
        said = {
            **envelope("execution_intent", "hb_bridge"),
            "instance_name": bot.name,
            "controller_id": bot.controller,
            "action": action,
            "metadata": {"reason": bot.reasons},
        }
        await self._redis.xadd(INTENTS, {"payload": json.dumps(said)}, maxlen=50_000)
