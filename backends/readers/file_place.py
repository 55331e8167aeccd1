"""Which file is meant: a path or a pattern below a folder, and the newest of several."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backends.model.fact import ValueType
from backends.model.query import FileQuery
from backends.readers.coerce import MisfitError, NothingError, coerce, excerpt, parse_json
from backends.readers.file_bytes import JSON_LIMIT, whole

MATCH_LIMIT: Final = 2000
"""Files one pattern may match."""
LOOKED_INTO: Final = 50
"""Of several files, how many are opened to find the one whose JSON is the newest: the last ones written."""
_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Place:
    """One file that is there."""

    path: Path
    status: os.stat_result

    @property
    def kind(self) -> str:
        mode = self.status.st_mode
        if stat.S_ISREG(mode):
            return "file"
        if stat.S_ISDIR(mode):
            return "directory"
        return "link" if stat.S_ISLNK(mode) else "device"


def is_pattern(path: str) -> bool:
    """Whether it may stand for several files."""
    return not _WILD.isdisjoint(path)


def places(base: Path, path: str) -> list[Place]:
    """All that are there now, by name. A link that leads nowhere is one, of kind ``link``.

    Raises MisfitError for a path that leads out of the folder, and for more than ``MATCH_LIMIT``.
    """
    if ".." in Path(path).parts:
        raise MisfitError("'..' in a path is not followed")
    if not is_pattern(path):
        found = _place(base / path)
        return [] if found is None else [found]
    root, pattern = (Path("/"), path.lstrip("/")) if path.startswith("/") else (base, path)
    matches: list[Place] = []
    for each in root.glob(pattern):
        if len(matches) == MATCH_LIMIT:
            raise MisfitError(f"more than {MATCH_LIMIT} files match")
        if (found := _place(each)) is not None:
            matches.append(found)
    return sorted(matches, key=lambda place: place.path)


def newest(found: list[Place], query: FileQuery) -> Place:
    """The one that counts. Raises NothingError when there is none."""
    if not found:
        raise NothingError
    if query.newest == "name":
        return found[-1]
    by_time = sorted(found, key=lambda place: (place.status.st_mtime_ns, place.path))
    if query.newest == "mtime" or len(found) == 1:
        return by_time[-1]
    return max(by_time[-LOOKED_INTO:], key=_told(query.newest.removeprefix("json:")))


def _told(path: str) -> Callable[[Place], tuple[float, str]]:
    """The time (or number) a file's JSON says at ``path``."""

    def key(place: Place) -> tuple[float, str]:
        node: Any = parse_json(whole(place.path, JSON_LIMIT))
        for step in path.split("."):
            if not isinstance(node, dict) or step not in node:
                raise MisfitError(f"{place.path.name} says no {excerpt(path)}, by which the newest is found")
            node = node[step]
        return float(str(coerce(ValueType.TIME, node))), place.path.name

    return key


def _place(path: Path) -> Place | None:
    try:
        return Place(path, path.stat())
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        return None
    except OSError as error:
        raise MisfitError(f"{path.name} cannot be looked at: {error.strerror}") from None
    try:
        return Place(path, path.lstat())
    except OSError:
        return None
