"""The newest line that counts, of several logs: what was looked through once is not looked through again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Final, NamedTuple

from backends.model.query import FileQuery
from backends.readers.coerce import MisfitError, NothingError
from backends.readers.file_bytes import opened
from backends.readers.file_content import last_said
from backends.readers.file_place import Place

REACH: Final = 2 * 1024 * 1024
"""Bytes at the end of each log that are looked through at first; then all that is written to it, and as much
before that with each look while nothing matched."""
_HEAD: Final = 64
"""Bytes at the beginning by which a log is told from a later one in the same place on the disk."""


class Seen(NamedTuple):
    head: bytes = b""
    """How it begins."""
    start: int = 0
    """Where that begins which was looked through, without a gap."""
    end: int = 0
    said: bytes | None = None
    """By the newest line that matched."""


class Logs:
    """For one reader: its looks come one after the other."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str | None], dict[tuple[int, int], Seen]] = {}

    def newest(self, found: Sequence[Place], query: FileQuery) -> bytes | None:
        """What the newest line that matches says. Older logs are looked into while the newer ones have none:
        what was said once stands until something else is said, though a log was begun anew since. Raises
        MisfitError while a log has none in what was looked through, and that is not all of it."""
        asked = (query.path, query.pattern)
        before = self._seen.get(asked, {})
        # Only of what is there still: logs come and go for as long as the room runs.
        seen = {key: before[key] for key in map(_key, found) if key in before}
        self._seen[asked] = seen
        for place in sorted(found, key=lambda each: each.status.st_mtime_ns, reverse=True):
            try:
                now = _looked(place, query.pattern or "", seen.get(_key(place), Seen()))
            except NothingError:
                continue
            seen[_key(place)] = now
            if now.said is not None:
                return now.said
            if now.start:
                raise MisfitError(f"not known yet: {place.path.name} is looked through from its end")
        return None


def _key(place: Place) -> tuple[int, int]:
    return place.status.st_dev, place.status.st_ino


def _looked(place: Place, pattern: str, before: Seen) -> Seen:
    with opened(place.path) as file:
        head = file.read(_HEAD)
        if place.status.st_size < before.end or not head.startswith(before.head):
            before = Seen()
        start = max(before.end, place.status.st_size - REACH)
        is_on = start == before.end
        begins, lines = _whole(file, start, REACH, is_on)
        ends = begins + len(lines)
        # What was written unseen in between may say something else.
        said = last_said(lines, pattern) or (before.said if is_on else None)
        first = before.start if is_on else begins
        if said is None and first:
            start = max(first - REACH, 0)
            first, lines = _whole(file, start, first - start, start == 0)
            said = last_said(lines, pattern)
    return Seen(head, first, ends, said)


def _whole(file: BinaryIO, start: int, size: int, is_begun: bool) -> tuple[int, bytes]:
    """The whole lines of a part of a log, and where they begin; ``is_begun``: one does so at its start."""
    file.seek(start)
    content = file.read(size)
    cut = 0 if is_begun else content.find(b"\n", 0, -1) + 1
    return start + cut, content[cut : content.rfind(b"\n") + 1]
