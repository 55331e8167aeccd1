"""Why a source did not answer, in an operator's words and without anything a library put into its message."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

_WORDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (socket.gaierror, "the name in {place} is not known here"),
    (ssl.SSLError, "{place} does not speak TLS as asked"),
    (ConnectionRefusedError, "{place} refuses the connection: nothing listens there"),
    (ConnectionError, "{place} closed the connection"),
    (FileNotFoundError, "there is no socket {place}"),
    (PermissionError, "no permission to open {place}"),
)

_CERTIFICATE: Final = {
    9: "is not valid yet: compare the clocks",
    10: "has expired",
    62: "is for another host",
    64: "is for another host",
}
"""What OpenSSL's numbers mean; any other is about who signed it."""


def where(url: str, port: int) -> str:
    """``host:port`` or the socket's path of an address, never a user or password; ``port`` is the default."""
    parts = urlsplit(url)
    if parts.scheme == "unix" or not parts.hostname:
        return parts.path or "?"
    try:
        return f"{parts.hostname}:{parts.port or port}"
    except ValueError:
        return parts.hostname


def network_reason(error: BaseException, place: str) -> str | None:
    """What went wrong on the way to ``place``, or None when no known network error is behind ``error``."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return certificate_fault(cause, place)
        for kind, words in _WORDS:
            if isinstance(cause, kind):
                return words.format(place=place)
        if isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return f"there is no route to {place}"
    return None


def certificate_fault(error: ssl.SSLCertVerificationError, place: str) -> str:
    """What is wrong with the certificate of the server at ``place``."""
    return f"the certificate of {place} {_CERTIFICATE.get(error.verify_code, 'is not trusted')}"


def silence(seconds: float) -> str:
    """The words for a source that took too long."""
    return f"no answer within {seconds:.3g} s"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(current.exceptions)
        waiting += [current.__cause__, current.__context__]
