"""Which of several files is the newest: by its time, its name, or what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from backends.model.fact import ValueType
from backends.model.query import FileQuery
from backends.readers.coerce import MisfitError, NothingError, coerce, excerpt, parse_json
from backends.readers.file_bytes import JSON_LIMIT, whole
from backends.readers.file_content import last_match
from backends.readers.file_place import Place

LOOKED_INTO: Final = 50
"""Of several files, how many are opened to find the one that says it is the newest: the last ones written."""


def newest(found: list[Place], query: FileQuery) -> Place:
    """The one that counts. Raises NothingError when there is none."""
    if not found:
        raise NothingError
    if query.newest == "name":
        return found[-1]
    by_time = sorted(found, key=lambda place: (place.status.st_mtime_ns, place.path))
    if query.newest == "mtime" or len(found) == 1:
        return by_time[-1]
    kind, _, what = query.newest.partition(":")
    return max(by_time[-LOOKED_INTO:], key=_told(_TOLD[kind], what))


def _told(said_in: Callable[[Place, str], Any], what: str) -> Callable[[Place], tuple[float, str]]:
    """The time (or number) a file says, which tells it from the others."""

    def key(place: Place) -> tuple[float, str]:
        said = said_in(place, what)
        if said is None:
            raise MisfitError(f"{place.path.name} says no {excerpt(what)}, by which the newest is found")
        return float(str(coerce(ValueType.TIME, said))), place.path.name

    return key


def _member(place: Place, path: str) -> Any:
    node: Any = parse_json(whole(place.path, JSON_LIMIT))
    for step in path.split("."):
        node = node.get(step) if isinstance(node, dict) else None
    return node


_TOLD: Final = {"json": _member, "line": last_match}
