"""The one boundary where text from outside becomes text that may be shown.

A container name, a Redis value, a log line or a server's error message can hold escape sequences,
bidirectional overrides or a megabyte of nothing. ``SafeText`` cannot: constructing one replaces every
character that could act on a terminal, and caps the length. Widgets accept only ``SafeText``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

LINE_LIMIT: Final = 4096
"""Characters of one value or log line that can be shown."""

NAME_LIMIT: Final = 64
"""Characters of a name (container, key, unit) in a row; the whole name is in the detail view."""

_TAB: Final = "    "
_MARK: Final = re.compile(r"… \+\d+ (?:chars|bytes)\Z")
_MAX_MARKS: Final = 4
_ODD: Final = re.compile(r"[^ -~]+")
"""What is looked at one by one; all else is passed over as fast as memory is read."""
_MARKS: Final = frozenset({"Mn", "Me"})
_SHORT: Final = 32
"""Characters of a run that is remembered as shown: the same few signs are drawn again and again."""
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class SafeText(str):
    """Text that is inert on any terminal; a ``str`` that was cleaned when it was made.

    Control, escape, bidirectional, private and unassigned characters appear as ``\\xNN`` or ``\\u{N}``;
    a tab becomes four spaces; more than four combining marks on one character are dropped. Text longer
    than ``limit`` characters ends in ``… +N chars``. Cleaning is idempotent. It does not touch markup:
    brackets stay, and whoever draws the text must not parse them.
    """

    __slots__ = ()

    def __new__(cls, raw: object = "", limit: int = LINE_LIMIT) -> SafeText:
        if isinstance(raw, SafeText) and len(raw) <= limit:
            return raw
        text = raw if isinstance(raw, str) else str(raw)
        return super().__new__(cls, _clean(text, limit))

    @classmethod
    def from_bytes(cls, raw: bytes, limit: int = LINE_LIMIT) -> SafeText:
        """Decode UTF-8; bytes that are not UTF-8 appear as ``\\xNN``. Never fails."""
        # Four bytes a character at the most: decoding more than that of a huge value is waste.
        head = raw[: limit * 4]
        text = head.decode("utf-8", "backslashreplace")
        if len(raw) > len(head):
            text = f"{text[:limit]}… +{len(raw) - len(head)} bytes"
            return cls(text, limit + 32)
        return cls(text, limit)


def parted(text: str) -> tuple[str, str]:
    """``text`` before the mark by which a SafeText says how much was cut off, and that mark; no mark where
    it is whole.
    """
    mark = _MARK.search(text, max(0, len(text) - 40))
    return (text, "") if mark is None else (text[: mark.start()], mark[0])


def _clean(text: str, limit: int) -> str:
    over = len(text) - limit
    if over > 0:
        text = text[:limit]
    if not text.isprintable() or not text.isascii():
        text = _ODD.sub(_replace, text)
    return f"{text}… +{over} chars" if over > 0 else text


def _replace(found: re.Match[str]) -> str:
    """A run of characters that are not plain ones, as shown."""
    run = found[0]
    return _known_run(run) if len(run) <= _SHORT else _shown_run(run)


def _shown_run(run: str) -> str:
    kinds = {char: unicodedata.category(char) for char in set(run)}
    if not _MARKS.isdisjoint(kinds.values()):
        run = _few_marks(run, kinds)
    return run.translate({ord(char): _shown(char, kind) for char, kind in kinds.items()})


_known_run = lru_cache(maxsize=1024)(_shown_run)


def _shown(char: str, kind: str) -> str:
    if char == "\t":
        return _TAB
    code = ord(char)
    return (f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}") if kind in _UNSAFE else char


def _few_marks(run: str, kinds: Mapping[str, str]) -> str:
    kept: list[str] = []
    marks = 0
    for char in run:
        marks = marks + 1 if kinds[char] in _MARKS else 0
        if marks <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)


NO_TEXT: Final = SafeText("")
