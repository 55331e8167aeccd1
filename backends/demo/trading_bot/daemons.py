"""What else writes to Redis: reconciliation, the enforcer, the policy daemon, and those that erase a halt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from time import gmtime, strftime, time
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from backends.demo.systemd.units import Units, stamp
from backends.demo.trading_bot.programs import Programs
from backends.demo.trading_bot.seed import VENUES, Fields, policy_state

RECONCILE: Final = 10.0
"""Seconds between two looks; upstream's are 30."""
ENFORCE: Final = 2.0
"""Upstream's are 300: what follows from a cap is to be seen in a demo."""
ERASE: Final = 4.0
FORGE: Final = 2.0
LATENCY: Final = 2.0
LEARN: Final = 2.0
"""Seconds the policy daemon needs for its one step."""

GATE: Final = "feature_quality_gate.py"
CHECKER: Final = "production_rl_health_checker.py"
RECON: Final = "recon_daemon.py"
ENFORCER: Final = "capital_cap_enforcer.py"


class Daemons:
    """Each does its work while its process lives, or its unit is active."""

    def __init__(self, redis: Redis, units: Units, programs: Programs, dice: random.Random) -> None:
        self._redis = redis
        self._units = units
        self._programs = programs
        self._dice = dice
        self.has_breach = False
        self.slow_venue: str | None = None
        self._job = ""

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """All that goes on, each for ever."""
        return [
            self._every(RECONCILE, self._reconcile, RECON),
            self._every(ENFORCE, self._enforce, ENFORCER),
            self._every(ERASE, self._erase, GATE),
            self._every(FORGE, self._forge, CHECKER),
            self._every(LATENCY, self._measure, None),
            self._every(0.3, self._learn, None),
        ]

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]], program: str | None) -> None:
        while True:
            await asyncio.sleep(seconds)
            if program is None or self._programs.is_alive(program):
                try:
                    await work()
                except RedisError:
                    self._units.say("strategy_guard.service", "Error talking to Redis")

    async def _reconcile(self) -> None:
        texts = {
            "recon:notional_diff_pct": "1.84" if self.has_breach else f"{self._dice.uniform(0.01, 0.2):.3f}",
            "recon:position_mismatches": "2" if self.has_breach else "0",
            "recon:last_check": f"{time():.3f}",
        }
        await self._redis.mset(texts)
        if self.has_breach:
            await self._redis.set("mode", "halt")

    async def _enforce(self) -> None:
        mode, cap, factor, effective = await self._redis.mget(
            "mode", "risk:capital_cap_next_week", "risk:capital_factor", "risk:capital_effective"
        )
        target = min(float(cap or 0.7), float(factor or 0.4))
        target = 0.1 if mode == "halt" else target
        now = float(effective or 0.4)
        # A tenth an hour at most, as upstream; dollars it takes for a fraction and cuts to all there is.
        moved = 1.0 if now > 1.0 else now + max(-0.0002, min(0.0002, target - now))
        await self._redis.mset(
            {
                "risk:capital_effective": f"{moved:.4f}",
                "capital_enforcer:last_update": f"{time():.3f}",
                "capital_enforcer:target": f"{target}",
            }
        )
        await self._redis.incr("capital_enforcer:update_count")

    async def _erase(self) -> None:
        """The quality gate recovers: whoever set the halt, the key goes."""
        if await self._redis.get("mode") == "halt":
            await self._redis.delete("mode")

    async def _forge(self) -> None:
        await self._redis.mset(
            {"policy:last_update_ts": f"{time():.2f}", "policy:last_update": f"{time():.2f}"}
        )
        if await self._redis.get("mode") == "halt":
            await self._redis.set("mode", "failover")

    async def _measure(self) -> None:
        slow: Fields = {self.slow_venue: f"{self._dice.uniform(1100, 1500):.2f}"} if self.slow_venue else {}
        usual: Fields = {venue: f"{self._dice.uniform(60, 240):.2f}" for venue in VENUES}
        await self._redis.hset("latency:venue", mapping=usual | slow)

    async def _learn(self) -> None:
        """The policy daemon: started, it does one step, writes one heartbeat and ends with code 0."""
        job = (self._units.read("rl-policy.service") or {}).get("job", "")
        if job == self._job or not self._units.is_active("rl-policy.service"):
            self._job = job
            return
        self._job = job
        self._units.say("rl-policy.service", "training step 1")
        await asyncio.sleep(LEARN)
        now = time()
        await self._redis.hset("policy:current", mapping=policy_state(now, self._dice))
        await self._redis.set("policy:last_update_ts", str(int(now)), ex=172_800)
        await self._redis.set("policy:last_update", strftime("%Y-%m-%dT%H:%M:%S+00:00", gmtime(now)))
        self._units.change(
            "rl-policy.service",
            ActiveState="inactive",
            SubState="dead",
            ExecMainCode="1",
            MainPID="0",
            ExecMainExitTimestamp=stamp(now),
        )
        self._units.say("rl-policy.service", "heartbeat written, done")
