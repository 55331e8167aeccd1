"""A TOML file read strictly: whatever is wrong is one error with file, line, key and what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import tomli
from msgspec import Struct, field

from backends.model.safetext import SafeText
from backends.stacks.toml_lines import Place, locate

T = TypeVar("T", bound=Struct)

SIZE_LIMIT: Final = 1024 * 1024
"""Bytes of a TOML file that are read; a longer one is refused."""

_NAMES: Final = ("id", "name", "fact", "label")
_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time",
}


class ConfigError(Exception):
    """A file cannot be used. The message is one line for the operator: file, line, key, what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(SafeText(message))


class TomlFile(Struct, frozen=True, dict=True):
    """A parsed file that knows on which line everything stands."""

    path: Path
    tree: dict[str, Any]
    text: str
    origins: Mapping[Place, Place] = field(default_factory=dict)
    """Where in the text a part of the tree stands, when it is not where the tree has it."""

    @cached_property
    def lines(self) -> Mapping[Place, int]:
        """The line of every place; looked for when first wanted, so that a good file costs nothing."""
        return locate(self.text)

    def line(self, place: Place) -> int:
        """The line of ``place``, or of the nearest thing around it."""
        while place and self._written(place) not in self.lines:
            place = place[:-1]
        return self.lines.get(self._written(place), 1)

    def _written(self, place: Place) -> Place:
        for end in range(len(place), 0, -1) if self.origins else ():
            if place[:end] in self.origins:
                return self.origins[place[:end]] + place[end:]
        return place

    def error(self, place: Place, text: str) -> ConfigError:
        """The error for ``place``: ``stack.toml:41: fact 'orders.open': label: <text>``."""
        where = self._describe(place)
        return ConfigError(f"{self.path}:{self.line(place)}: {where + ': ' if where else ''}{text}")

    def _describe(self, place: Place) -> str:
        parts: list[str] = []
        node: Any = self.tree
        dotted = ""
        for part in place:
            node = _child(node, part)
            if isinstance(part, str):
                dotted = f"{dotted}.{part}" if dotted else part
                continue
            if isinstance(node, dict):
                name = next((node[key] for key in _NAMES if isinstance(node.get(key), str)), None)
                parts.append(f"{dotted} {name!r}" if name else f"{dotted} number {part + 1}")
            else:
                parts.append(f"{dotted}[{part}]")
            dotted = ""
        return ": ".join([*parts, dotted] if dotted else parts)


def read_toml(path: Path) -> TomlFile:
    """The file's content. Raises ConfigError when it cannot be read or is not TOML."""
    try:
        if not path.is_file():
            raise ConfigError(
                f"{path}: expected a file; {'it is a directory' if path.is_dir() else 'not found'}"
            )
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > SIZE_LIMIT:
        raise ConfigError(f"{path}: larger than {SIZE_LIMIT // 1024} KiB")
    try:
        text = raw.decode("utf-8")
        return TomlFile(path, tomli.loads(text), text)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text") from None
    except tomli.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        what = str(error)[: place.start()] if place else re.sub(r" \(at end of document\)$", "", str(error))
        raise ConfigError(f"{path}:{line}: not valid TOML: {what[:1].lower()}{what[1:]}") from None


