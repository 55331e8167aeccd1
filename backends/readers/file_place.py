"""Which files are meant: a path or a pattern below a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from msgspec import Struct

from backends.readers.coerce import MisfitError

MATCH_LIMIT: Final = 2000
"""Files one pattern may match."""
_WILD: Final = frozenset("*?[")


class Place(Struct, frozen=True):
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

    Raises MisfitError for a path that leads out of the folder, for more than ``MATCH_LIMIT``, and where a
    folder or file may not be looked at.
    """
    if ".." in Path(path).parts:
        raise MisfitError("'..' in a path is not followed")
    if not is_pattern(path):
        found = _place(base / path)
        return [] if found is None else [found]
    root, pattern = (Path("/"), path.lstrip("/")) if path.startswith("/") else (base, path)
    matches: dict[Path, Place] = {}
    for each in _matching(root, Path(pattern).parts):
        if len(matches) == MATCH_LIMIT:
            raise MisfitError(f"more than {MATCH_LIMIT} files match")
        if (found := _place(each)) is not None:
            matches[each] = found
    return [matches[path] for path in sorted(matches)]


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """What may match below a folder. Not ``Path.glob``, to which a folder that may not be looked into is an
    empty one."""
    first, *rest = parts
    if first == "**":
        yield from _matching(folder, rest or ["*"])
        for name in _names(folder):
            if not (folder / name).is_symlink():
                yield from _matching(folder / name, parts)
    elif is_pattern(first):
        for name in _names(folder):
            if fnmatchcase(name, first):
                yield from _matching(folder / name, rest) if rest else [folder / name]
    else:
        yield from _matching(folder / first, rest) if rest else [folder / first]


def _names(folder: Path) -> list[str]:
    """What is in a folder, none for one that is not there. Raises MisfitError when that is not told."""
    try:
        return [each.name for each in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise MisfitError(f"{folder.name} cannot be looked into: {error.strerror}") from None


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
