"""The forms a known secret is written in by the services that print one."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from backends.model.safetext import SafeText

SHORTEST: Final = 4
"""Characters below which a registered secret is not searched for: masking ``no`` everywhere hides nothing."""

HALF: Final = 6
"""Characters of a secret's beginning that are of use to whoever sees them."""

LINE: Final = 16
"""Characters from which a line of a secret of several lines is one by itself: a log shows each alone."""

_WORD: Final = re.compile(r"[A-Za-z0-9_.~-]+")
"""What every writing leaves as it is."""
_PART: Final = re.compile(r"[A-Za-z0-9_.~-]+|\\+|.", re.DOTALL)
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_SLASH: Final = r"(?:\\|%(?:25){0,3}5[Cc])"
"""A backslash: one is doubled by each text that another is quoted in, to eight at the most."""
_ENTITIES: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_LETTERS: Final = {"\n": "n", "\r": "r", "\t": "t"}
_LONGEST: Final = 13
"""Characters that one of the secret becomes at the most, but for some of a language's own escapes."""


class Dress:
    """One secret, in all the forms it is looked for: as it is and as it is shown; in a URL, JSON or a Python
    repr, also one in the other, in HTML or a shell; in base64 at any offset; and in hexadecimal digits.
    """

    def __init__(self, value: str) -> None:
        self.value = value
        self._words = sorted(_WORD.findall(value), key=len, reverse=True)
        """What is the same in all forms but the encoded ones: looked for first, for most texts lack one."""
        self._encoded = sorted(_encoded(value), key=len, reverse=True)
        self.marks = (*(self._words[:1] or ("",)), *self._encoded)
        """A text that holds none of these holds no form of it."""
        odd = sum(not _WORD.fullmatch(char) for char in value)
        self.longest = max(len(value) + odd * _LONGEST, *map(len, self._encoded))
        """Characters of its longest form."""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(map(_written, _PART.findall(self.value))))

    def masked(self, text: str, mask: str) -> str:
        """``text`` with ``mask`` in the place of each of its forms."""
        if self._is_about(text):
            text = self._pattern.sub(mask, text)
        for form in self._encoded:
            if form in text:
                text = text.replace(form, mask)
        return text

    def half(self, text: str) -> int:
        """How many characters at the end of ``text`` begin it, as it is or encoded, and do not end it."""
        return max(_half(form, text) for form in (self.value, *self._encoded))

    def _is_about(self, text: str) -> bool:
        # A plain loop: each line and each cell comes by, and all() with a generator takes twice as long.
        for word in self._words:  # noqa: SIM110
            if word not in text:
                return False
        return True


def values(secret: str) -> tuple[str, ...]:
    """What of a secret is one: all of it, and of several lines each that is long enough."""
    lines = secret.splitlines()
    alone = (line.strip() for line in lines if len(lines) > 1)
    return (secret, *(line for line in alone if len(line) >= LINE and not line.startswith("-----")))


def _half(form: str, text: str) -> int:
    head = form[:HALF]
    at = text.find(head, max(0, len(text) - len(form) + 1))
    while at >= 0:
        if form.startswith(text[at:]):
            return len(text) - at
        at = text.find(head, at + 1)
    return 0


def _written(part: str) -> str:
    """A pattern for what a part of the secret becomes in one writing or another: small, for it is compiled
    while a key waits. Several backslashes would be shared out in too many ways one by one.
    """
    if _WORD.fullmatch(part):
        return re.escape(part)
    char, count = part[0], len(part)
    if char == "\\":
        coded = rf"(?i:{_SLASH}{{1,8}}(?:x5c|u005c)|&#(?:92|x5c);)"
        return f"(?:{coded}{{{count}}}|{_SLASH}{{{count},{8 * count}}})"
    others = f"(?:{'|'.join(_writings(char))})"
    return f"(?:{_SLASH}{{0,8}}(?i:{others}))"


def _writings(char: str) -> Iterator[str]:
    code, raw = ord(char), char.encode("utf-8", "backslashreplace")
    units = char.encode("utf-16-be", "surrogatepass").hex()
    yield "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in raw)
    yield f"{_SLASH}{{0,8}}".join(f"u{units[at : at + 4]}" for at in range(0, len(units), 4))
    yield f"{_SLASH}{{0,8}}".join(f"x{byte:02x}" for byte in raw)
    if code >= 0x80:
        yield f"x{code:02x}|U{code:08x}"
    if not char.isprintable():
        yield rf"u\{{{code:x}\}}"
    yield f"&(?:amp;)?(?:#0*{code}|#x0*{code:x}|{_ENTITIES.get(char, '#')});"
    if char in _LETTERS:
        yield _LETTERS[char]
    if char == " ":
        yield r"\+|%(?:25){0,2}2b"
    if char == "'":
        yield r"""'\\''|'"'"'"""
    # Last, for others begin with it.
    yield re.escape(char)


def _encoded(value: str) -> set[str]:
    raw = value.encode("utf-8", "backslashreplace")
    forms = {str(SafeText(value)), raw.hex(), raw.hex().upper()}
    if _HEX.fullmatch(value):
        forms |= {value.lower(), value.upper()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms.add(encode(raw).decode())
        for offset in range(3):
            # Characters that share bits with what stands before or after the secret are left out.
            encoded = encode(b"\0" * offset + raw).decode().rstrip("=")
            start = (8 * offset + 5) // 6
            end = (8 * (offset + len(raw))) // 6
            forms.add(encoded[start:end])
    return {form for form in forms if len(form) >= SHORTEST}
