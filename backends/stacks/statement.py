"""Whether a SQL text is one statement that only reads."""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = re.compile(
    r"--[^\n]*|/\*.*?\*/|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1",
    re.DOTALL,
)
_FIRST: Final = ("select", "with", "show")
_WRITES: Final = re.compile(
    r"insert|update|delete|merge|truncate|drop|alter|create|grant|revoke|copy|call|do|into|lock|vacuum"
    r"|reindex|refresh|listen|notify|begin|commit|rollback|nextval|setval|set_config|lo_\w+|dblink\w*"
    r"|pg_(sleep\w*|terminate_backend|cancel_backend|reload_conf|notify|\w*advisory\w*)"
)


def objection(text: str) -> str | None:
    """What keeps ``text`` from being one read-only statement, or None when it is one.

    The session is read-only as well: this exists so that a mistake is found in the file, not at 3 a.m.
    """
    bare = _QUOTED.sub(" ", text).strip().removesuffix(";").strip()
    words = re.findall(r"[a-z_][a-z0-9_]*", bare.lower())
    if not words:
        return "expected one SELECT, WITH or SHOW statement, got nothing"
    if words[0] not in _FIRST:
        return f"expected one SELECT, WITH or SHOW statement, got {words[0].upper()}"
    if ";" in bare:
        return "expected one statement, got several"
    found = next((word for word in words if _WRITES.fullmatch(word)), None)
    return f"expected a statement that only reads, got {found.upper()}" if found else None
