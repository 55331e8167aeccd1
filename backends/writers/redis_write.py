"""Plain writes to Redis: what is asked first, the commands, and what the replies mean.

All go the same way: WATCH the keys and look at them, then MULTI, the writes, EXEC. Redis runs a
transaction whole or not at all, except for a command whose key has the wrong type; that is why the types
are looked at, and WATCH holds them. A user of Redis who may write here must be allowed WATCH, TYPE and
GETRANGE on the same keys; XREVRANGE too to delete one, LRANGE where a list's newest entry is compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from backends.model.action import RedisUnit, RedisWrite
from backends.model.procedure import Receipt, ReceiptKind
from backends.model.safetext import SafeText
from backends.model.substitution import fill
from backends.writers.answer import already, done, failed, reason, unknown
from backends.writers.json_patch import PatchError, patched
from backends.writers.redis_copy import ENTRIES_KEPT, newest_of, stream_copy

Words = list[str]

TEXT_LIMIT: Final = 65_536
"""Bytes of a key's text that are read before it is changed."""

_TYPES: Final = {
    "set": "string", "json": "string", "hset": "hash", "hdel": "hash", "xadd": "stream", "rpush": "list",
    "lpush": "list", "ltrim": "list", "sadd": "set", "srem": "set", "zrem": "zset",
}  # fmt: skip
"""What a key must be, if it exists, for a write not to destroy or refuse it. ``del`` takes any."""

_KEYLESS: Final = ("publish", "bgsave", "flushdb")
_ALONE: Final = ("bgsave", "flushdb")
"""What is about the whole server or database, has no key, and cannot be one of several."""
_TAKES_OUT: Final = ("del", "hdel", "srem", "zrem", "ltrim")


class Part(Struct, frozen=True):
    """One write, its names replaced."""

    write: RedisWrite
    key: str
    commands: tuple[Words, ...]
    text: str | None = None
    """What the key will hold, for ``set``."""
    expected: str | None = None
    """What it must hold before."""
    newest: str | None = None
    """What its newest entry must be, as ``newest_of`` tells it."""
    values: Mapping[str, Any] = field(default_factory=dict)


class State(Struct, frozen=True):
    """A key as it was before."""

    type: str
    raw: bytes | None
    """Up to ``TEXT_LIMIT`` bytes; None when it holds no text."""

    @property
    def text(self) -> SafeText | None:
        return None if self.raw is None else SafeText.from_bytes(self.raw)

    def is_text(self, text: str | None) -> bool:
        """Whether it holds exactly this."""
        return text is not None and self.raw == text.encode()


