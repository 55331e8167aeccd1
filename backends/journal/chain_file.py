"""The chain on disk: files that only grow, shared by every room on this host."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from backends.journal.chain import START, BrokenError, Head, head_of, seal, unseal
from backends.journal.entry import wall_of
from backends.state_folder import make_folder, open_file

FILE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes after which the chain goes on in the next file."""

LOCK_WAIT: Final = 5.0
"""Seconds to wait for another process that is writing."""

_TAIL: Final = 256 * 1024


class ChainFile:
    """Appends records to ``folder/000001.jsonl`` and its successors. One thread at a time."""

    def __init__(self, folder: Path, limit: int = FILE_LIMIT, turn: float | None = None) -> None:
        """``turn``: seconds after which a file is ended although it is small; None for never."""
        self._folder = folder
        self._limit = limit
        self._turn = turn
        self._known: tuple[Path, int, Head] | None = None
        self._begun: tuple[Path, float] | None = None
        """A file, and when its first record was written."""
        self._written = START
        """The newest record of ours that was written."""
        self.lost: str | None = None
        """How the files were found to lack what was written here, in words; it stays told."""

    def append(self, body: Mapping[str, Any], is_synced: bool) -> None:
        """Write one record; with ``is_synced`` it is on the disk when this returns.

        Raises OSError when the record was not written; nothing of it is left behind then, if that can be
        helped. A line that someone else left cut off is ended and marked by a record of its own.
        """
        make_folder(self._folder)
        with _locked(self._folder):
            path, size, head, torn = self._end()
            self._compare(head)
            lines = b""
            if torn is not None:
                lines, head = _repair(body, torn, head)
            line, head = seal(body, head)
            if size and torn is None and (size >= self._limit or self._is_old(path, body)):
                path, size = _next(path), 0
            self._write(path, size, lines + line, is_synced)
            self._known = (path, size + len(lines) + len(line), head)
            self._written = head

    def _compare(self, end: Head) -> None:
        if end.seq < self._written.seq or (end.seq == self._written.seq and end != self._written):
            ends = f"it ended at record {end.seq}" if end != START else "it was empty"
            self.lost = f"{ends}, and record {self._written.seq} had been written"

    def _end(self) -> tuple[Path, int, Head, bytes | None]:
        """The last file, its size, the head, and the bytes of a cut-off last line (None when whole)."""
        files = files_of(self._folder)
        path = files[-1] if files else self._folder / "000001.jsonl"
        size = path.stat().st_size if files else 0
        if self._known is not None and self._known[:2] == (path, size):
            return path, size, self._known[2], None
        head, torn = _read_end(_tail(path, size)) if size else (None, None)
        # A crash right after the next file was begun leaves no whole record in it.
        return path, size, head or _head_of_files(files[:-1]), torn

    def _is_old(self, path: Path, body: Mapping[str, Any]) -> bool:
        """Whether the file was begun so long before this record that the next one is due."""
        if self._turn is None:
            return False
        if self._begun is None or self._begun[0] != path:
            with path.open("rb") as file:
                line = file.readline().removesuffix(b"\n")
            try:
                self._begun = (path, wall_of(unseal(line, None)))
            except BrokenError:
                return False  # Its size will end it.
        return wall_of(body) - self._begun[1] >= self._turn

    def _write(self, path: Path, size: int, data: bytes, is_synced: bool) -> None:
        file = open_file(path, os.O_WRONLY | os.O_APPEND)
        try:
            try:
                written = 0
                while written < len(data):
                    written += os.write(file, data[written:])
                if is_synced:
                    _sync(file)
            except OSError:
                self._known = None
                _take_back(file, size)
                raise
        finally:
            os.close(file)
        if not size and is_synced:
            _bring_to_disk(self._folder)


def files_of(folder: Path) -> list[Path]:
    """The journal's files, oldest first; none where there is no folder yet. Raises OSError: a folder that
    cannot be read is no empty one, which a glob would make of it."""
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    return sorted(path for path in paths if path.suffix == ".jsonl" and path.stem.isdigit())


def end_of(folder: Path) -> Head:
    """The newest whole record's head, whoever wrote it. Raises OSError."""
    return _head_of_files(files_of(folder))


def lasting_end_of(folder: Path) -> Head:
    """The same of what stays: no disk can refuse it any more, and no power cut lose it. Raises OSError."""
    if not folder.is_dir():
        return START
    with _locked(folder):
        files = files_of(folder)
        head = _head_of_files(files)
    # Whoever has the lock takes back what is their own alone. The last file may have been begun this moment,
    # and then nobody has brought the end of the one before it, nor its own name, to the disk yet.
    for path in (*files[-2:], folder):
        _bring_to_disk(path)
    return head


def _bring_to_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = open_file(folder / "lock", os.O_RDWR)
    try:
        until = time.monotonic() + LOCK_WAIT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.002)
        yield
    finally:
        os.close(lock)


def _head_of_files(files: Sequence[Path]) -> Head:
    for path in reversed(files):
        head, _ = _read_end(_tail(path, path.stat().st_size))
        if head is not None:
            return head
    return START


def _next(path: Path) -> Path:
    return path.with_name(f"{int(path.stem) + 1:06d}.jsonl")


def _tail(path: Path, size: int) -> bytes:
    """The end of the file from a line's beginning on; at least one whole line, if it has one."""
    with path.open("rb") as file:
        for length in (_TAIL, size):
            start = max(0, size - length)
            file.seek(start)
            data = file.read(size - start)
            if start:
                data = data.partition(b"\n")[2]
            if data.count(b"\n") >= 2:
                break
    return data


def _read_end(data: bytes) -> tuple[Head | None, bytes | None]:
    """The newest whole record's head, and the bytes of a cut-off last line."""
    *lines, rest = data.split(b"\n")
    torn: bytes | None = rest or None
    if rest:
        try:
            # Only its newline is missing: it is a record, and the marker says nothing was lost.
            return head_of(unseal(rest, None)), b""
        except BrokenError:
            pass
    for line in reversed(lines):
        try:
            return head_of(unseal(line, None)), torn
        except BrokenError:
            # A whole line that is no record was not cut off but damaged: verification will say so.
            continue
    return None, torn


def _repair(body: Mapping[str, Any], torn: bytes, head: Head) -> tuple[bytes, Head]:
    """What ends a cut-off line and says so in a record of its own; the line itself stays."""
    marker = {name: body[name] for name in body if name in _ABOUT_US} | {
        "kind": "repair",
        "text": f"the record before this was cut off after {len(torn)} bytes"
        if torn
        else "the record before this had lost its line end",
        "torn": {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()},
    }
    line, head = seal(marker, head)
    return b"\n" + line, head


_ABOUT_US: Final = frozenset(
    {"v", "at", "mono", "mode", "build", "host", "boot", "pid", "operator", "session"}
)


def _sync(file: int) -> None:
    # fdatasync also writes the new length, which is all of the metadata that matters here.
    getattr(os, "fdatasync", os.fsync)(file)


def _take_back(file: int, size: int) -> None:
    """Remove what a failed write left behind; if that fails too, the next write marks it."""
    try:
        os.ftruncate(file, size)
    except OSError:
        return
