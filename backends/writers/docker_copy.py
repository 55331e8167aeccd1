"""Copying a file or a folder out of a container into a new file on this host."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from typing import IO, Any, Final

from backends.model.procedure import Receipt
from backends.writers.answer import done, failed, unknown
from backends.writers.docker_api import Answer, DockerApi
from backends.writers.docker_order import CopyOrder
from backends.writers.whole_file import LIMIT, TooLongError, into_file

_PIECE: Final = 1 << 20
_ANSWER_LIMIT: Final = 4096
_END: Final = 1024
"""Zero bytes at the end of every tar archive."""


def copy_out(api: DockerApi, order: CopyOrder, begin: Callable[[], None]) -> Receipt:
    """A folder becomes a tar archive; a file becomes itself. The container need not run."""
    found = api.find(order.names)
    begin()
    with api.stream(
        "GET", f"/containers/{found.ident}/archive", order.patience.deadline, {"path": order.path}
    ) as answer:
        if answer.status_code != 200:
            said = Answer(answer.status_code, answer.raw.read(_ANSWER_LIMIT)).said
            return failed(f"{found.name} has no {order.path}: answered {answer.status_code}{said}")
        # The engine compresses it where it may; what is kept is the archive itself.
        answer.raw.decode_content = True
        return into_file(order.output, lambda file: _take(answer.raw, order, file))


def _take(raw: Any, order: CopyOrder, file: IO[bytes]) -> Receipt:
    try:
        size = _archive(raw, file) if order.output.suffix == ".tar" else _member(raw, file)
    except tarfile.TarError:
        return unknown(f"{order.path} is no single file, or was cut off: nothing was written")
    return done(f"{order.path} copied: {size:,} bytes in {order.output}")


def _archive(raw: Any, file: IO[bytes]) -> int:
    """All of it. Raises TarError when its end is missing: what broke off looks like what ended."""
    tail, size = b"", 0
    while piece := raw.read(_PIECE):
        tail = (tail + piece)[-_END:]
        size += file.write(piece)
        if size > LIMIT:
            raise TooLongError
    if len(tail) < _END or any(tail):
        raise tarfile.TarError
    return size


def _member(raw: Any, file: IO[bytes]) -> int:
    """The one regular file of the archive. Raises TarError for anything else."""
    with tarfile.open(fileobj=raw, mode="r|") as archive:
        member = archive.next()
        content = None if member is None or not member.isfile() else archive.extractfile(member)
        if member is None or content is None:
            raise tarfile.TarError
        if member.size > LIMIT:
            raise TooLongError
        shutil.copyfileobj(content, file, _PIECE)
        if file.tell() != member.size:
            raise tarfile.TarError
        return member.size
