"""Position reservations: a running total a symbol in Redis, raised at order accept, never corrected.

That it drifts after cancels and fills elsewhere is the platform's own behaviour.
"""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis

LIMIT: Final = 1000
"""Shares a symbol, either way."""
_TOKEN_SECONDS: Final = 60

_RESERVE: Final = """
local total = tonumber(redis.call('GET', KEYS[1]) or ARGV[4])
local new = total + tonumber(ARGV[1])
if math.abs(new) > tonumber(ARGV[2]) then return {0, tostring(total)} end
redis.call('SET', KEYS[1], string.format('%d', new))
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[3])
return {1, string.format('%d', new)}
"""


async def reserve(redis: Redis, symbol: str, delta: int, token: str, owned: int) -> bool:
    """Raise the symbol's total by ``delta`` shares; False when the limit would be passed.

    ``owned`` is the database's quantity, which counts where there is no total yet.
    """
    key = f"position_reservation:{symbol}"
    answer: Any = await redis.eval(
        _RESERVE, 2, key, f"{key}:token:{token}", str(delta), str(LIMIT), str(_TOKEN_SECONDS), str(owned)
    )
    return bool(int(answer[0]))
