"""Files: gone, of another kind, unreadable, full of noise, of the wrong values, or too large."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backends.model.fact import Fact, ValueType
from backends.model.query import FileQuery
from backends.model.stack import SourceKind
from backends.readers import file_content
from tests.contract.fault_table.subject import Subject
from tests.contract.fault_table.trial import FAILED, MISSING, Door, Ground, Stage, Staged, Trial, reading
from tests.contract.fault_table.web import MANY, WRONG_LEAVES, nested
from tests.contract.faulty import NOISE
from tests.servers.process import make_home

_WILD = re.compile(r"\[[^\]]*\]|[*?]+")
_NOBODY = 65534
_MOST = 66 * 1024 * 1024
"""Bytes that no look goes through."""


def query(fact: Fact) -> FileQuery:
    assert isinstance(fact.query, FileQuery)
    return fact.query


def _does(*what: str) -> Callable[[Fact], bool]:
    return lambda fact: query(fact).what in what


def _apart(facts: Sequence[Fact], by: Callable[[Fact], Any]) -> list[Fact]:
    """The same looks, those of one kind in a folder of its own below the source's."""
    numbers: dict[Any, int] = {}
    return [
        replace(
            fact,
            query=replace(query(fact), path=f"{numbers.setdefault(by(fact), len(numbers))}/{_short(fact)}"),
        )
        for fact in facts
    ]


def _short(fact: Fact) -> str:
    """Its path without the folders that no pattern has to find."""
    path = Path(query(fact).path)
    return path.name if path.is_absolute() or not _WILD.search(str(path.parent)) else str(path)


def _alike(fact: Fact) -> Any:
    """By the file: what is put there is the same for all who look at it."""
    return query(fact).path


def _each(fact: Fact) -> Any:
    """By what is looked for in it."""
    return query(fact).path, query(fact).what, query(fact).csv and repr(query(fact).csv), fact.pick, fact.type


Make = Callable[[Path, Fact], Any]
"""Puts something at a path."""


def _stage(make: Make | None, by: Callable[[Fact], Any] = _alike, *, as_nobody: bool = False) -> Stage:
    """A folder in which ``make`` put something for every fact; without it there is no folder."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
        # What is cut is looked at again a little later, which is no concern of these.
        ground.request.getfixturevalue("monkeypatch").setattr(file_content, "SETTLING", 0.0)
        home = make_home("files")
        # So that another user gets as far as what is closed to him.
        home.chmod(0o755)
        root = home / "checkout"
        asked = _apart([each for each in subjects if isinstance(each, Fact)], by)
        if make is not None:
            root.mkdir()
            for path, fact in {query(each).path: each for each in asked}.items():
                at = root / _WILD.sub(lambda wild: wild[0].strip("[*?]")[:1] or "x", path)
                at.parent.mkdir(parents=True)
                make(at, fact)
        if as_nobody:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2, initializer=_become_nobody))
        try:
            async with reading(SourceKind.FILES, f"file://{root}", asked) as staged:
                yield staged
        finally:
            _remove(home)

    return stage


def _remove(home: Path) -> None:
    """Also what is closed."""
    for folder, names, _ in os.walk(home):
        for name in names:
            Path(folder, name).chmod(0o700)
    shutil.rmtree(home)


def _become_nobody() -> None:
    """This thread alone: to root nothing is closed, and root may run the tests."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).setfsuid(_NOBODY)


def _folder(path: Path, _fact: Fact) -> None:
    path.mkdir()


def _pipe(path: Path, _fact: Fact) -> None:
    os.mkfifo(path)


def _loop(path: Path, _fact: Fact) -> None:
    path.symlink_to(path.name)


def _noise(path: Path, _fact: Fact) -> None:
    path.write_bytes(NOISE)


def _empty(path: Path, _fact: Fact) -> None:
    path.write_bytes(b"")


def _large(path: Path, _fact: Fact) -> None:
    with path.open("wb") as file:
        file.truncate(_MOST)


def _closed(path: Path, _fact: Fact) -> None:
    path.write_text("{}")
    path.chmod(0)


def _closed_folder(path: Path, _fact: Fact) -> None:
    path.write_text("{}")
    path.parent.chmod(0)


def _wrong(path: Path, fact: Fact) -> None:
    """A value that the fact's type dreads, where it is looked for."""
    if (asked := query(fact).csv) is not None:
        cell = "" if fact.type is ValueType.TEXT else "nonsense"
        columns = dict.fromkeys([asked.column, *asked.where], cell) | {asked.time: "yesterday"}
        path.write_text(",".join(columns) + "\n" + ",".join(columns.values()) + "\n")
    elif fact.pick is not None:
        path.write_text(json.dumps(nested(fact.pick, WRONG_LEAVES[fact.type][3])))
    else:
        path.write_text('"nonsense"')


_THERE = ("exists", "count", "kind", "mode", "age", "size", "list")
_ANY = {
    "only that it is there is looked at": _does(*_THERE),
    "what is wrong with a file is what it tells": _does("secrets", "members"),
}
_SEARCHED = {"a search that finds no line says so": lambda fact: _does("match")(fact) and fact.type in MANY}
_WHOLE = {"whatever its bytes are, they have a hash": _does("sha256")}
_TEXT = {"any text is a text": lambda fact: _does("text")(fact) and fact.type is ValueType.TEXT}
_NAMES = {"without a line there is no name": _does("env")}
_NOT_SAID = FAILED | MISSING
"""No line says it."""

FILES = Door(
    SourceKind.FILES,
    {
        "refused": {
            "no folder": Trial(_stage(None)),
            "files of another user": Trial(_stage(_closed, as_nobody=True), but=_ANY),
            "folders of another user": Trial(_stage(_closed_folder, as_nobody=True)),
            "links in circles": Trial(_stage(_loop)),
        },
        "hang": {"pipes": Trial(_stage(_pipe), but=_ANY)},
        "garbage": {"noise": Trial(_stage(_noise), _NOT_SAID, but=_ANY | _WHOLE | _SEARCHED)},
        "wrong type": {
            "folders": Trial(_stage(_folder), but=_ANY),
            "empty": Trial(_stage(_empty), _NOT_SAID, but=_ANY | _WHOLE | _SEARCHED | _NAMES),
            "values": Trial(_stage(_wrong, _each), _NOT_SAID, but=_ANY | _WHOLE | _SEARCHED | _TEXT),
        },
        "huge": {"more than it may": Trial(_stage(_large), _NOT_SAID, but=_ANY | _SEARCHED)},
        "missing": {
            "no such file": Trial(
                _stage(lambda _path, _fact: None),
                MISSING,
                but={"a search that finds none says so": _does("exists", "count", "list")},
            ),
        },
    },
)
