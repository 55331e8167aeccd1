"""How each kind of Redis read is asked so that no answer is unbounded and nothing is ever written.

A question is a generator: it yields the commands of one round and gets their replies, and returns the
answer. The reader runs all questions of a poll in step, so that a round of all of them is one pipeline.
Nothing here touches a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from backends.model.query import RedisQuery
from backends.readers.coerce import MisfitError, count_in, decode, excerpt
from backends.readers.extract import Members

VALUE_LIMIT: Final = 64 * 1024
"""Bytes of one value."""
COLLECTION_LIMIT: Final = 1024 * 1024
"""Bytes of all entries read of one collection."""
ENTRY_LIMIT: Final = 1000
"""Entries read of one collection."""
SCAN_COUNT: Final = 1000
SCAN_ROUNDS: Final = 50
"""With SCAN_COUNT, the keys a pattern is looked for in before giving up."""
NAME_LIMIT: Final = 5000
"""Keys that may match one pattern."""


class Command(NamedTuple):
    words: tuple[Any, ...]
    allowed: int
    """Bytes its reply may have."""


class ServerError(NamedTuple):
    """An error reply to one command, in words."""

    why: str
    is_wrong_type: bool = False


Question = Generator[Sequence[Command], list[Any], Any]
"""Returns the answer for ``extract``; may raise MisfitError."""


def shared(query: RedisQuery) -> RedisQuery:
    """The part of a query that decides what is asked: facts that agree in it share one question."""
    return replace(query, field=None) if query.op == "info" else query


def question(query: RedisQuery) -> Question:
    """The question a query stands for."""
    ask = _QUESTIONS.get(query.op)
    return ask(query) if ask is not None else _unknown(query)


def _small(*words: Any) -> Command:
    return Command(words, 512)


def _unknown(query: RedisQuery) -> Question:
    yield from ()
    raise MisfitError(f"{excerpt(query.op)} is no read this room knows")


def _get(query: RedisQuery) -> Question:
    # One byte more than allowed tells a value of the full size from one that is cut.
    head = Command(("GETRANGE", query.key, 0, VALUE_LIMIT), VALUE_LIMIT + 64)
    text, kind = yield [head, _kind(query)]
    _right_type(text, kind, "string")
    if isinstance(text, bytes) and len(text) > VALUE_LIMIT:
        (size,) = yield [_small("STRLEN", query.key)]
        raise MisfitError(_too_big("value", size))
    if text == b"" and _text(kind) == b"none":
        return None
    return _text(text)


def _size(command: str, kind: str) -> Callable[[RedisQuery], Question]:
    """A length. Redis answers 0 for what is not there: only its TYPE tells the two apart."""

    def ask(query: RedisQuery) -> Question:
        size, found = yield [_small(command, query.key), _kind(query)]
        _right_type(size, found, kind)
        if _text(found) == b"none":
            return None
        return _number(size)

    return ask


def _hget(query: RedisQuery) -> Question:
    size, kind = yield [_small("HSTRLEN", query.key, query.field or ""), _kind(query)]
    _right_type(size, kind, "hash")
    if _text(kind) == b"none":
        return None
    if _number(size) > VALUE_LIMIT:
        raise MisfitError(_too_big("value", size))
    (text,) = yield [Command(("HGET", query.key, query.field or ""), VALUE_LIMIT + 64)]
    return None if text is None else _text(text)


def _hgetall(query: RedisQuery) -> Question:
    size = yield from _measured(query, "HLEN", "hash", None)
    if size is None:
        return None
    (flat,) = yield [Command(("HGETALL", query.key), COLLECTION_LIMIT)]
    texts = [_text(item) for item in _list(flat)]
    return _fields(texts)


def _range(command: str, length: str, kind: str) -> Callable[[RedisQuery], Question]:
    def ask(query: RedisQuery) -> Question:
        total = yield from _measured(query, length, kind, _wanted(query))
        if total is None:
            return None
        words = (command, query.key, query.start, query.stop)
        (found,) = yield [Command(words, COLLECTION_LIMIT)]
        return Members([_entry(item) for item in _list(found)], total)

    return ask


def _stream(query: RedisQuery) -> Question:
    """The newest entries: ``start`` and ``stop`` count from the newest, which is 0."""
    last = query.stop + 1 if query.stop >= 0 else None
    total = yield from _measured(query, "XLEN", "stream", last)
    if total is None:
        return None
    words = ("XREVRANGE", query.key, "+", "-", "COUNT", last or ENTRY_LIMIT)
    (found,) = yield [Command(words, COLLECTION_LIMIT)]
    entries = []
    for item in _list(found)[query.start :]:
        ident, flat = (*_list(item), None, None)[:2]
        entries.append({"id": _text(ident), **_fields([_text(text) for text in _list(flat)])})
    return Members(entries, total)


def _wanted(query: RedisQuery) -> int | None:
    """Entries between the bounds, None when it depends on how many there are."""
    if (query.start < 0) != (query.stop < 0):
        return None
    return max(query.stop - query.start + 1, 0)


def _measured(
    query: RedisQuery, length: str, kind: str, wanted: int | None
) -> Generator[Sequence[Command], list[Any], int | None]:
    """How many entries there are, once it is known that those wanted are few and small enough to read.

    The memory is Redis's own estimate over up to a thousand entries; the cap on the reply is the backstop
    for the entry it missed.
    """
    weigh = _small("MEMORY", "USAGE", query.key, "SAMPLES", ENTRY_LIMIT)
    size, memory, found = yield [_small(length, query.key), weigh, _kind(query)]
    _right_type(size, found, kind)
    if _text(found) == b"none":
        return None
    count = _number(size)
    read = count if wanted is None else min(count, wanted)
    if read > ENTRY_LIMIT:
        raise MisfitError(f"{read:,} entries, {ENTRY_LIMIT} can be read")
    if memory is not None and count and _number(memory) * read // count > COLLECTION_LIMIT:
        raise MisfitError(_too_big("collection", _number(memory) * read // count))
    return count


def _exists(query: RedisQuery) -> Question:
    (count,) = yield [_small("EXISTS", query.key)]
    return str(_number(count)).encode()


def _ttl(query: RedisQuery) -> Question:
    """Seconds (or milliseconds) to live; -1, as Redis says, for a key that never expires."""
    (left,) = yield [_small(query.op.upper(), query.key)]
    return None if _number(left) == -2 else _number(left)


def _type(query: RedisQuery) -> Question:
    (kind,) = yield [_kind(query)]
    return None if _text(kind) == b"none" else _text(kind)


def _scan(query: RedisQuery) -> Question:
    """Every key that matches, at most ``SCAN_COUNT * SCAN_ROUNDS`` keys far. None matching is a true zero."""
    names: set[bytes] = set()
    cursor: bytes = b"0"
    for _ in range(SCAN_ROUNDS):
        words = ("SCAN", cursor, "MATCH", query.key, "COUNT", SCAN_COUNT)
        (reply,) = yield [Command(words, COLLECTION_LIMIT)]
        cursor_reply, found = (*_list(reply), None, None)[:2]
        cursor = _text(cursor_reply)
        names.update(_text(name) for name in _list(found))
        if cursor == b"0":
            return Members(sorted(names), len(names))
        if len(names) > NAME_LIMIT:
            raise MisfitError(f"more than {NAME_LIMIT} keys match")
    raise MisfitError(f"more than {SCAN_COUNT * SCAN_ROUNDS} keys to look through")


def _info(query: RedisQuery) -> Question:
    (text,) = yield [Command(("INFO", query.key), VALUE_LIMIT)]
    lines = (line.partition(b":") for line in _text(text).splitlines() if line and not line.startswith(b"#"))
    members = {decode(name): value for name, _, value in lines}
    if not members:
        raise MisfitError(f"there is no INFO section {excerpt(query.key)}")
    return members


def _time(_: RedisQuery) -> Question:
    """The server's clock, epoch seconds."""
    (reply,) = yield [_small("TIME")]
    seconds, micros = (*_list(reply), None, None)[:2]
    return count_in(_text(seconds)) + count_in(_text(micros)) / 1e6


