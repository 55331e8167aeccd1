"""The chain: each record holds the hash of the one before it, and its own.

A record is one line of canonical JSON. Whoever changes, drops, swaps or inserts a line breaks the chain
at that line. Cutting off the end, or rebuilding all of it, can only be seen by an anchor kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from backends.journal.entry import SCHEMA


class Head(Struct, frozen=True):
    """Where the chain ends: the next record continues from here."""

    seq: int = 0
    hash: str = "0" * 64


START: Final = Head()


def canonical(record: Mapping[str, Any]) -> str:
    """The one way to write a record down. Raises ValueError for NaN and infinity."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def seal(body: Mapping[str, Any], head: Head) -> tuple[bytes, Head]:
    """The record's line, newline included, and the head after it."""
    record = {**body, "seq": head.seq + 1, "prev": head.hash}
    digest = _digest(record)
    line = canonical({**record, "hash": digest}).encode("ascii") + b"\n"
    return line, Head(head.seq + 1, digest)


class BrokenError(ValueError):
    """This line is not the next record of the chain; the message says why."""


def unseal(line: bytes, head: Head | None) -> dict[str, Any]:
    """The record in a line (without its newline). With ``head``, it must be the next one after it.

    Raises BrokenError.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise BrokenError("is not JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("seq"), int):
        raise BrokenError("is not a record")
    digest = record.pop("hash", None)
    try:
        if canonical({**record, "hash": digest}).encode("ascii") != line:
            raise BrokenError("was rewritten")
        if _digest(record) != digest:
            raise BrokenError("was changed")
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, BrokenError) else BrokenError("is not a record") from None
    if record.get("v") != SCHEMA:
        raise BrokenError(f"has schema {record.get('v')!r}, this program knows {SCHEMA}")
    if head is not None:
        if record["seq"] != head.seq + 1:
            raise BrokenError(f"has number {record['seq']} where {head.seq + 1} is due")
        if record.get("prev") != head.hash:
            raise BrokenError("does not follow the record before it")
    return {**record, "hash": digest}


def head_of(record: Mapping[str, Any]) -> Head:
    """The head after this record."""
    return Head(int(record["seq"]), str(record["hash"]))


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(record).encode("ascii")).hexdigest()
