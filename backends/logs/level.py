"""How urgent a log line is, by the stack's grammar, then by the habits of common loggers."""

from __future__ import annotations

import re
from typing import Final

from backends.model.logline import LogLevel
from backends.model.stack import LogGrammar
from backends.model.stamp import TEXT

LEVELS: Final = tuple(LogLevel)
"""A level's code is its place here: rings keep small numbers, not objects."""

SGR: Final = re.compile(rb"\x1b\[[0-9;:]*m")
"""Colour codes: they carry no text, so they are taken out; any other escape is shown."""

_HEAD: Final = 512
"""Bytes of a line in which a level is looked for."""

_CRITICAL, _ERROR, _WARNING, _INFO, _DEBUG, _UNKNOWN = range(6)

_WORDS: Final = {
    _CRITICAL: "fatal critical crit panic emergency emerg alert f \U0001f6a8 \U0001f6d1 \U0001f4a5 \u26d4",
    _ERROR: "error err severe e \u274c",
    _WARNING: "warning warn w # \u26a0",
    _INFO: "notice info information log i * -",
    _DEBUG: "debug trace verbose fine d .",
}
_CODES: Final = {word.encode(): code for code, words in _WORDS.items() for word in words.split()}
"""The words and signs by which loggers call a level; the signs are those of Redis,
and those some programs begin their lines with."""

_NAMES: Final = rb"FATAL|CRITICAL|PANIC|EMERG|ERROR|WARNING|WARN|NOTICE|INFO|DEBUG|TRACE"
_PAIR: Final = re.compile(rb"(?i)(?:level|levelname|severity|lvl)[\"']?\s*[=:]\s*[\"']?(?P<level>[a-z]+)")
_HABITS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rb"\b(?P<level>" + _NAMES + rb")\b|\b(?P<other>LOG|ALERT):",
        rb"(?i)^.{0,48}?[\[<](?P<level>" + _NAMES + rb"|crit|err|alert)\s*[\]>]",
        rb"^(?P<level>[IWEF])\d{4} \d\d:",
        rb"^\d+:[XCSM] .{16,32} (?P<level>[.\-*#]) ",
        rb"(?i)^(?P<level>fatal|critical|panic|error|warning|warn)(?: error)?[:!]",
    )
)
_INDENTED: Final = re.compile(rb"^\s+(?:\d\S*\s+){0,2}\[?(?P<level>" + _NAMES + rb")\b")
"""A level at the head of an indented line, with at most a time before it."""

_TRACE: Final = re.compile(
    rb"Traceback \(most recent|During handling of the above|The above exception was|Caused by: |Exception in "
    rb"|[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)(?::|$)"
)
_DETAIL: Final = re.compile(rb".{0,60}?\b(?:DETAIL|HINT|CONTEXT|STATEMENT):")
"""PostgreSQL says more about the line before."""


class LevelFinder:
    """Finds levels of lines given in order; a line that continues another has the level of that one."""

    def __init__(self, grammar: LogGrammar) -> None:
        """Raises ValueError for a pattern that is wrong or has no group ``level``."""
        self._patterns = tuple(re.compile(pattern.encode()) for pattern in grammar.patterns)
        for pattern in self._patterns:
            if "level" not in pattern.groupindex:
                raise ValueError(f"the log pattern {pattern.pattern.decode()!r} has no group named level")
        self._bodies = tuple(pattern for pattern in self._patterns if "text" in pattern.groupindex)
        self._last: dict[int, int] = {}

    def code(self, source: int, line: bytes) -> int:
        """The place in ``LEVELS`` of the level of a line, time included; ``source`` tells streams apart."""
        head = line[TEXT : TEXT + _HEAD]
        if b"\x1b" in head:
            head = SGR.sub(b"", head)
        found = self._first(self._patterns, head)
        if found is None:
            found = self._by_habit(source, head)
        self._last[source] = found
        return found

    def body(self, text: bytes) -> bytes:
        """A line's text without what its row says already (time, level), where the grammar names the rest."""
        for pattern in self._bodies:
            if match := pattern.search(text[:_HEAD]):
                named = match["logger"] if "logger" in pattern.groupindex else None
                logger = named.rpartition(b".")[2] + b": " if named else b""
                return logger + text[match.start("text") :]
        return text

    def _by_habit(self, source: int, head: bytes) -> int:
        last = self._last.get(source, _UNKNOWN)
        if head[:1] in (b" ", b"\t", b""):
            found = self._first((_INDENTED,), head)
            return last if found is None else found
        if _TRACE.match(head):
            # A traceback belongs to the line before when that complains, and is an error by itself.
            return last if last <= _WARNING else _ERROR
        if _DETAIL.match(head):
            return last
        if b"evel" in head or b"everity" in head or b"lvl" in head or b"LEVEL" in head:
            found = self._first((_PAIR,), head)
            if found is not None:
                return found
        found = self._first(_HABITS, head)
        return _UNKNOWN if found is None else found

    def _first(self, patterns: tuple[re.Pattern[bytes], ...], head: bytes) -> int | None:
        for pattern in patterns:
            if match := pattern.search(head):
                word = match["level"] or match[match.lastindex or 0]
                code = _CODES.get(word.lower().rstrip(b"0123456789"))  # DEBUG5 is a DEBUG
                if code is not None:
                    return code
        return None
