"""Which of the hosts that a PostgreSQL address names is spoken to: the first in its order that answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_PARTED: Final = ("host", "hostaddr", "port")
"""What may be a list in an address, one entry a host."""


async def opened(url: str, seconds: float, options: Mapping[str, Any]) -> Connection:
    """A new connection. Raises psycopg.Error; after ``seconds`` whoever waits for it is to call it off.

    Each host has its share of the time before the next is tried beside it: psycopg would wait two seconds for
    one that vanished, which is all there is, and come to no other for as long as it is gone.
    """
    # psycopg waits two seconds at least; the caller's own time is the shorter one that counts.
    options = {**options, "connect_timeout": max(2, math.ceil(seconds))}
    places = _places(url)
    share = seconds / len(places)
    going: set[asyncio.Task[Connection]] = set()
    lost: list[psycopg.Error] = []
    try:
        for place in places:
            going.add(asyncio.create_task(psycopg.AsyncConnection.connect(url, **{**options, **place})))
            won = await _first(going, lost, share)
            if won is not None:
                return won
        while going:
            won = await _first(going, lost, None)
            if won is not None:
                return won
    finally:
        for task in going:
            task.add_done_callback(_drop)
            task.cancel()
    raise type(lost[-1])("\n".join(map(str, lost)))


async def _first(
    going: set[asyncio.Task[Connection]], lost: list[psycopg.Error], seconds: float | None
) -> Connection | None:
    """The first connection that stands, or None: when the time is over, or one has failed."""
    done, _ = await asyncio.wait(going, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        going.discard(task)
        try:
            return task.result()
        except psycopg.Error as error:
            lost.append(error)
    return None


def _drop(task: asyncio.Task[Connection]) -> None:
    """Of a connection that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().pgconn.finish()


def _places(url: str) -> Sequence[Mapping[str, str]]:
    """What tells one host of the address from the next; a single one is as the address says it."""
    told = conninfo_to_dict(url)
    lists = {name: str(told[name]).split(",") for name in _PARTED if told.get(name)}
    count = max((len(lists.get(name, ())) for name in ("host", "hostaddr")), default=0)
    # Which of all hosts is preferred is not told by each of them alone.
    if count < 2 or told.get("target_session_attrs") == "prefer-standby":
        return [{}]
    if any(len(each) not in (1, count) for each in lists.values()):
        return [{}]  # psycopg says what is wrong with it
    return [{name: each[place % len(each)] for name, each in lists.items()} for place in range(count)]
