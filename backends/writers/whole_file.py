"""A new file on this host that appears whole or not at all, readable by its user alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from backends.model.procedure import Receipt, ReceiptKind
from backends.writers.answer import failed, unknown

LIMIT = 64 << 30
"""Bytes it may have."""


class TooLongError(OSError):
    """More came than a file may have."""

    strerror = f"more than {LIMIT >> 30} GiB"


def into_file(target: Path, fill: Callable[[IO[bytes]], Receipt]) -> Receipt:
    """What ``fill`` says; the file is there afterwards only when that is DONE. An existing one stays.

    ``fill`` may raise OSError for what cannot be written.
    """
    if target.exists():
        return failed(f"{target} exists already; nothing was done")
    part = target.with_name(f".{target.name}.part")
    try:
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = part.open("xb")
    except OSError as error:
        return failed(f"{part} cannot be written: {_words(error)}; nothing was done")
    try:
        with file:
            part.chmod(0o600)
            receipt = fill(file)
            if receipt.kind is ReceiptKind.DONE:
                file.flush()
                os.fsync(file.fileno())
                part.rename(target)
        return receipt
    except OSError as error:
        return unknown(f"{target} was not written: {_words(error)}")
    finally:
        part.unlink(missing_ok=True)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
