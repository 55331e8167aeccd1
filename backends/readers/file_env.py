"""What an env file gives a value, by name alone. Values do not leave this module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from backends.readers.coerce import MisfitError, decode
from backends.readers.extract import Rows
from backends.readers.file_bytes import JSON_LIMIT, whole
from backends.readers.file_place import Place

_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=(.*)")
_DEFAULT: Final = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)(:?)-([^${}]+)\}")
"""What a compose file takes for a variable that is not set, or (with a colon) is empty."""
_COMMENT: Final = re.compile(r"\s+#.*")
_COMMENTED: Final = re.compile(r"^[ \t]*#.*", re.MULTILINE)
_QUOTED: Final = re.compile(r"""(["'])(.*?)\1(?:\s*#.*)?""")


def env_in(place: Place) -> Rows:
    """The names that are given a value, and whether it is empty."""
    rows = [{"name": name, "state": "set" if value else "empty"} for name, value in _assigned(place.path)]
    return Rows(rows, len(rows))


def public_in(place: Place, known: Sequence[Place]) -> Rows:
    """The same, and whether the value is ``public``: the one that stands in a file which everybody has, a
    template or a compose file, or the one that a compose file has for want of another. ``unset`` is what only
    the compose file has."""
    said = dict(_assigned(place.path))
    values: set[tuple[str, str]] = set()
    fallbacks: set[tuple[str, str]] = set()
    for each in known:
        if each.path.suffix in (".yml", ".yaml"):
            text = decode(whole(each.path, JSON_LIMIT))
            # What stands in a comment is known to everybody as well, but nothing is taken from it.
            values.update((name, _bare(value)) for name, _, value in _DEFAULT.findall(text))
            for name, colon, _ in _DEFAULT.findall(_COMMENTED.sub("", text)):
                fallbacks.update({(name, "unset"), *([(name, "empty")] if colon else [])})
        else:
            values.update((name, value) for name, value in _assigned(each.path) if value)
    states = {name: "set" if value else "empty" for name, value in said.items()}
    states = {name: "unset" for name, _ in sorted(fallbacks)} | states
    rows = [
        {
            "name": name,
            "state": state,
            "public": "yes" if (name, said.get(name)) in values or (name, state) in fallbacks else "no",
        }
        for name, state in states.items()
    ]
    return Rows(rows, len(rows))


def _assigned(path: Path) -> Iterator[tuple[str, str]]:
    for line in decode(whole(path, JSON_LIMIT)).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ASSIGNMENT.fullmatch(line)
        if found is None:
            raise MisfitError("holds a line that is no NAME=value")
        yield found[1], _bare(found[2])


def _bare(text: str) -> str:
    """Without quotes, and a comment after what is not quoted."""
    value = text.strip()
    if quoted := _QUOTED.fullmatch(value):
        return quoted[2]
    return (value if value[:1] in ("'", '"') else _COMMENT.sub("", value)).strip("\"'")