class Writes:
    """One write or several; all of them happen, or none."""

    def __init__(self, action: RedisWrite | RedisUnit, values: Mapping[str, Any]) -> None:
        """Raises ValueError, in the operator's words, for writes that make no sense."""
        writes = action.writes if isinstance(action, RedisUnit) else (action,)
        self._parts = [_part(write, values) for write in writes]
        self._keyed = [part for part in self._parts if part.write.op not in _KEYLESS]
        self._before: SafeText | None = None
        self._unrecorded = ""
        """What is left out because its key cannot take it, in words."""
        if not self._parts:
            raise ValueError("holds no writes")
        for part in self._parts if len(self._parts) > 1 else ():
            if part.write.op in _ALONE:
                raise ValueError(f"{part.write.op.upper()} cannot be one of several writes")

    @property
    def key(self) -> str:
        """A key it is about: in a cluster all of them are on the same node, or the node refuses."""
        return self._keyed[0].key if self._keyed else ""

    @property
    def is_watching(self) -> bool:
        """Whether the questions leave the connection watching keys."""
        return bool(self._keyed)

    @property
    def _is_lone_del(self) -> bool:
        return [part.write.op for part in self._parts] == ["del"]

    @property
    def questions(self) -> list[Words]:
        """What to ask first. Changes nothing."""
        if not self._keyed:
            return [["PING"]]
        asked: list[Words] = [["WATCH", *(part.key for part in self._keyed)]]
        for part in self._keyed:
            asked += [["TYPE", part.key], ["GETRANGE", part.key, "0", str(TEXT_LIMIT - 1)]]
        return asked + [_newest(part) for part in self._asking]

    @property
    def _asking(self) -> list[Part]:
        """The parts whose newest entries are asked for. What is no stream, or no list, refuses that question,
        and then nothing is lost by it."""
        return [part for part in self._keyed if part.newest is not None or self._is_lone_del]

    def objection(self, replies: Sequence[Any]) -> Receipt | None:
        """Why nothing must be written now, or None to go on."""
        states = []
        count = len(replies) - len(self._asking)
        replies, entries = replies[:count], replies[count:]
        if self._is_lone_del:
            self._before = stream_copy(entries[0])
        for kind, text in zip(replies[1::2], replies[2::2], strict=True):
            is_text = kind == b"string" and isinstance(text, bytes)
            states.append(State(_text(kind), text if is_text else None))
        for answer in (*replies[:1], *replies[1::2]):
            if isinstance(answer, Exception):
                return failed(f"refused: {reason(answer)}; nothing was changed")
        if len(self._parts) == 1 and states:
            self._before = states[0].text or self._before
        is_alone = len(self._parts) == 1
        for part, state in zip(self._keyed, states, strict=True):
            found = _objection(part, state, is_alone=is_alone)
            if found is not None and part.write.is_record and not is_alone:
                self._parts.remove(part)
                self._unrecorded += f"; not recorded: {found.text}"
            elif found is not None:
                return found
        for part, newest in zip(self._asking, entries, strict=True):
            if part.newest is not None and newest_of(newest) != part.newest:
                return failed(
                    f"{part.key} has another newest entry than was seen: nothing was changed", self._before
                )
        return self._patch(dict(zip([part.key for part in self._keyed], states, strict=True)))

    def _patch(self, states: Mapping[str, State]) -> Receipt | None:
        """Make the commands that depend on what the keys hold; or why that cannot be done."""
        try:
            self._parts = [_patched(part, states) for part in self._parts]
        except PatchError as error:
            return failed(f"{error}; nothing was changed", self._before)
        return None

    @property
    def commands(self) -> list[Words]:
        """What makes the change, to be sent on the connection that was asked."""
        words = [command for part in self._parts for command in part.commands]
        return [["MULTI"], *words, ["EXEC"]] if self._keyed else words

    def receipt(self, replies: Sequence[Any]) -> Receipt:
        """What the replies to ``commands`` mean."""
        if self._keyed:
            answer = replies[-1]
            if answer is None:
                return failed("changed by somebody else meanwhile: nothing was written", self._before)
            if isinstance(answer, Exception):
                # EXECABORT says nothing; the command it was about was refused before.
                first = next((each for each in replies if isinstance(each, Exception)), answer)
                return failed(f"refused: {reason(first)}; nothing was changed", self._before)
            replies = answer
        if not isinstance(replies, Sequence) or len(replies) != sum(len(x.commands) for x in self._parts):
            return unknown("its answer cannot be understood", self._before)
        errors = [each for each in replies if isinstance(each, Exception)]
        if errors:
            return self._refused(errors, len(replies))
        return self._told(replies)

    def _refused(self, errors: Sequence[Exception], count: int) -> Receipt:
        why = reason(errors[0])
        if len(errors) < count:
            return unknown(
                f"{count - len(errors)} of {count} writes happened, the others were refused: {why}"
            )
        if "save already in progress" in why:
            return already("a save is running already")
        return failed(f"refused: {why}", self._before)

    def _told(self, replies: Sequence[Any]) -> Receipt:
        told, rest = [], list(replies)
        for part in self._parts:
            told.append(_told(part, rest[0], self._before, is_alone=len(self._parts) == 1))
            rest = rest[len(part.commands) :]
        if len(told) == 1 and not self._unrecorded:
            return told[0]
        odd = next((each for each in told if each.kind is not ReceiptKind.DONE), None)
        words = "; ".join(each.text for each in told)
        return odd or done(f"all {len(told)} writes: {words}{self._unrecorded}")


def _part(write: RedisWrite, values: Mapping[str, Any]) -> Part:
    key = str(fill(write.key, values))
    if bool(key) is (write.op in _ALONE):
        raise ValueError(f"{write.op} takes no key" if key else f"{write.op} needs a key")
    if write.if_value is not None and write.op not in ("set", "del"):
        raise ValueError(f"{write.op} cannot depend on the text of its key")
    if write.if_absent and write.op not in ("set", "hset", "xadd", "rpush", "lpush"):
        raise ValueError(f"{write.op} cannot depend on the key not being there")
    if write.if_newest is not None and write.op not in ("del", "lpush"):
        raise ValueError(f"{write.op} cannot depend on the newest entry of its key")
    text = _value(write, values) if write.op == "set" else None
    commands = _commands(write, key, values)
    expected = None if write.if_value is None else _stored(fill(write.if_value, values))
    if expected is not None and len(expected.encode()) >= TEXT_LIMIT:
        raise ValueError("the text to compare with is too long")
    newest = None if write.if_newest is None else _stored(fill(write.if_newest, values))
    return Part(write, key, commands, text, expected, newest, values)


def _newest(part: Part) -> Words:
    """Asks for the newest entries of a stream that goes, or for that of a list that grows."""
    if part.write.op == "del":
        return ["XREVRANGE", part.key, "+", "-", "COUNT", str(ENTRIES_KEPT)]
    return ["LRANGE", part.key, "0", "0"]


def _commands(write: RedisWrite, key: str, values: Mapping[str, Any]) -> tuple[Words, ...]:
    trim = [] if write.max_length is None else [str(write.max_length)]
    match write.op:
        case "del" | "bgsave" | "flushdb":
            words = []
        case "hset":
            words = _pairs(write, values)
        case "hdel":
            words = _pairs(write, values)[::2]
        case "xadd":
            words = [*(("MAXLEN", "~", *trim) if trim else ()), "*", *_pairs(write, values)]
        case "sadd" | "srem" | "zrem":
            words = _members(write, values)
        case "ltrim":
            words = ["0", str(_kept(write) - 1)]
        case "json":
            _patch_of(write, values)
            return (["SET", key],)  # its text is known when the key was read
        case "set" | "rpush" | "lpush" | "publish":
            words = [_value(write, values)]
        case other:
            raise ValueError(f"cannot do {other!r}")
    command = [write.op.upper(), *([key] if key else ()), *words]
    if write.op in ("rpush", "lpush") and write.max_length is not None:
        newest = (f"-{write.max_length}", "-1") if write.op == "rpush" else ("0", str(write.max_length - 1))
        return command, ["LTRIM", key, *newest]
    return (command,)


