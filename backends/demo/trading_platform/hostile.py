"""Text that is made to take over a terminal or a room, wherever outsiders can put text: container names,
values in Redis, log lines. Whoever shows any of it raw is controlled by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import cycle
from typing import Any, Final

from redis.asyncio import Redis

from backends.demo.course import begin, end
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.log_store import LONGEST, STDERR, LogStore
from backends.demo.dockerd.spec import ContainerSpec, Idle, Load
from backends.demo.trading_platform import breaker, kill_switch

BUTTON: Final = "[@click=app.quit]press me[/]"
TEXTS: Final = (
    "\x1b]52;c;b3duZWQ=\x07clipboard",
    "\x1b]0;owned\x07title",
    "\x1b]8;;http://owned.invalid\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H\x1b[?1049l\x1b[?1003lclear",
    '\x1bP$q"p\x1b\\\x1b[c\x1b[6n\x1b[21tqueries',
    "\x1b[31;5mblink\x1b[8mhidden",
    "\x9b31m\x9d0;owned\x9cc1",
    "\a\b\b\r\v\f\x00\x7fcontrols",
    "\u202egnidart\u202c \u2066x\u2069\u200b\ufeff\u2028\u2029",
    BUTTON,
    '"x [/',
    "[link=http://owned.invalid]x[/link][bold][$foreground on $background 200%]",
    "%s {0} ${HOME} \\x1b[31m",
    "e" + "\u0301" * 500,
    "KILL ENGAGED \u2713",
)
"""Sequences a terminal acts on, letters that reorder others, the markup of toolkits, forged words."""

LINES: Final = (
    *(text.encode() for text in TEXTS),
    b"\xff\xfe\xc3\x28 \xed\xa0\x80 no UTF-8",
    *(part * (65_536 // len(part)) for part in (b"x", "\u6f22".encode(), b"\x1b[31m", b"curl ", b'key="')),
)
"""The same in logs, with bytes that are no text and lines as long as they come, full of beginnings of
sequences and of what looks like secrets."""

LONG_LINE: Final = 100 * 1024 * 1024
"""Bytes of the one line that is longer than anything."""

NAME: Final = 10_000
"""Characters of the longest name."""

_EVERY: Final = 0.1
"""Seconds between two lines."""
_PIECES: Final = 64
"""Pieces of the long line that are written together."""
_PIECE: Final = b"endless " * (LONGEST // 8)
_PACE: Final = 0.025
"""Seconds between: who follows has taken the last by then, and holds no more than that."""
_LONG_IN: Final = "promtail"
_VALUES: Final = {
    kill_switch.KEY: {"engaged_by": BUTTON, "engagement_reason": "".join(TEXTS), "disengaged_by": TEXTS[0]},
    breaker.KEY: {"trip_reason": "".join(TEXTS), "reset_by": '"x [/'},
}
_EXPOSURE: Final = b"orphan_exposure:external:\xff\xfe\x1b]0;owned\x07[/"


class Hostile:
    """Such a world, while it is on; what was there before comes back after."""

    def __init__(self, engine: Engine, redis: Redis, logs: Mapping[str, LogStore]) -> None:
        self._engine = engine
        self._redis = redis
        self._logs = logs
        self._tasks: list[asyncio.Task[None]] = []
        self._kept: Mapping[str, Mapping[str, Any]] = {}

    async def close(self) -> None:
        """Write no more; the rest ends with the world."""
        await end(*self._tasks)

    async def switch(self, is_on: bool) -> None:
        """As ``faults.Switch``."""
        await self.close()
        self._tasks = []
        if is_on:
            for spec in _specs():
                await self._engine.add(spec)
            self._kept = {key: await self._change(key, values) for key, values in _VALUES.items()}
            await self._redis.set(_EXPOSURE, "12.50")
            self._tasks = [begin(self._keep_writing()), begin(self._write_long_line())]
            return
        for spec in _specs():
            await self._engine.containers[spec.name].stop(is_patient=False)
            self._engine.remove(self._engine.containers[spec.name])
        await self._redis.delete(_EXPOSURE)
        for key, values in self._kept.items():
            await self._change(key, values)

    async def _change(self, key: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Members of an object, where it is there; what they were."""
        state = json.loads(await self._redis.get(key) or "null")
        if state is None:
            return {}
        await self._redis.set(key, json.dumps({**state, **values}))
        return {name: state.get(name) for name in values}

    async def _keep_writing(self) -> None:
        for line, log in zip(cycle(LINES), cycle(self._logs.values()), strict=False):
            log.write([line])
            await asyncio.sleep(_EVERY)

    async def _write_long_line(self) -> None:
        """On the stream that nothing else of that container writes to: one line, in the end."""
        log = self._logs[_LONG_IN]
        for _ in range(LONG_LINE // (LONGEST * _PIECES)):
            log.write_part(_PIECE, STDERR, _PIECES)
            await asyncio.sleep(_PACE)
        log.write([b" the end"], STDERR)


def _specs() -> list[ContainerSpec]:
    """One container for each text and one with the longest name, of the same project as the others."""
    names = [*TEXTS, BUTTON.removesuffix("[/]"), "x [", "long" * (NAME // 4)]
    return [
        ContainerSpec(
            service=f"hostile{number}", name=name, image=f"{TEXTS[1]}:{number}", command=f"{BUTTON} {name}",
            load=Load(0.1, 1024 * 1024), workload=Idle(),
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
