"""Whether a name leads to another machine by now than a kept connection does.

A connection is made to what a name meant then. When the name is moved and the old machine lives on, all that
is read and written over it is about a machine that nobody else speaks to any more.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from ipaddress import ip_address
from time import monotonic
from typing import Any, Final

EVERY: Final = 5.0
"""Seconds between two questions to the name server."""

PATIENCE: Final = 0.1
"""Seconds that its answer is waited for. A later one counts when the connection is wanted next."""


class Whereabouts:
    """Of one kept connection. A name server that does not answer changes nothing: what works is kept."""

    def __init__(self) -> None:
        self._asked = -EVERY
        self._name = ""
        self._answer: asyncio.Future[frozenset[str]] | None = None

    async def has_moved(self, name: str | None, peer: str | None) -> bool:
        """Whether ``peer``, the address the connection leads to, is certainly none that ``name`` has now."""
        if not name or not peer or _is_address(name):
            return False
        if self._answer is None and monotonic() - self._asked >= EVERY:
            self._asked, self._name = monotonic(), name
            try:
                self._answer = asyncio.get_running_loop().run_in_executor(None, partial(_addresses, name))
            except RuntimeError:
                return False  # no thread to be had
            await asyncio.wait({self._answer}, timeout=PATIENCE)
        if self._answer is None or not self._answer.done():
            return False
        known, self._answer = self._answer.result(), None
        return self._name == name and bool(known) and _bare(peer) not in known


def address_of(name: str) -> str | None:
    """An address that the name has now, for who cannot see where a connection leads. Blocks."""
    return min(_addresses(name), default=None)


def peer_of(response: Any) -> str | None:
    """The address of the machine whose answer, one of urllib3's and not read yet, this is; None of one that
    did not come over the network."""
    wire: Any = getattr(getattr(response, "connection", None), "sock", None)
    try:
        return str(wire.getpeername()[0]) if wire.family in (socket.AF_INET, socket.AF_INET6) else None
    except (AttributeError, OSError):
        return None  # there is none, or it is gone already


def _addresses(name: str) -> frozenset[str]:
    """All that the name means; nothing when that is not to be had."""
    try:
        told = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(_bare(str(place[0])) for *_, place in told)


def _bare(address: str) -> str:
    """Without the interface, which is not always told."""
    return address.partition("%")[0]


def _is_address(name: str) -> bool:
    try:
        ip_address(_bare(name))
    except ValueError:
        return False
    return True
