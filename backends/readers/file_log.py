"""The newest line that counts, of several logs: what was looked through once is not looked through again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from backends.readers.coerce import NothingError
from backends.readers.file_bytes import opened
from backends.readers.file_content import last_said
from backends.readers.file_place import Place

REACH: Final = 2 * 1024 * 1024
"""Bytes at the end of each log that are looked through at first; then all that is written to it."""


class Seen(NamedTuple):
    end: int
    """Bytes that were looked through."""
    said: bytes | None
    """By the newest line that matched."""


class Logs:
    """For one reader: its looks come one after the other."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int, int], Seen] = {}

    def newest(self, found: Sequence[Place], pattern: str) -> bytes | None:
        """What the newest line that matches says. Older logs are looked into while the newer ones have none:
        what was said once stands until something else is said, though a log was begun anew since."""
        for place in sorted(found, key=lambda each: each.status.st_mtime_ns, reverse=True):
            try:
                said = self._said(place, pattern)
            except NothingError:
                continue
            if said is not None:
                return said
        return None

    def _said(self, place: Place, pattern: str) -> bytes | None:
        status = place.status
        key = (pattern, status.st_dev, status.st_ino)
        before = self._seen.get(key, Seen(0, None))
        if status.st_size < before.end:
            before = Seen(0, None)
        start = max(before.end, status.st_size - REACH)
        with opened(place.path) as file:
            file.seek(start)
            content = file.read(REACH)
        lines = content[: content.rfind(b"\n") + 1]
        # What was written unseen in between may say something else.
        said = last_said(lines, pattern) or (before.said if start == before.end else None)
        self._seen[key] = Seen(start + len(lines), said)
        return said
