"""Reads of Redis about several keys, or many things about one: the size is asked before the content."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

from backends.model.query import RedisQuery
from backends.readers.coerce import MisfitError, decode, excerpt, parse_json
from backends.readers.extract import Members, Rows
from backends.readers.redis_reply import (
    COLLECTION_LIMIT,
    ENTRY_LIMIT,
    VALUE_LIMIT,
    Command,
    Question,
    ServerError,
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
)

SCAN_COUNT: Final = 1000
SCAN_ROUNDS: Final = 50
"""With SCAN_COUNT, the keys a pattern is looked for in before giving up."""
NAME_LIMIT: Final = 5000
"""Keys that may match one pattern when only their names are wanted."""
KEY_LIMIT: Final = 500
"""Keys of one pattern or set whose content is read."""

DOCUMENT: Final = "document"
"""The column of ``each`` that says whether there is one: ``yes``, ``none`` or ``unreadable``."""


def scan(query: RedisQuery) -> Question:
    """Every key that matches, at most ``SCAN_COUNT * SCAN_ROUNDS`` keys far. None matching is a true zero."""
    names: set[bytes] = set()
    cursor: bytes = b"0"
    for _ in range(SCAN_ROUNDS):
        words = ("SCAN", cursor, "MATCH", query.key, "COUNT", SCAN_COUNT)
        (reply,) = yield [Command(words, COLLECTION_LIMIT)]
        cursor_reply, found = (*as_list(reply), None, None)[:2]
        cursor = as_text(cursor_reply)
        names.update(as_text(name) for name in as_list(found))
        if cursor == b"0":
            return Members(sorted(names), len(names))
        if len(names) > NAME_LIMIT:
            raise MisfitError(f"more than {NAME_LIMIT} keys match")
    raise MisfitError(f"more than {SCAN_COUNT * SCAN_ROUNDS} keys to look through")


def _scan_get(query: RedisQuery) -> Question:
    """Each matching key with its text, or with the members of its JSON object."""
    keys = yield from _matching(query)
    texts = yield from _texts(keys)
    rows = [
        {"key": key, **(_members(text) or {"value": text})}
        for key, text in zip(keys, texts, strict=True)
        if text is not None
    ]
    return Rows(rows, len(rows))


def _scan_hash(query: RedisQuery) -> Question:
    """Each matching key with the fields of its hash."""
    keys = yield from _matching(query)
    if not keys:
        return Rows([], 0)
    sizes = yield [command for key in keys for command in (small("HLEN", key), small("MEMORY", "USAGE", key))]
    memory = 0
    for key, size, used in zip(keys, sizes[::2], sizes[1::2], strict=True):
        if _counted(key, size, "hash") > ENTRY_LIMIT:
            raise MisfitError(f"{excerpt(key)} has more than {ENTRY_LIMIT} fields")
        memory += 0 if used is None else as_number(used)
    if memory > COLLECTION_LIMIT:
        raise MisfitError(too_big("collection", memory))
    replies = yield [Command(("HGETALL", key), COLLECTION_LIMIT // len(keys) + VALUE_LIMIT) for key in keys]
    rows = []
    for key, reply in zip(keys, replies, strict=True):
        if fields := as_fields([as_text(item) for item in as_list(reply)]):
            rows.append({"key": key, **fields})
    return Rows(rows, len(rows))


def _each(query: RedisQuery) -> Question:
    """Each member of a set with the JSON object at its own key. Redis keeps no empty set: none is no rows."""
    names = yield from _names(query)
    if names is None:
        return Rows([], 0)
    if len(names) > KEY_LIMIT:
        raise MisfitError(f"{len(names):,} members, {KEY_LIMIT} can be read")
    before, _, after = (query.field or "").encode().partition(b"{}")
    texts = yield from _texts([before + name + after for name in names])
    rows = []
    for name, text in zip(names, texts, strict=True):
        found = None if text is None else _members(text)
        state = "none" if text is None else "unreadable" if found is None else "yes"
        rows.append({"member": name, DOCUMENT: state, **(found or {})})
    return Rows(rows, len(rows))


def _smembers(query: RedisQuery) -> Question:
    names = yield from _names(query)
    return None if names is None else Members(names, len(names))


def _names(query: RedisQuery) -> Generator[Sequence[Command], list[Any], list[bytes] | None]:
    """The members of a set, in order; None when there is no such key."""
    if (yield from measured(query, "SCARD", "set", None)) is None:
        return None
    (found,) = yield [Command(("SMEMBERS", query.key), COLLECTION_LIMIT)]
    return sorted(as_entry(item) for item in as_list(found))


def _sinter(query: RedisQuery) -> Question:
    """What stands in all of the sets. A set that is not there is an empty one."""
    keys = query.key.split()
    weighed = [
        command
        for key in keys
        for command in (small("SCARD", key), small("MEMORY", "USAGE", key), small("TYPE", key))
    ]
    replies = yield weighed
    smallest, memory = None, 0
    for size, used, kind in zip(replies[::3], replies[1::3], replies[2::3], strict=True):
        expect_type(size, kind, "set")
        if smallest is None or as_number(size) < smallest:
            smallest, memory = as_number(size), 0 if used is None else as_number(used)
    if smallest is None or smallest > ENTRY_LIMIT or memory > COLLECTION_LIMIT:
        raise MisfitError(f"{smallest or 0:,} entries, {ENTRY_LIMIT} can be read")
    (found,) = yield [Command(("SINTER", *keys), COLLECTION_LIMIT)]
    members = sorted(as_entry(item) for item in as_list(found))
    return Members(members, len(members))


def _groups(query: RedisQuery) -> Question:
    """Consumer groups of a stream. ``lag`` is empty where the server does not know it (before Redis 7)."""
    answer = yield from _xinfo(query, "GROUPS")
    return _columns(answer, ("name", "consumers", "pending", "lag"))


def _consumers(query: RedisQuery) -> Question:
    """Consumers of one group. ``idle`` is milliseconds since the consumer last asked for anything."""
    answer = yield from _xinfo(query, "CONSUMERS", query.field or "")
    return _columns(answer, ("name", "pending", "idle"))


def _xinfo(query: RedisQuery, *words: str) -> Question:
    """The entries of the answer as flat lists; None when there is no such stream or group."""
    about = ("XINFO", words[0], query.key, *words[1:])
    found, kind = yield [Command(about, VALUE_LIMIT), type_of(query)]
    expect_type(found, kind, "stream")
    is_no_group = isinstance(found, ServerError) and "NOGROUP" in found.why
    return None if is_no_group or as_text(kind) == b"none" else as_list(found)


def _columns(entries: list[Any] | None, names: tuple[str, ...]) -> Rows | None:
    if entries is None:
        return None
    rows = []
    for entry in entries:
        flat = as_list(entry)
        said = {decode(as_text(name)): value for name, value in zip(flat[::2], flat[1::2], strict=False)}
        rows.append({name: said.get(name) for name in names})
    return Rows(rows, len(rows))


def _numsub(query: RedisQuery) -> Question:
    (reply,) = yield [small("PUBSUB", "NUMSUB", query.key)]
    return as_number((*as_list(reply), None, None)[1])


def _clients(_: RedisQuery) -> Question:
    """Who is subscribed to channels, and from where."""
    (reply,) = yield [Command(("CLIENT", "LIST", "TYPE", "pubsub"), COLLECTION_LIMIT)]
    rows = []
    for line in decode(as_text(reply)).splitlines():
        said = dict(part.partition("=")[::2] for part in line.split(" "))
        if "addr" not in said:
            raise MisfitError(f"holds {excerpt(line)}, a client expected")
        rows.append({name: said.get(name) for name in ("addr", "name", "age", "sub", "psub")})
    return Rows(rows, len(rows))


def _one(*words: str) -> Callable[[RedisQuery], Question]:
    def ask(_: RedisQuery) -> Question:
        (reply,) = yield [small(*words)]
        return as_number(reply) if isinstance(reply, int) else as_text(reply)

    return ask


def _matching(query: RedisQuery) -> Generator[Sequence[Command], list[Any], list[bytes]]:
    found = yield from scan(query)
    if found.total > KEY_LIMIT:
        raise MisfitError(f"{found.total:,} keys match, {KEY_LIMIT} can be read")
    return [bytes(name) for name in found.items]


def _texts(keys: Sequence[bytes]) -> Generator[Sequence[Command], list[Any], list[bytes | None]]:
    """The text at each key, None where there is none; together no more than a collection may be."""
    if not keys:
        return []
    sizes = yield [small("STRLEN", key) for key in keys]
    together = sum(_counted(key, size, "string") for key, size in zip(keys, sizes, strict=True))
    if together > COLLECTION_LIMIT:
        raise MisfitError(too_big("collection", together))
    replies = yield [
        Command(("GETRANGE", key, 0, VALUE_LIMIT), 2 * _counted(key, size, "string") + 512)
        for key, size in zip(keys, sizes, strict=True)
    ]
    # An empty text is not told from none here: what is read so is never empty.
    return [as_entry(reply) or None for reply in replies]


def _counted(key: bytes, size: Any, kind: str) -> int:
    if isinstance(size, ServerError) and size.is_wrong_type:
        raise MisfitError(f"{excerpt(key)} is no {kind}")
    return as_number(size)


def _members(text: bytes) -> dict[str, Any] | None:
    """The members of a JSON object; None when the text is none."""
    try:
        found = parse_json(text)
    except MisfitError:
        return None
    return found if isinstance(found, dict) else None


SEVERAL: Final[dict[str, Callable[[RedisQuery], Question]]] = {
    "smembers": _smembers,
    "sinter": _sinter,
    "groups": _groups,
    "consumers": _consumers,
    "numsub": _numsub,
    "scan_get": _scan_get,
    "scan_hash": _scan_hash,
    "each": _each,
    "ping": _one("PING"),
    "dbsize": _one("DBSIZE"),
    "lastsave": _one("LASTSAVE"),
    "clients": _clients,
}
