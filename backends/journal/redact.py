"""Taking secrets out of text on its way to the journal, a log, an error or a screen.

Registered secrets are found for certain, in every form listed at ``Dress``; others by what they look like
(``backends.journal.shapes``), which is best effort.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from backends.journal.dress import SHORTEST, Dress, values
from backends.journal.shapes import MASK, is_secret_name, masked
from backends.model.secret import Secret

_SHORT: Final = 48
_KNOWN: Final = 2000
"""Characters of a text that is worth remembering, and how many of them: most values are the same again at
each poll."""

_REACH: Final = 256
"""Characters left out before a cut at least: what stands beside a secret's name may be half there."""


class Redactor:
    """What to hide. Grows only: a rotated secret stays hidden. Safe to use from any thread."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._lock = threading.Lock()
        self._hidden: tuple[Dress, ...] = ()
        self._marks: tuple[tuple[str, Dress], ...] = ()
        self._ahead = _REACH
        self._harmless: set[str] = set()
        """Texts that hold none of what is hidden now."""
        for secret in secrets:
            self.register(secret)

    def register(self, secret: Secret) -> None:
        """Hide this from now on, in all its forms, and whatever it is replaced by."""
        secret.follow(self._hide)

    def _hide(self, secret: str) -> None:
        with self._lock:
            known = {each.value for each in self._hidden}
            fresh = [it for it in dict.fromkeys(values(secret)) if len(it) >= SHORTEST and it not in known]
            # The longest first: one may be a part of another.
            self._hidden = tuple(
                sorted((*self._hidden, *map(Dress, fresh)), key=lambda it: len(it.value), reverse=True)
            )
            self._marks = tuple((mark, each) for each in self._hidden for mark in each.marks)
            self._ahead = max([_REACH, *(each.longest for each in self._hidden)])
            self._harmless = set()  # last: who looks just now adds to the one before

    def text(self, text: str, limit: int | None = None, *, is_cut: bool = False) -> str:
        """``text`` without secrets; with ``limit`` its first so many characters, at no more work than those
        take. What could be half a secret is left out before a cut, ``is_cut`` when the caller made it; or,
        without a limit, when whoever wrote the text may have cut what it quotes: at its end or an ellipsis.
        """
        if limit is None:
            return self._told(text) if is_cut else self._masked(text)
        ahead = self._ahead
        looked = text[: limit + ahead]
        clean = self._masked(looked)
        if len(looked) < len(text):
            clean = clean[: max(0, len(clean) - ahead)]
        elif is_cut:
            clean = clean[: max(0, len(clean) - max(_REACH, self._half(clean)))]
        return clean[:limit]

    def _told(self, text: str) -> str:
        parts = self._masked(text).split("…")
        halves = map(self._half, parts)
        return "…".join(
            f"{part[: len(part) - half]}{MASK}" if half else part
            for part, half in zip(parts, halves, strict=True)
        )

    def _half(self, text: str) -> int:
        return max((each.half(text) for each in self._hidden), default=0)

    def _masked(self, text: str) -> str:
        harmless = self._harmless
        if text in harmless:
            return text
        clean = text
        for mark, secret in self._marks:
            if mark in clean:
                clean = secret.masked(clean, MASK)
        clean = masked(clean)
        if clean == text and len(text) <= _SHORT:
            if len(harmless) >= _KNOWN:
                harmless.clear()
            harmless.add(text)
        return clean

    def value(self, value: Any) -> Any:
        """The same for anything JSON can hold: texts are cleaned, members with a secret's name masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): MASK if is_secret_name(str(key)) and item else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value
