"""An endless answer of a Docker engine, taken apart as it comes."""

from __future__ import annotations

from typing import Final

_HEAD_LIMIT: Final = 65_536
"""Bytes."""


class Answer:
    """An HTTP/1.1 answer taken apart as it comes: head, then body by chunks, by length or until the end."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.is_done = False
        self._rest = b""
        self._is_chunked = False
        self._left: int | None = None
        """Bytes still owed by the chunk, or by the body when it is not chunked; None until the end."""
        self._skip = 0

    @property
    def may_end(self) -> bool:
        """Whether the connection may close now without the answer being cut."""
        return self.is_done or (self.status is not None and self._left is None)

    def feed(self, data: bytes) -> bytes:
        """The body bytes in ``data``. Raises ValueError when it is not HTTP."""
        if self.status is None:
            data = self._head(self._rest + data)
            if self.status is None:
                return b""
        return self._chunks(data) if self._is_chunked else self._plain(data)

    def _head(self, data: bytes) -> bytes:
        head, gap, body = data.partition(b"\r\n\r\n")
        if not gap:
            if len(data) > _HEAD_LIMIT or not b"HTTP/1.".startswith(data[:7]):
                raise ValueError("what answers does not speak Docker's language")
            self._rest = data
            return b""
        first, *lines = head.split(b"\r\n")
        version, _, status = first.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError("what answers does not speak Docker's language")
        fields = {
            name.strip().lower(): value.strip() for name, _, value in (x.partition(b":") for x in lines)
        }
        self.status = int(status[:3])
        self._is_chunked = fields.get(b"transfer-encoding", b"").lower() == b"chunked"
        if self._is_chunked:
            self._left = 0
        elif b"content-length" in fields:
            self._left = int(fields[b"content-length"])
            self.is_done = self._left == 0
        self._rest = b""
        return body

    def _plain(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        body = data[: self._left]
        self._left -= len(body)
        self.is_done = self._left == 0
        return body

    def _chunks(self, data: bytes) -> bytes:
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        parts: list[bytes] = []
        left, skip = self._left or 0, self._skip
        while at < end and not self.is_done:
            if left:
                part = data[at : at + left]
                parts.append(part)
                at += len(part)
                left -= len(part)
                skip = 0 if left else 2
                continue
            if skip:
                step = min(skip, end - at)
                at, skip = at + step, skip - step
                continue
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                if end - at > 64:
                    raise ValueError("a chunk of the answer has no size")
                break
            size = int(data[at:line_end].partition(b";")[0], 16)
            at = line_end + 2
            stop = at + size
            if size == 0:
                self.is_done = True
            elif stop + 2 <= end:
                parts.append(data[at:stop])
                at = stop + 2
            else:
                left = size
        self._rest, self._left, self._skip = data[at:], left, skip
        return b"".join(parts)
