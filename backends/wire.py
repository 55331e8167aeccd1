"""The sockets under ``backends.web``: what httpcore asks of a network, straight on asyncio.

Its own way there, anyio, takes as long again for each request as all else that is done for one, and a room
sends several in each second of its life.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from typing import Any, Final

import httpcore
from aiohappyeyeballs import start_connection

HELD: Final = 512 * 1024
"""Bytes that may have come and are not read yet before nothing more is taken from the network."""

_STAGGER: Final = 0.25
"""Seconds that one address of a name has before the next is tried beside it."""


class Wire(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection. For one reader at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()
        self.is_over = False
        """Whether nothing more will come."""
        self._fault: Exception | None = None
        """What broke it."""
        self._is_full = False
        self._reader: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # what connects gives no other

    def data_received(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= HELD and self._transport is not None and not self._is_full:
            self._is_full = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.is_over = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over, self._fault = True, exc
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, as soon as there is something; nothing at the end. Raises httpcore.ReadTimeout and
        httpcore.ReadError."""
        if not self._held and not self.is_over:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._reader
            except TimeoutError:
                raise httpcore.ReadTimeout from None
        if not self._held and self._fault is not None:
            raise httpcore.ReadError(str(self._fault)) from self._fault
        data = bytes(self._held[:max_bytes])
        del self._held[: len(data)]
        if self._is_full and len(self._held) < HELD and self._transport is not None and not self.is_over:
            self._is_full = False
            self._transport.resume_reading()
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ARG002  # nothing is waited for
    ) -> None:
        """Send it. What the other side does not take yet is kept: who waits for its answer has a time for
        that. Raises httpcore.WriteError where there is no connection any more."""
        if self._transport is None or self._transport.is_closing():
            raise httpcore.WriteError(str(self._fault or "")) from self._fault
        self._transport.write(buffer)

    async def aclose(self) -> None:
        """Leave at once: nobody waits for anything that would still be sent or come."""
        if self._transport is not None:
            self._transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Wire:
        """The same connection, encrypted. Raises httpcore.ConnectTimeout and httpcore.ConnectError."""
        if self._transport is None:
            raise httpcore.ConnectError
        loop, inner = asyncio.get_running_loop(), Wire()
        try:
            async with asyncio.timeout(timeout):
                made = await loop.start_tls(
                    self._transport, inner, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError:
            await self.aclose()
            raise httpcore.ConnectTimeout from None
        except OSError as error:  # a refused certificate is one as well
            await self.aclose()
            raise httpcore.ConnectError(str(error)) from error
        except BaseException:
            await self.aclose()
            raise
        if made is None:  # lost on the way
            raise httpcore.ConnectError
        inner.connection_made(made)
        return inner

    def get_extra_info(self, info: str) -> Any:
        """What httpcore may ask: ``is_readable`` is said of a connection that nobody reads and that has
        something to say, which is usually its end."""
        if self._transport is None:
            return None
        if info == "is_readable":
            return self.is_over or bool(self._held) or self._has_come()
        return self._transport.get_extra_info(_NAMES.get(info, info))

    def _has_come(self) -> bool:
        """Whether something is there that the loop has not seen yet."""
        wire = None if self._transport is None else self._transport.get_extra_info("socket")
        if wire is None or wire.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(wire.fileno(), select.POLLIN)
        return bool(poll.poll(0))


_NAMES: Final = {"client_addr": "sockname", "server_addr": "peername"}
"""What asyncio calls it."""


async def connected(host: str, port: int, seconds: float) -> Wire:
    """To the first address of the host that answers. Raises httpcore.ConnectTimeout and
    httpcore.ConnectError."""
    try:
        async with asyncio.timeout(seconds):
            places = await _places(host, port)
            wire = await start_connection(places, happy_eyeballs_delay=_STAGGER)
            _, made = await asyncio.get_running_loop().create_connection(Wire, sock=wire)
    except TimeoutError:
        raise httpcore.ConnectTimeout from None
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return made


async def _places(host: str, port: int) -> list[Any]:
    """The addresses of a host, as getaddrinfo gives them; of one that is an address, at once."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
