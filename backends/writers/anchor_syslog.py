"""Sends the journal's heads to a syslog, facility local0. It keeps them and cannot be asked for them."""

from __future__ import annotations

import os
import socket
from typing import Any, Final
from urllib.parse import urlsplit

from backends.model.anchor import AnchorError, AnchorPlace, Mark

LIMIT: Final = 2.0
PORT: Final = 514

_LOCAL0_NOTICE: Final = 16 * 8 + 5


class SyslogAnchor:
    """One datagram for each head, to a local socket or over UDP."""

    def __init__(self, place: AnchorPlace) -> None:
        self._place = place

    def put(self, mark: Mark) -> None:
        """Send it. Raises AnchorError when it was certainly not taken; over UDP that is not known."""
        parts = urlsplit(self._place.url)
        text = (
            f"<{_LOCAL0_NOTICE}>{self._place.name}[{os.getpid()}]:"
            f" journal head {mark.seq}:{mark.hash} of {mark.journal} on {mark.host} at {mark.at}"
        )
        where: Any
        try:
            if parts.scheme == "unix":
                family, where = socket.AF_UNIX, parts.path
            else:
                known = socket.getaddrinfo(parts.hostname, parts.port or PORT, type=socket.SOCK_DGRAM)
                family, where = known[0][0], known[0][4]
            with socket.socket(family, socket.SOCK_DGRAM) as link:
                link.settimeout(LIMIT)
                link.connect(where)
                link.send(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise AnchorError(f"the syslog did not take the head: {error.strerror or error}") from None
