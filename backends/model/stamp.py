"""The time at the head of a log line: 30 characters that sort as text in the order of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

STAMP: Final = 30
"""Characters of a time: ``2026-11-21T04:02:59.273109890Z``."""

TEXT: Final = STAMP + 1
"""Where the text of a line begins, after the time and a space."""

_SHAPE: Final = re.compile(
    rb"(?:19[7-9]\d|2\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    rb"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{9}Z "
)

_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_ns(stamp: bytes) -> int:
    """Nanoseconds since the epoch of a 30-character time. ValueError when it is none."""
    whole = datetime.fromisoformat(stamp[:19].decode("ascii") + "+00:00") - _UNIX
    return (whole.days * 86_400 + whole.seconds) * 1_000_000_000 + int(stamp[20:29])


def to_stamp(ns: int) -> bytes:
    """The 30-character time of nanoseconds since the epoch."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode("ascii")


def is_stamped(line: bytes) -> bool:
    """Whether a line begins with a 30-character time that exists, of 1970 to 2999, and a space."""
    return _SHAPE.match(line) is not None and (line[8:10] <= b"28" or _is_day(line[:10]))


def _is_day(day: bytes) -> bool:
    try:
        datetime.fromisoformat(day.decode("ascii"))
    except ValueError:
        return False  # such as the 30th of February
    return True
