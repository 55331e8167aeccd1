"""How each kind of Redis read is asked so that no answer is unbounded and nothing is ever written.

A question is a generator: it yields the commands of one round and gets their replies, and returns the
answer. The reader runs all questions of a poll in step, so that a round of all of them is one pipeline.
Nothing here touches a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from backends.model.query import RedisQuery
from backends.readers.coerce import MisfitError, count_in, decode, excerpt
from backends.readers.extract import Members, reads
from backends.readers.redis_reply import (
    COLLECTION_LIMIT,
    ENTRY_LIMIT,
    VALUE_LIMIT,
    Command,
    Question,
    as_entry,
    as_fields,
    as_list,
    as_number,
    as_text,
    expect_type,
    measured,
    small,
    too_big,
    type_of,
    weighed,
    weighing,
)
from backends.readers.redis_several import SEVERAL, scan

SINCE_LIMIT: Final = 200
"""Entries of the last seconds; where as many are counted, it may be more."""


def shared(query: RedisQuery) -> RedisQuery:
    """The part of a query that decides what is asked: facts that agree in it share one question."""
    return replace(query, field=None) if query.op == "info" else query


def question(query: RedisQuery) -> Question:
    """The question a query stands for."""
    ask = _QUESTIONS.get(query.op)
    return ask(query) if ask is not None else _unknown(query)


def _unknown(query: RedisQuery) -> Question:
    yield from ()
    raise MisfitError(f"{excerpt(query.op)} is no read this room knows")


def _get(query: RedisQuery) -> Question:
    # One byte more than allowed tells a value of the full size from one that is cut.
    head = Command(("GETRANGE", query.key, 0, VALUE_LIMIT), VALUE_LIMIT + 64)
    text, kind = yield [head, type_of(query)]
    expect_type(text, kind, "string")
    if isinstance(text, bytes) and len(text) > VALUE_LIMIT:
        (size,) = yield [small("STRLEN", query.key)]
        raise MisfitError(too_big("value", size))
    if text == b"" and as_text(kind) == b"none":
        return None
    return as_text(text)


def _size(command: str, kind: str) -> Callable[[RedisQuery], Question]:
    """A length. Redis answers 0 for what is not there: only its TYPE tells the two apart."""

    def ask(query: RedisQuery) -> Question:
        size, found = yield [small(command, query.key), type_of(query)]
        expect_type(size, found, kind)
        if as_text(found) == b"none":
            return None
        return as_number(size)

    return ask


def _hget(query: RedisQuery) -> Question:
    size, kind = yield [small("HSTRLEN", query.key, query.field or ""), type_of(query)]
    expect_type(size, kind, "hash")
    if as_text(kind) == b"none":
        return None
    if as_number(size) > VALUE_LIMIT:
        raise MisfitError(too_big("value", size))
    (text,) = yield [Command(("HGET", query.key, query.field or ""), VALUE_LIMIT + 64)]
    return None if text is None else as_text(text)


def _hgetall(query: RedisQuery) -> Question:
    size = yield from measured(query, "HLEN", "hash", None)
    if size is None:
        return None
    (flat,) = yield [Command(("HGETALL", query.key), COLLECTION_LIMIT)]
    texts = [as_text(item) for item in as_list(flat)]
    return as_fields(texts)


def _range(command: str, length: str, kind: str) -> Callable[[RedisQuery], Question]:
    def ask(query: RedisQuery) -> Question:
        total = yield from measured(query, length, kind, _wanted(query))
        if total is None:
            return None
        words = (command, query.key, query.start, query.stop)
        (found,) = yield [Command(words, COLLECTION_LIMIT)]
        return Members([as_entry(item) for item in as_list(found)], total)

    return ask


def _stream(query: RedisQuery) -> Question:
    """The newest entries: ``start`` and ``stop`` count from the newest, which is 0."""
    last = query.stop + 1 if query.stop >= 0 else None
    total = yield from measured(query, "XLEN", "stream", last)
    if total is None:
        return None
    words = ("XREVRANGE", query.key, "+", "-", "COUNT", last or ENTRY_LIMIT)
    (found,) = yield [Command(words, COLLECTION_LIMIT)]
    return Members([_entry(item) for item in as_list(found)[query.start :]], total)


def _entry(item: Any) -> dict[str, bytes]:
    ident, flat = (*as_list(item), None, None)[:2]
    return {"id": as_text(ident), **as_fields([as_text(text) for text in as_list(flat)])}


def _since(query: RedisQuery) -> Question:
    """The entries of the last ``start`` seconds, newest first, at most SINCE_LIMIT, by the server's clock, of
    which their ids are. A stream that is kept to a length stays as long as it is whatever comes."""
    clock, *weight = yield [small("TIME"), *weighing(query, "XLEN")]
    if weighed(weight, "stream", SINCE_LIMIT) is None:
        return None
    first = 1000 * (count_in(as_text((*as_list(clock), None)[0])) - query.start)
    (found,) = yield [Command(("XREVRANGE", query.key, "+", first, "COUNT", SINCE_LIMIT), COLLECTION_LIMIT)]
    entries = [_entry(item) for item in as_list(found)]
    return Members(entries, len(entries))


def _latest(query: RedisQuery) -> Question:
    """Of the newest entries the first of each kind: ``field`` is a dotted path into an entry, and what it
    reads tells the kinds apart. An entry that has no such member is of no kind."""
    found = yield from _stream(query)
    if found is None:
        return None
    kept: dict[str, Any] = {}
    for entry in found.items:
        name = reads(entry, query.field or "")
        if name is not None:
            kept.setdefault(name, entry)
    return Members(list(kept.values()), len(kept))


def _wanted(query: RedisQuery) -> int | None:
    """Entries between the bounds, None when it depends on how many there are."""
    if (query.start < 0) != (query.stop < 0):
        return None
    return max(query.stop - query.start + 1, 0)


def _exists(query: RedisQuery) -> Question:
    (count,) = yield [small("EXISTS", query.key)]
    return str(as_number(count)).encode()


def _any(query: RedisQuery) -> Question:
    """A stream whose last entry was removed is still a key: it says as little as none. Whoever waits for
    entries of a key of another type gets an error instead."""
    entries, kind = yield [small("XLEN", query.key), type_of(query)]
    expect_type(entries, kind, "stream")
    return b"1" if as_number(entries) else b"0"


def _ttl(query: RedisQuery) -> Question:
    """Seconds (or milliseconds) to live; -1, as Redis says, for a key that never expires."""
    (left,) = yield [small(query.op.upper(), query.key)]
    return None if as_number(left) == -2 else as_number(left)


def _type(query: RedisQuery) -> Question:
    (kind,) = yield [type_of(query)]
    return None if as_text(kind) == b"none" else as_text(kind)


def _info(query: RedisQuery) -> Question:
    (text,) = yield [Command(("INFO", query.key), VALUE_LIMIT)]
    lines = (
        line.partition(b":") for line in as_entry(text).splitlines() if line and not line.startswith(b"#")
    )
    members = {decode(name): value for name, _, value in lines}
    if not members:
        raise MisfitError(f"there is no INFO section {excerpt(query.key)}")
    return members


def _time(_: RedisQuery) -> Question:
    """The server's clock, epoch seconds."""
    (reply,) = yield [small("TIME")]
    seconds, micros = (*as_list(reply), None, None)[:2]
    return count_in(as_text(seconds)) + count_in(as_text(micros)) / 1e6


def _acl(_: RedisQuery) -> Question:
    """What the connection's own user may do, as the server's rule says it: ``+@all``, ``-@all +@read``."""
    (name,) = yield [small("ACL", "WHOAMI")]
    (rules,) = yield [Command(("ACL", "GETUSER", as_text(name)), VALUE_LIMIT)]
    # The answer also holds hashes of passwords: nothing but the rule goes on from here.
    flat = as_list(rules)
    said = {bytes(word): value for word, value in zip(flat[::2], flat[1::2], strict=True)}
    return as_text(said.get(b"commands"))


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
    "xlatest": _latest,
    "xsince": _since,
    "exists": _exists,
    "xany": _any,
    "ttl": _ttl,
    "pttl": _ttl,
    "type": _type,
    "scan": scan,
    "info": _info,
    "time": _time,
    "acl": _acl,
    **SEVERAL,
}
