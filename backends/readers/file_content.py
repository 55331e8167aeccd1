"""What a file holds, or is, as an answer for ``extract``."""

from __future__ import annotations

import codecs
import hashlib
import re
import stat
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import YAMLError

from backends.readers.coerce import MisfitError, NothingError, decode, parse_json
from backends.readers.extract import Members, Rows
from backends.readers.file_bytes import HASH_LIMIT, JSON_LIMIT, TEXT_LIMIT, chunks, ending, whole
from backends.readers.file_env import env_in
from backends.readers.file_place import Place

MATCH_TAIL: Final = 512 * 1024
"""Bytes at the end of a file in which a pattern is searched."""
LINE_LIMIT: Final = 4096
"""Characters of one line in which a pattern is searched."""
SETTLING: Final = 0.05
"""Seconds until a file that is being written in place is read a second time."""
_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What some editors write before a text, to say how it is written."""
_NOT_IN_URL: Final = frozenset(b"/@:?#")
"""What ends a password in an address."""


def text(place: Place) -> bytes:
    """Its text without the line ends after it."""
    return whole(place.path, TEXT_LIMIT).rstrip(b"\r\n")


def json_in(place: Place) -> Any:
    """Its JSON, read a second time when the first is cut: it may be written in place."""
    try:
        return parse_json(whole(place.path, JSON_LIMIT))
    except MisfitError:
        time.sleep(SETTLING)
        return parse_json(whole(place.path, JSON_LIMIT))


class _Plain(SafeConstructor):
    """Leaves a time the text it is."""


_Plain.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def yaml_in(place: Place) -> Any:
    """Its YAML, as the services' own library reads it (1.1), except that no key may be there twice."""
    loader = YAML(typ="safe", pure=True)
    loader.Constructor = _Plain
    loader.version = (1, 1)
    try:
        return loader.load(decode(whole(place.path, JSON_LIMIT)))
    except DuplicateKeyError as error:
        raise MisfitError(f"a key is there twice: line {_line(error)}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise MisfitError(f"not YAML: line {_line(error)}") from None


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return "unknown" if mark is None else str(mark.line + 1)


def toml_in(place: Place) -> Any:
    try:
        return tomllib.loads(decode(whole(place.path, JSON_LIMIT)))
    except (tomllib.TOMLDecodeError, RecursionError):
        raise MisfitError("not TOML") from None


def matching(place: Place, pattern: str) -> Members:
    """The lines that match, oldest first, of those at the end of the file.

    A last line without its end counts as well: what it will be matches no less.
    """
    searched = re.compile(pattern)
    _, content, _ = ending(place.path, MATCH_TAIL)
    lines = [line for line in content.splitlines() if searched.search(_shown(line))]
    return Members(lines, len(lines))


def last_match(place: Place, pattern: str) -> bytes | None:
    """What the first group (else the pattern) is in the newest line that matches and is wholly written."""
    _, content, _ = ending(place.path, MATCH_TAIL)
    return last_said(content, pattern)


def last_said(content: bytes, pattern: str) -> bytes | None:
    searched = re.compile(pattern)
    for line in reversed(content[: content.rfind(b"\n") + 1].splitlines()):
        if found := searched.search(_shown(line)):
            return (found[1] if searched.groups else found[0] or "").encode()
    return None


def _shown(line: bytes) -> str:
    return line[:LINE_LIMIT].decode("utf-8", "replace")


def sha256(place: Place) -> bytes:
    digest = hashlib.sha256()
    for piece in chunks(place.path, HASH_LIMIT):
        digest.update(piece)
    return digest.hexdigest().encode()


def mode(place: Place) -> bytes:
    """Its permissions as four octal digits."""
    return f"{stat.S_IMODE(place.status.st_mode):04o}".encode()


def wrongs(found: list[Place], in_url: Collection[str], may_group_read: bool) -> Rows:
    """What is wrong with files that hold a secret; those of the names ``in_url`` must fit into an address.

    What they hold does not leave this function.
    """
    rows = [
        {"file": place.path.name, "problem": why}
        for place in found
        for why in _wrong(place, place.path.name in in_url, may_group_read)
    ]
    return Rows(rows, len(rows))


def _wrong(place: Place, is_in_url: bool, may_group_read: bool) -> list[str]:
    if place.kind != "file":
        return [f"is a {place.kind}" if place.kind != "link" else "leads to nothing"]
    said = _wrong_mode(place, may_group_read)
    try:
        content = whole(place.path, TEXT_LIMIT)
    except MisfitError as error:
        return [*said, str(error)]
    if content.startswith(_MARKS):
        said.append("begins with a byte order mark")
    if b"\r" in content:
        said.append("has a carriage return (the line end of Windows)")
    if is_in_url and not _NOT_IN_URL.isdisjoint(content):
        said.append("has one of / @ : ? # and goes into an address")
    secret = content.replace(b"\r", b"").removesuffix(b"\n")
    if not secret.strip():
        said.append("is empty")
    elif secret != secret.strip():
        said.append("has white space around the secret")
    elif b"\n" in secret:
        said.append("has several lines")
    return said


def _wrong_mode(place: Place, may_group_read: bool) -> list[str]:
    """A folder that only its owner can enter closes what is in it to others, whatever they may read there;
    Docker mounts it all the same, and then a container of another user can read it.
    """
    others = place.status.st_mode & 0o077
    shown = f"(mode {mode(place).decode()})"
    if others & 0o022:
        return [f"others may write it {shown}"]
    folder = place.path.resolve().parent.stat().st_mode & 0o077
    if folder and others & ~(0o050 if may_group_read else 0):
        return [f"others may read it {shown}, its folder is open"]
    return []


def members(found: list[Place], name: Callable[[Path], str], member: str, beside: str) -> Rows:
    """What each file says at ``member``, one row a word: whether that is the file's ``own`` name, ``unique``
    to the row, and a file of that name ``there`` in ``beside``. A file that says none has a row of its own.
    """
    said = [(place, word) for place in found for word in _words(place, member)]
    times = Counter(word for _, word in said)
    rows = [
        {
            "name": name(place.path),
            "value": word,
            "own": _yes(word == place.path.stem),
            "unique": _yes(times[word] == 1),
            "there": _yes(_is_beside(place, beside, word)),
        }
        for place, word in said
    ]
    return Rows(rows, len(rows))


def _words(place: Place, member: str) -> list[str]:
    try:
        content = yaml_in(place)
    except (MisfitError, NothingError, OSError):
        content = None
    said = content.get(member) if isinstance(content, dict) else None
    return [str(word) for word in (said if isinstance(said, list) else [said]) if word is not None] or [""]


def _is_beside(place: Place, beside: str, word: str) -> bool:
    """A word that leads elsewhere is no file's name."""
    return bool(word) and Path(word).name == word and (place.path.parent / beside / word).is_file()


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


PARSED: Final[Mapping[str, Callable[[Place], Any]]] = {
    "text": text,
    "json": json_in,
    "yaml": yaml_in,
    "toml": toml_in,
    "env": env_in,
    "sha256": sha256,
    "mode": mode,
    "kind": lambda place: place.kind.encode(),
    "size": lambda place: place.status.st_size,
}
"""What needs only the file itself."""
