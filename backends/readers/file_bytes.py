"""The bytes of files, bounded, and never of what would hang or never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from backends.readers.coerce import MisfitError, NothingError

TEXT_LIMIT: Final = 64 * 1024
JSON_LIMIT: Final = 1024 * 1024
"""Bytes of a JSON, YAML or TOML file."""
HASH_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of a file whose hash is wanted."""
_CHUNK: Final = 1024 * 1024


def opened(path: Path) -> BinaryIO:
    """An ordinary file, opened for reading. Raises NothingError when it is gone, MisfitError otherwise."""
    try:
        # Not to hang on what is a pipe, and to know what was opened rather than what was there before.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NothingError from None
    except OSError as error:
        raise MisfitError(f"cannot be opened: {error.strerror}") from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise MisfitError("is a directory, a file expected" if stat.S_ISDIR(mode) else "is no ordinary file")
    return os.fdopen(handle, "rb")


def whole(path: Path, limit: int) -> bytes:
    """All of it, when it is not larger than ``limit`` bytes."""
    with opened(path) as file:
        content = file.read(limit + 1)
        if len(content) > limit:
            size = os.fstat(file.fileno()).st_size
            raise MisfitError(f"is {size:,} bytes, {limit // 1024} KiB allowed")
        return content


def ending(path: Path, limit: int) -> tuple[bytes, bytes, bool]:
    """The first line, the whole lines of the last ``limit`` bytes, and whether there are more before them.

    The last line may lack its end: it is being written.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        first = file.readline(TEXT_LIMIT)
        start = max(size - limit, 0)
        file.seek(start)
        content = file.read(limit)
    if start:
        content = content.partition(b"\n")[2]
    return first, content, start > 0


def chunks(path: Path, limit: int) -> list[bytes]:
    """The content in pieces, for what goes through it once."""
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise MisfitError(f"is larger than {limit // _CHUNK} MiB")
        pieces = []
        while piece := file.read(_CHUNK):
            pieces.append(piece)
        return pieces