def decode(file: TomlFile, kind: type[T], notes: Mapping[str, str] | None = None) -> T:
    """The file as a ``kind``. ``notes`` says more about keys that are refused for a reason.

    Raises ConfigError for an unknown key, a missing key or a value of the wrong type.
    """
    try:
        return msgspec.convert(file.tree, kind, str_keys=True)
    except msgspec.ValidationError as error:
        raise _explain(file, kind, str(error), notes or {}) from None


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Says that ``key`` is unknown, and what was meant or what may stand there."""
    names = list(known)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return (
        f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; expected one of: {_list(names)}"
    )


def _explain(file: TomlFile, kind: type[Struct], message: str, notes: Mapping[str, str]) -> ConfigError:
    what, _, where = message.partition(" - at ")
    is_key = where.startswith("`key` in ")
    place = _resolve(file, kind, message, where.removeprefix("`key` in ").strip("`"))
    around = _type_at(kind, file.tree, place)
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        key = match[1]
        return file.error((*place, key), notes.get(key) or unknown_key(key, _fields(around)))
    if match := re.fullmatch(r"Object missing required field `(.*)`", what):
        return file.error(
            place, f"{match[1]} is missing; expected {_expected(_fields(around).get(match[1]))}"
        )
    if is_key:
        return file.error(place, f"every key must be {_kinds(what)[0]}")
    if match := re.fullmatch(r"Invalid (?:enum )?value '?(.*?)'?", what, re.DOTALL):
        choices = _choices(around) or _tags(_type_at(kind, file.tree, place[:-1], choose=False))
        return file.error(place, f"{match[1]!r} is not known; expected one of: {_list(choices)}")
    if match := re.fullmatch(r"Expected `(\w+)` (.+)", what):
        limit = re.sub(r"(\d)\.0$", r"\1", match[2])
        return file.error(place, f"expected {_KINDS.get(match[1], match[1])} {limit}")
    expected, got = _kinds(what)
    return file.error(place, f"expected {expected}, got {got}")


def _resolve(file: TomlFile, kind: type[T], message: str, where: str) -> Place:
    """The place an error speaks of. msgspec writes ``[...]`` for the key of a mapping: it is searched."""
    place: Place = ()
    node: Any = file.tree
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+|\.\.\.)\]", where):
        if index == "...":
            key = next((key for key in node if _still_fails(file.tree, kind, message, place, key)), None)
            if key is None:
                return place
            part: str | int = key
        else:
            part = name or int(index)
        place, node = (*place, part), _child(node, part)
    return place


def _still_fails(tree: Any, kind: type[Struct], message: str, place: Place, key: str) -> bool:
    """Whether the same error comes when the mapping at ``place`` holds nothing but ``key``."""
    try:
        msgspec.convert(_only(tree, place, key), kind, str_keys=True)
    except msgspec.ValidationError as error:
        return str(error) == message
    return False


def _only(node: Any, place: Place, key: str) -> Any:
    if not place:
        return {key: node[key]}
    copy = node.copy()
    copy[place[0]] = _only(copy[place[0]], place[1:], key)
    return copy


def _child(node: Any, part: str | int) -> Any:
    try:
        return node[part]
    except (KeyError, IndexError, TypeError):
        return None


def _type_at(kind: Any, node: Any, place: Place, choose: bool = True) -> Any:
    """The type expected at ``place``; of a tagged union the member that ``node`` names, if ``choose``."""
    for part in place:
        kind = _one(kind, node)
        if isinstance(part, int):
            kind = get_args(kind)[0] if get_args(kind) else None
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            kind = _fields(kind).get(part)
        node = _child(node, part)
    return _one(kind, node) if choose else kind


def _one(kind: Any, node: Any) -> Any:
    """Without Annotated, None and the members of a union that ``node`` is not."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) not in (Union, UnionType):
        return kind
    members = [member for member in get_args(kind) if member is not type(None)]
    tags = {
        config.tag: member for member in members if (config := getattr(member, "__struct_config__", None))
    }
    tag = _child(node, next((c.tag_field for c in _configs(members) if c.tag_field), "")) if tags else None
    return tags.get(tag, members[0]) if tags else (members[0] if len(members) == 1 else kind)


def _configs(members: Iterable[Any]) -> list[Any]:
    return [member.__struct_config__ for member in members if hasattr(member, "__struct_config__")]


def _fields(kind: Any) -> dict[str, Any]:
    if not (isinstance(kind, type) and issubclass(kind, Struct)):
        return {}
    hints = get_type_hints(kind, include_extras=True)
    return {name: hints[name] for name in kind.__struct_fields__}


def _tags(kind: Any) -> list[Any]:
    return [config.tag for config in _configs(get_args(kind))]


def _choices(kind: Any) -> list[Any]:
    return list(get_args(kind)) if get_origin(kind) is Literal else []


def _expected(kind: Any) -> str:
    plain = _one(kind, None)
    if choices := _choices(plain):
        return f"one of: {_list(choices)}"
    origin = get_origin(plain) or plain
    if isinstance(origin, type):
        names = {str: "str", int: "int", float: "float", bool: "bool", list: "array"}
        return _KINDS[names.get(origin, "object")]
    return "a value"


def _kinds(what: str) -> tuple[str, str]:
    match = re.fullmatch(r"Expected `(.+?)`(?:, got `(.+?)`)?", what)
    if match is None:
        return what, "something else"
    expected = [_KINDS.get(name, name) for name in match[1].split(" | ") if name != "null"]
    return " or ".join(expected), _KINDS.get(match[2] or "", "something else")


def _list(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names)
