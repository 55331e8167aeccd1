"""The journal's end, kept in memory: only what was added since is read, and nothing twice."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from backends.journal.chain import BrokenError, unseal
from backends.journal.chain_file import files_of
from backends.journal.unfinished import recent

MARK: Final = 4096
"""Bytes by which the place that was read last is known again."""

KEPT: Final = 2000
"""Records kept of those that are wanted."""

AT_ONCE: Final = 0.05
"""Seconds for which who must not wait does wait, once."""

PATIENCE: Final = 2.0
"""Seconds after which a journal that does not answer is one that cannot be read."""

Record = Mapping[str, Any]


class NotYetError(Exception):
    """The journal is still being read: whoever must not wait asks again later."""


class Lines:
    """Follows the journal's files, at first from ``back`` bytes before their end. One thread at a time.

    What was read may be gone, or another journal be in its place: then it begins as at first.
    """

    def __init__(self, folder: Path, back: int = 0) -> None:
        self._folder = folder
        self._back = back
        self._at: tuple[Path, int] | None = None
        self._mark = b""
        """What stands right before that place."""
        self.is_first = True
        """Whether the last call began, and so followed upon none."""

    def new(self) -> list[bytes]:
        """Whole lines that came since the last call. Raises OSError, and then passes over none."""
        files = files_of(self._folder)
        self.is_first = self._at is None or self._is_lost(files, *self._at)
        if self._at is None or self.is_first:
            size = files[-1].stat().st_size if files else 0
            at = (files[-1] if files else self._folder / "0", max(0, size - self._back))
        else:
            at = self._at
        lines = list[bytes]()
        for each in [file for file in files if file >= at[0]]:
            start = at[1] if each == at[0] else 0
            data = b""
            if each.stat().st_size > start:
                with each.open("rb") as file:
                    file.seek(start)
                    data = file.read()
            whole = data.rfind(b"\n") + 1
            lines += data[:whole].split(b"\n")[:-1]
            at = (each, start + whole)
        if at != self._at or self.is_first:
            self._mark = _before(*at) if at[0] in files else b""
        self._at = at
        return lines

    def _is_lost(self, files: Sequence[Path], path: Path, end: int) -> bool:
        """Whether what was read last is not there any more."""
        if path not in files:
            # The oldest files are retired; what a crash left empty may be removed.
            return end > 0 and not any(each > path for each in files)
        size = path.stat().st_size
        return size < end or (size > end and _before(path, end) != self._mark)


def _before(path: Path, end: int) -> bytes:
    """The last ``MARK`` bytes of the file up to there."""
    start = max(0, end - MARK)
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


class Tail:
    """The newest records that are ``wanted``, oldest first. Safe from any thread.

    The first call reads as far back as ``recent`` does, which takes a while; every other one only what is
    new, so that it can be asked at each board. Of a journal that is lost nothing is kept: what the one in its
    place says is told as at first.
    """

    def __init__(self, folder: Path, wanted: Callable[[Record], bool]) -> None:
        self._folder = folder
        self._wanted = wanted
        self._lines = Lines(folder)
        self._lock = threading.Lock()
        self._kept: deque[Record] = deque(maxlen=KEPT)
        self._is_begun = False

    def __call__(self) -> list[Record]:
        """Raises OSError."""
        with self._lock:
            lines = self._lines.new()
            if self._lines.is_first:
                self._kept.clear()
                self._is_begun = False
            if not self._is_begun:
                # What is added meanwhile comes twice, in its order, which says the same.
                self._kept.extend(filter(self._wanted, recent(self._folder)))
                self._is_begun = True
            for line in lines:
                try:
                    record = unseal(line, None)
                except BrokenError:
                    continue
                if self._wanted(record):
                    self._kept.append(record)
            return list(self._kept)


class Prompt:
    """What ``read`` gives, for a caller that must not wait for a disk. One thread at a time.

    Each call is answered by a read that began after it. While one is under way, calls raise NotYetError at
    once; when it takes longer than ``PATIENCE``, OSError.
    """

    def __init__(self, read: Callable[[], list[Record]]) -> None:
        self._read = read
        self._reading: Future[list[Record]] | None = None
        self._since = 0.0

    def __call__(self) -> list[Record]:
        if self._reading is not None and not self._reading.done():
            if time.monotonic() - self._since > PATIENCE:
                raise OSError("the journal's disk does not answer")
            raise NotYetError
        self._since = time.monotonic()
        self._reading = reading = Future[list[Record]]()
        threading.Thread(target=self._work, args=(reading,), name="journal-read", daemon=True).start()
        try:
            return reading.result(AT_ONCE)
        except TimeoutError:
            if reading.done():
                raise  # It is the disk's own answer.
            raise NotYetError from None

    def _work(self, reading: Future[list[Record]]) -> None:
        try:
            reading.set_result(self._read())
        except Exception as error:
            reading.set_exception(error)
