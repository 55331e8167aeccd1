"""Taking secrets out of text on its way to the journal, a log, an error or a screen.

Registered secrets are found for certain, in every form listed at ``_forms``; others by what they look like
(``backends.journal.shapes``), which is best effort.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from backends.journal.shapes import MASK, is_secret_name, masked
from backends.model.safetext import SafeText
from backends.model.secret import Secret

SHORTEST: Final = 4
"""Characters below which a registered secret is not searched for: masking ``no`` everywhere hides nothing."""

_REACH: Final = 256
"""Characters left out before a cut at least: what stands beside a secret's name may be half there."""


class Redactor:
    """What to hide. Grows only: a rotated secret stays hidden. Safe to use from any thread."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()
        self._reach = _REACH
        for secret in secrets:
            self.register(secret)

    def register(self, secret: Secret) -> None:
        """Hide this from now on, in all its forms, and whatever it is replaced by."""
        secret.follow(self._hide)

    def _hide(self, value: str) -> None:
        if len(value) < SHORTEST:
            return
        with self._lock:
            self._forms = tuple(sorted({*self._forms, *_forms(value)}, key=len, reverse=True))
            self._reach = max(_REACH, len(self._forms[0]))

    def text(self, text: str, limit: int | None = None, *, is_cut: bool = False) -> str:
        """``text`` without secrets; with ``limit`` its first so many characters, at no more work than those
        take. What could be half a secret is left out before a cut, ``is_cut`` when the caller made it.
        """
        if limit is None:
            return self._masked(text)
        reach = self._reach
        looked = text[: limit + reach]
        clean = self._masked(looked)
        if is_cut or len(looked) < len(text):
            clean = clean[: max(0, len(clean) - reach)]
        return clean[:limit]

    def _masked(self, text: str) -> str:
        for form in self._forms:  # the longest first
            if form in text:
                text = text.replace(form, MASK)
        return masked(text)

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


def _forms(value: str) -> frozenset[str]:
    """As it is, as it is shown, in a URL, in JSON, in a Python repr, and inside base64 at any offset."""
    raw = value.encode()
    forms = {
        value,
        str(SafeText(value)),
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms.add(encode(raw).decode())
        for offset in range(3):
            # Characters that share bits with what stands before or after the secret are left out.
            encoded = encode(b"\0" * offset + raw).decode().rstrip("=")
            start = (8 * offset + 5) // 6
            end = (8 * (offset + len(raw))) // 6
            forms.add(encoded[start:end])
    return frozenset(form for form in forms if len(form) >= SHORTEST)