def _kept(write: RedisWrite) -> int:
    if write.max_length is None:
        raise ValueError("ltrim needs max_length")
    return write.max_length


def _members(write: RedisWrite, values: Mapping[str, Any]) -> Words:
    said = fill(write.value, values)
    members = said if isinstance(said, list) else [said]
    if not members or any(member is None for member in members):
        raise ValueError(f"{write.op} needs a member")
    return [_stored(member) for member in members]


def _patch_of(write: RedisWrite, values: Mapping[str, Any]) -> dict[str, Any]:
    if not write.fields and not write.elapsed:
        raise ValueError("json needs fields")
    return {name: fill(value, values) for name, value in write.fields.items()}


def _patched(part: Part, states: Mapping[str, State]) -> Part:
    """A ``json`` part with its command, any other as it is. Raises PatchError."""
    if part.write.op != "json":
        return part
    raw = states[part.key].raw
    if raw is None or len(raw) >= TEXT_LIMIT:
        raise PatchError(f"{part.key} is missing" if raw is None else f"{part.key} is too large to change")
    write, members = part.write, _patch_of(part.write, part.values)
    now = str(part.values.get("now", ""))
    try:
        text = patched(raw, members, write.elapsed, write.if_null, now)
    except PatchError as error:
        raise PatchError(f"{part.key}: {error}") from None
    # A key that was to expire still is.
    return replace(part, text=text, commands=(["SET", part.key, text, "KEEPTTL"],))


def _objection(part: Part, state: State, *, is_alone: bool) -> Receipt | None:
    write, before = part.write, state.text
    is_there = state.type != "none"
    type_ = _TYPES.get(write.op)
    if is_there and write.if_absent:
        tell = already if is_alone else failed
        return tell(f"{part.key} is there already", before)
    if is_there and type_ is not None and state.type != type_:
        return failed(f"{part.key} holds a {state.type} where a {type_} is expected")
    if part.expected is not None and not state.is_text(part.expected):
        if is_alone and state.is_text(part.text):
            return already(f"{part.key} holds it already", before, before)
        what = "is missing" if not is_there else "holds something else than was seen"
        return failed(f"{part.key} {what}: nothing was changed", before)
    if is_alone and not is_there and write.op in _TAKES_OUT:
        return already(f"{part.key} is not there")
    return None


_NOTHING_DONE: Final = {
    "hdel": "no such fields", "srem": "no such members", "zrem": "no such members", "sadd": "they are in it",
}  # fmt: skip


def _told(part: Part, reply: Any, before: SafeText | None, *, is_alone: bool) -> Receipt:
    write, key = part.write, part.key
    if write.op == "publish":
        return _heard(write, key, reply, is_alone=is_alone)
    if reply == 0 and is_alone and write.op in _NOTHING_DONE:
        return already(f"{key}: {_NOTHING_DONE[write.op]}")
    words = {
        "set": f"{key} set",
        "del": f"{key} deleted",
        "hset": f"{key}: {len(write.fields)} fields set",
        "hdel": f"{key}: {reply} fields deleted",
        "xadd": f"{key}: entry {_text(reply)} added",
        "rpush": f"{key}: entry added",
        "lpush": f"{key}: entry added",
        "ltrim": f"{key} trimmed",
        "sadd": f"{key}: {reply} members added",
        "srem": f"{key}: {reply} members removed",
        "zrem": f"{key}: {reply} members removed",
        "json": f"{key} changed",
        "flushdb": "every key of the database is deleted",
    }
    after = None if part.text is None else SafeText(part.text)
    return done(words.get(write.op, _text(reply)), before, after)


def _heard(write: RedisWrite, key: str, count: Any, *, is_alone: bool) -> Receipt:
    if not isinstance(count, int):
        return unknown("its answer cannot be understood")
    words = f"heard by {count} subscriber{'' if count == 1 else 's'} of {key}"
    if count >= write.min_receivers:
        return done(words)
    words += f", expected at least {write.min_receivers}"
    # Whoever did hear it may have acted; and in a unit the other writes were done.
    return unknown(words) if count or not is_alone else failed(words)


def _value(write: RedisWrite, values: Mapping[str, Any]) -> str:
    if write.value is None:
        raise ValueError(f"{write.op} needs a value")
    return _stored(fill(write.value, values))


def _pairs(write: RedisWrite, values: Mapping[str, Any]) -> Words:
    if not write.fields:
        raise ValueError(f"{write.op} needs fields")
    pairs = ((name, _stored(fill(value, values))) for name, value in write.fields.items())
    return [word for pair in pairs for word in pair]


def _stored(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)
