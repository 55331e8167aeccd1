"""The body of Docker's ``/logs`` answer, as whole lines with their time.

The engine sends frames of eight bytes head and a message, one message a line, each beginning with its
time. A line longer than 16 KiB comes in several messages, each with the time again. A container with a
terminal has no frames, only text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from backends.model.stamp import STAMP, TEXT, is_stamped, to_stamp

LINE_LIMIT: Final = 65_536
"""Bytes of one line that are kept; the rest is counted."""

_HEAD: Final = 8
_WAIT_FOR: Final = 131_072
"""A frame larger than this is taken piece by piece in place of waiting for all of it."""

_OTHER_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |$)")


def is_dated(text: bytes) -> bool:
    """Whether it begins with a time, as every line does that the engine was asked to date; or is empty."""
    return not text or is_stamped(text) or _OTHER_STAMP.match(text) is not None


class Frames:
    """Turns the pieces of one ``/logs`` body into lines, in bounded memory whatever comes."""

    def __init__(self, wall_ns: Callable[[], int]) -> None:
        """``wall_ns`` dates a line that the engine sent without a time: when it arrived."""
        self._wall_ns = wall_ns
        self._rest = b""
        self._left = 0
        self._kind = 0
        self._is_raw: bool | None = None
        self._partial = {kind: _Partial(wall_ns) for kind in range(4)}

    def feed(self, data: bytes) -> list[bytes]:
        """The lines completed by ``data``, without their line end. ValueError when it is not framed."""
        if self._is_raw is None and data:
            # The first byte is a stream number in a frame, a digit of the time without frames.
            self._is_raw = data[0] > 3
        lines: list[bytes] = []
        if self._is_raw:
            self._partial[0].add(data, False, lines)
        else:
            self._framed(data, lines)
        return lines

    def flush(self) -> list[bytes]:
        """What has begun and will not be finished, because the log has ended."""
        return [line for partial in self._partial.values() for line in partial.flush()]

    def _framed(self, data: bytes, lines: list[bytes]) -> None:
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        if self._left:
            part = data[: self._left]
            at = len(part)
            self._left -= at
            self._partial[self._kind].add(part, False, lines)
        while end - at >= _HEAD and not self._left:
            kind, start = data[at], at + _HEAD
            size = int.from_bytes(data[at + 4 : start], "big")
            if kind > 3 or data[at + 1 : at + 4] != b"\0\0\0":
                raise ValueError("the log is not framed as Docker frames it")
            stop = start + size
            if stop <= end:
                body = data[start:stop]
                partial = self._partial[kind]
                if not partial.is_open and is_stamped(body) and body.find(b"\n") == size - 1 <= LINE_LIMIT:
                    lines.append(body[:-1])
                else:
                    partial.add(body, True, lines)
                at = stop
            elif end - at > _WAIT_FOR:
                self._kind, self._left = kind, stop - end
                self._partial[kind].add(data[start:], True, lines)
                at = end
            else:
                break
        self._rest = data[at:]


class _Partial:
    """A line that is being put together from several messages of one stream."""

    def __init__(self, wall_ns: Callable[[], int]) -> None:
        self._wall_ns = wall_ns
        self._kept = bytearray()
        self._over = 0
        self.is_open = False

    def add(self, part: bytes, is_message: bool, lines: list[bytes]) -> None:
        """Take the next piece; ``is_message`` when it begins a message, with a time of its own."""
        if self.is_open and is_message and (match := _OTHER_STAMP.match(part)):
            part = part[match.end() :]
        at = 0
        while (line_end := part.find(b"\n", at)) >= 0:
            self._grow(part[at:line_end])
            lines += self.flush(lines[-1][:STAMP] if at else None)
            at = line_end + 1
        if at < len(part):
            self._grow(part[at:] if at else part)

    def flush(self, stamp: bytes | None = None) -> list[bytes]:
        """The line as far as it came; ``stamp`` dates it when it has no time of its own."""
        if not self.is_open:
            return []
        line, over = bytes(self._kept), self._over
        self._kept, self._over, self.is_open = bytearray(), 0, False
        if not is_stamped(line):
            line = self._stamped(line, stamp)
        return [line + b" ... +%d bytes" % over if over else line]

    def _grow(self, text: bytes) -> None:
        self.is_open = True
        room = LINE_LIMIT + TEXT - len(self._kept)
        self._kept += text[:room]
        self._over += max(0, len(text) - room)

    def _stamped(self, line: bytes, stamp: bytes | None) -> bytes:
        match = _OTHER_STAMP.match(line)
        own = _as_stamp(*match.groups()) if match else None
        if match is None or own is None:
            return (stamp or to_stamp(self._wall_ns())) + b" " + line
        return own + b" " + line[match.end() :]


def _as_stamp(second: bytes, fraction: bytes | None, zone: bytes) -> bytes | None:
    """A time written another way as this program writes it; None when there is no such time."""
    try:
        at = datetime.fromisoformat((second + (b"+00:00" if zone == b"Z" else zone)).decode("ascii"))
        whole = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")
    except (ValueError, OverflowError):
        return None
    made = whole + b"." + (fraction or b"").ljust(9, b"0") + b"Z"
    return made if is_stamped(made + b" ") else None
