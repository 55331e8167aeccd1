"""Lines of a log that hold a pattern, as rows of a fact."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from backends.model.safetext import SafeText, parted
from backends.model.stamp import STAMP, TEXT
from backends.readers.extract import ROW_LIMIT, Rows

_LINE: Final = 2000
"""Characters of one line that are looked at and kept."""


def matching_lines(pattern: str, lines: Iterable[bytes]) -> Rows:
    """A row for each stamped line that holds it: ``time``, ``line``, and the groups that the pattern names.
    Where they are too many, the newest matter most."""
    wanted = re.compile(pattern)
    found = [row for line in lines if (row := _matched(wanted, line)) is not None]
    return Rows(found[-ROW_LIMIT:], len(found))


def _matched(pattern: re.Pattern[str], line: bytes) -> dict[str, Any] | None:
    text, mark = parted(SafeText.from_bytes(line[TEXT:], _LINE))
    found = pattern.search(text)
    if found is None:
        return None
    # What reaches to the cut says that it was cut: it may end in half a secret.
    groups = {
        name: group + mark if group and found.end(name) == len(text) else group
        for name, group in found.groupdict().items()
    }
    return {"time": line[:STAMP].decode("ascii"), "line": text + mark, **groups}