def _acl(_: RedisQuery) -> Question:
    """What the connection's own user may do, as the server's rule says it: ``+@all``, ``-@all +@read``."""
    (name,) = yield [_small("ACL", "WHOAMI")]
    (rules,) = yield [Command(("ACL", "GETUSER", _text(name)), VALUE_LIMIT)]
    # The answer also holds hashes of passwords: nothing but the rule goes on from here.
    flat = _list(rules)
    said = {bytes(word): value for word, value in zip(flat[::2], flat[1::2], strict=True)}
    return _text(said.get(b"commands"))


def _kind(query: RedisQuery) -> Command:
    return _small("TYPE", query.key)


def _right_type(reply: Any, kind: Any, expected: str) -> None:
    if isinstance(reply, ServerError) and reply.is_wrong_type and isinstance(kind, bytes):
        found = {"zset": "sorted set"}.get(kind.decode("ascii", "replace"), kind.decode("ascii", "replace"))
        raise MisfitError(f"is a {found}, {expected} expected")


def _checked(reply: Any) -> Any:
    if isinstance(reply, ServerError):
        raise MisfitError(reply.why)
    return reply


def _text(reply: Any) -> bytes:
    if not isinstance(_checked(reply), bytes):
        raise MisfitError("Redis answered something else than text")
    return bytes(reply)


def _entry(reply: Any) -> bytes:
    text = _text(reply)
    if len(text) > VALUE_LIMIT:
        raise MisfitError(_too_big("entry", len(text)))
    return text


def _number(reply: Any) -> int:
    if not isinstance(_checked(reply), int):
        raise MisfitError("Redis answered something else than a number")
    return int(reply)


def _list(reply: Any) -> list[Any]:
    if not isinstance(_checked(reply), list):
        raise MisfitError("Redis answered something else than a list")
    return list(reply)


def _fields(flat: Sequence[bytes]) -> dict[str, bytes]:
    if len(flat) % 2:
        raise MisfitError("Redis answered a field without a value")
    return {decode(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _too_big(what: str, size: Any) -> str:
    allowed = COLLECTION_LIMIT if what == "collection" else VALUE_LIMIT
    said = f"{size:,}" if isinstance(size, int) else "too many"
    return f"{what} is {said} bytes, {allowed // 1024} KiB allowed"


_QUESTIONS: Final[dict[str, Callable[[RedisQuery], Question]]] = {
    "get": _get,
    "strlen": _size("STRLEN", "string"),
    "hget": _hget,
    "hgetall": _hgetall,
    "hlen": _size("HLEN", "hash"),
    "llen": _size("LLEN", "list"),
    "lrange": _range("LRANGE", "LLEN", "list"),
    "scard": _size("SCARD", "set"),
    "zcard": _size("ZCARD", "sorted set"),
    "zrange": _range("ZRANGE", "ZCARD", "sorted set"),
    "zrevrange": _range("ZREVRANGE", "ZCARD", "sorted set"),
    "xlen": _size("XLEN", "stream"),
    "xrevrange": _stream,
    "exists": _exists,
    "ttl": _ttl,
    "pttl": _ttl,
    "type": _type,
    "scan": _scan,
    "info": _info,
    "time": _time,
    "acl": _acl,
}
