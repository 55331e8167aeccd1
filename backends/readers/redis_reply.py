"""What is sent to Redis, how large its answer may be, and its replies taken for what they should be."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

from backends.model.query import RedisQuery
from backends.readers.coerce import MisfitError, decode

VALUE_LIMIT: Final = 64 * 1024
"""Bytes of one value."""
COLLECTION_LIMIT: Final = 1024 * 1024
"""Bytes of all entries read of one collection."""
ENTRY_LIMIT: Final = 1000
"""Entries read of one collection."""


class Command(NamedTuple):
    words: tuple[Any, ...]
    allowed: int
    """Bytes its reply may have."""


class ServerError(NamedTuple):
    """An error reply to one command, in words."""

    why: str
    is_wrong_type: bool = False
    is_elsewhere: bool = False
    """A node of a cluster says that it does not answer for that key, or for none any more."""
    there: str = ""
    """The address of the node that has the key already, when its slot is on the way there."""


Question = Generator[Sequence[Command], list[Any], Any]
"""Returns the answer for ``extract``; may raise MisfitError."""


def small(*words: Any) -> Command:
    """A command whose reply is a word or a number."""
    return Command(words, 512)


def type_of(query: RedisQuery) -> Command:
    """Asks what kind of key it is: ``none`` for one that is not there."""
    return small("TYPE", query.key)


def expect_type(reply: Any, kind: Any, expected: str) -> None:
    """Raises MisfitError when ``reply`` is the error for a key of another type, which is ``kind``."""
    if isinstance(reply, ServerError) and reply.is_wrong_type and isinstance(kind, bytes):
        found = {"zset": "sorted set"}.get(kind.decode("ascii", "replace"), kind.decode("ascii", "replace"))
        raise MisfitError(f"is a {found}, {expected} expected")


def measured(
    query: RedisQuery, length: str, kind: str, wanted: int | None
) -> Generator[Sequence[Command], list[Any], int | None]:
    """How many entries there are, once it is known that those wanted are few and small enough to read."""
    return weighed((yield weighing(query, length)), kind, wanted)


def weighing(query: RedisQuery, length: str) -> list[Command]:
    """Asks how many entries there are, how large they are together, and what kind of key it is."""
    weigh = small("MEMORY", "USAGE", query.key, "SAMPLES", ENTRY_LIMIT)
    return [small(length, query.key), weigh, type_of(query)]


def weighed(replies: Sequence[Any], kind: str, wanted: int | None) -> int | None:
    """What ``weighing`` found: how many there are, None without a key.

    The memory is Redis's own estimate over up to a thousand entries; the cap on the reply is the backstop
    for the entry it missed.
    """
    size, memory, found = replies
    expect_type(size, found, kind)
    if as_text(found) == b"none":
        return None
    count = as_number(size)
    read = count if wanted is None else min(count, wanted)
    if read > ENTRY_LIMIT:
        raise MisfitError(f"{read:,} entries, {ENTRY_LIMIT} can be read")
    if memory is not None and count and as_number(memory) * read // count > COLLECTION_LIMIT:
        raise MisfitError(too_big("collection", as_number(memory) * read // count))
    return count


def answered(reply: Any) -> Any:
    """The reply, or MisfitError raised for an error reply. So do all that follow."""
    if isinstance(reply, ServerError):
        raise MisfitError(reply.why)
    return reply


def as_text(reply: Any) -> bytes:
    if not isinstance(answered(reply), bytes):
        raise MisfitError("Redis answered something else than text")
    return bytes(reply)


def as_entry(reply: Any) -> bytes:
    text = as_text(reply)
    if len(text) > VALUE_LIMIT:
        raise MisfitError(too_big("entry", len(text)))
    return text


def as_number(reply: Any) -> int:
    if not isinstance(answered(reply), int):
        raise MisfitError("Redis answered something else than a number")
    return int(reply)


def as_list(reply: Any) -> list[Any]:
    if not isinstance(answered(reply), list):
        raise MisfitError("Redis answered something else than a list")
    return list(reply)


def as_fields(flat: Sequence[bytes]) -> dict[str, bytes]:
    if len(flat) % 2:
        raise MisfitError("Redis answered a field without a value")
    return {decode(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def too_big(what: str, size: Any) -> str:
    allowed = COLLECTION_LIMIT if what == "collection" else VALUE_LIMIT
    said = f"{size:,}" if isinstance(size, int) else "too many"
    return f"{what} is {said} bytes, {allowed // 1024} KiB allowed"
