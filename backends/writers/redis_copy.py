"""What a stream or list holds before it is changed: for the journal, and to compare with what was seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from backends.model.safetext import SafeText

ENTRIES_KEPT: Final = 20
"""The newest."""
_LIMIT: Final = 8_000


def stream_copy(reply: Any) -> SafeText | None:
    """The entries of an XREVRANGE as JSON, newest first; None when there are none, or it was no stream."""
    if not isinstance(reply, Sequence) or isinstance(reply, (bytes, str)) or not reply:
        return None
    entries = [_entry(item) for item in reply]
    return SafeText(json.dumps(entries, ensure_ascii=False), _LIMIT)


def newest_of(reply: Any) -> str | None:
    """The newest entry in the reply to XREVRANGE or LRANGE, as a fact shows it: the id of a stream's, the
    text of a list's; empty where there is none, None for a refusal."""
    if not isinstance(reply, list):
        return None
    first = reply[0] if reply else b""
    return str(SafeText.from_bytes(first if isinstance(first, bytes) else first[0]))


def _entry(item: Any) -> dict[str, str]:
    ident, flat = item
    texts = [part.decode("utf-8", "backslashreplace") for part in flat]
    return {"id": ident.decode("ascii", "replace"), **dict(zip(texts[::2], texts[1::2], strict=True))}
