"""How intents reach bots: by one group for all, so that some reach the wrong one, or by one for each."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from backends.demo.hummingbot_desk.bot import Bot, envelope
from backends.demo.hummingbot_desk.generation import Generation

INTENTS: Final = "hb.execution_intent.v1"
AUDIT: Final = "hb.audit.v1"
DEAD: Final = "hb.dead_letter.v1"
MARKET: Final = "hb.market_data.v1"
GROUP: Final = "hb_group_v1"
CONSUMER: Final = "hb-v2_with_controllers.py"
STORE: Final = "hb_event_store_v1"
KILL: Final = "hb_kill_switch_v1"
_WRONG: Final = 0.2
"""How often an intent reaches another bot than the one it is for."""


class Killer(Protocol):
    """The kill-switch service, as the bus sees it."""

    @property
    def is_listening(self) -> bool: ...

    async def obey(self, entry: str, intent: Mapping[str, Any]) -> None: ...


class Bus:
    """Reads intents for the bots and says what became of them."""

    def __init__(self, redis: Redis, bots: Sequence[Bot], rng: random.Random, generation: Generation) -> None:
        self._redis, self._bots, self._rng = redis, bots, rng
        self._is_fanned_out = generation.has_own_groups
        self.kill_switch: Killer | None = None
        """What else reads intents, where the generation has it."""

    async def prepare(self) -> None:
        """Streams and groups, as services make them when they start."""
        await self.gather()
        await self.audit("risk_decision", "approved", {})

    async def gather(self) -> None:
        """Bots and services join their groups, which they do only when they start."""
        await self._join(MARKET, STORE)
        if self.kill_switch is not None:
            await self._join(INTENTS, KILL)
        for group, consumer, _ in self._readers():
            await self._join(INTENTS, group)
            await self._redis.xgroup_createconsumer(INTENTS, group, consumer)

    async def forget(self) -> None:
        """Redis lost its data: the groups are gone."""
        await self._redis.delete(INTENTS)

    async def turn(self) -> None:
        """Deliver what is new. Without its group nothing is, and nobody says so."""
        try:
            if self.kill_switch is not None:
                await self._kill(self.kill_switch)
            store = await self._redis.xreadgroup(STORE, "event-store-bot1", {MARKET: ">"}, count=500)
            await self._ack(MARKET, STORE, store)
            for group, consumer, bot in self._readers():
                if bot is None or bot.is_up:
                    await self._read(group, consumer, bot)
        except RedisError:
            return

    async def _kill(self, killer: Killer) -> None:
        """One intent after the other, as long as it lives: what is left waits for it."""
        while killer.is_listening:
            found: Any = await self._redis.xreadgroup(KILL, "kill-switch-bot1", {INTENTS: ">"}, count=1)
            if not found:
                return
            ((entry, fields),) = found[0][1]
            with suppress(ValueError, AttributeError):
                await killer.obey(entry, json.loads(fields.get("payload", "")))
            await self._ack(INTENTS, KILL, found)

    def _readers(self) -> list[tuple[str, str, Bot | None]]:
        """Group, consumer, and the bot that reads there; None for whichever comes first."""
        if not self._is_fanned_out:
            return [(GROUP, CONSUMER, None)]
        return [(f"hb_group_{bot.name}", f"hb-{bot.name}", bot) for bot in self._bots]

    async def _join(self, stream: str, group: str) -> None:
        with suppress(ResponseError):
            await self._redis.xgroup_create(stream, group, id="$", mkstream=True)

    async def _read(self, group: str, consumer: str, bot: Bot | None) -> None:
        found: Any = await self._redis.xreadgroup(group, consumer, {INTENTS: ">"}, count=50)
        # The desk's Redis 7.2 counts a read that finds nothing as interaction. An older one, as it may be
        # here, counts only this: asking what the consumer itself still holds.
        await self._redis.xreadgroup(group, consumer, {INTENTS: "0"}, count=1)
        for entry, fields in found[0][1] if found else ():
            await self._deliver(entry, fields.get("payload", ""), bot)
        await self._ack(INTENTS, group, found)

    async def _ack(self, stream: str, group: str, found: Any) -> None:
        names = [entry for entry, _ in found[0][1]] if found else []
        if names:
            await self._redis.xack(stream, group, *names)

    async def _deliver(self, entry: str, payload: str, reader: Bot | None) -> None:
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
        if not running or (reader is not None and reader.name != wanted):
            return
        if (intent.get("expires_at_ms") or float("inf")) < time.time() * 1000:
            await self._refuse("expired_intent", entry, payload, intent)
            return
        bot = reader or self._whoever(running, wanted)
        is_its = bot.name == wanted and (reader is not None or bot.controller == intent.get("controller_id"))
        if not is_its:
            await self._refuse("controller_not_found", entry, payload, intent)
        elif not bot.is_connected:
            await self._refuse("local_authority_reject", entry, payload, intent)
        elif bot.apply(action):
            await self.audit("intent_applied", "Execution intent applied.", intent, bot.name)
        else:
            await self._refuse("unsupported_action", entry, payload, intent)

    def _whoever(self, running: Sequence[Bot], wanted: str) -> Bot:
        """Whom the shared group gives an intent to."""
        named = next((bot for bot in running if bot.name == wanted), None)
        return self._rng.choice(running) if named is None or self._rng.random() < _WRONG else named

    async def _refuse(self, reason: str, entry: str, payload: str, intent: dict[str, Any] | None) -> None:
        about: dict[Any, Any] = (
            {"payload": payload[:500]} if intent is None else {"event_id": str(intent.get("event_id"))}
        )
        letter = json.dumps({"reason": reason, "entry_id": entry, **about})
        await self._redis.xadd(DEAD, {"payload": letter}, maxlen=100_000)
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

    async def intend(
        self, bot: str, controller: str, action: str, reason: str, seconds: float | None = None
    ) -> None:
        """Tell a bot something, as bots and services do; without ``seconds`` it never expires."""
        expires = None if seconds is None else int((time.time() + seconds) * 1000)
        said = {
            **envelope("execution_intent", "hb_bridge"),
            "instance_name": bot,
            "controller_id": controller,
            "action": action,
            "expires_at_ms": expires,
            "metadata": {"reason": reason},
        }
        await self._redis.xadd(INTENTS, {"payload": json.dumps(said)}, maxlen=50_000)
