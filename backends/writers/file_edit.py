"""One key of a text in YAML, TOML or env form changed, every other character of it left as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from io import StringIO
from typing import Any, Final

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_ASSIGNMENT: Final = re.compile(r"(\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*)(.*?)(\s*)")
_TOML_HEAD: Final = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?")
_TOML_LINE: Final = re.compile(r"(\s*([A-Za-z0-9_-]+)\s*=\s*)(\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s#\[{]+)(.*)")

Place = Sequence[str]


class EditError(Exception):
    """The change cannot be made, or not without changing more. The message says why."""


class Change(Struct, frozen=True):
    """``key`` is to hold ``value``, or to be taken out when ``value`` is None."""

    key: tuple[str, ...]
    value: str | int | float | bool | None
    is_created: bool = False
    """Whether the key may be new."""


class Edited(Struct, frozen=True):
    """The text after the change. ``before`` is the value that was there, None when there was none."""

    text: str
    before: Any
    after: Any


def edit(text: str, form: str, change: Change) -> Edited:
    """``text`` (``yaml``, ``toml`` or ``env``) with the change made.

    Raises EditError when the text is not sound (a key twice, too), when there is no such key, when the value
    is of another kind, and when anything but that key would be changed.
    """
    read, write = _FORMS[form]
    data = read(text)
    holder, last = _holder(data, change.key)
    before = _get(holder, last)
    if before is None and last not in _names(holder) and not (change.is_created and change.value is not None):
        raise EditError(f"there is no key {'.'.join(change.key)}")
    after = None if change.value is None else _alike(change.value, before)
    expected = deepcopy(data)
    _put(*_holder(expected, change.key), after)
    if expected == data and after is not None and type(after) is type(before):
        return Edited(text, before, after)
    changed = write(text, change.key, after)
    try:
        is_clean = read(changed) == expected
    except EditError:
        is_clean = False
    if not is_clean:
        raise EditError("cannot be changed without changing more than this key")
    return Edited(changed, before, after)


def word(value: Any) -> str:
    """A value as readings show it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _alike(value: str | int | float | bool, before: Any) -> Any:
    """The new value as the kind of thing the old one is. Raises EditError."""
    if before is None or isinstance(before, (Mapping, list)):
        if before is not None:
            raise EditError("holds more than one value")
        return value
    if isinstance(before, bool):
        if word(value) not in ("true", "false"):
            raise EditError(f"is true or false, and {word(value)!r} is neither")
        return word(value) == "true"
    if isinstance(before, (int, float)):
        if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
            raise EditError(f"is a number, and {word(value)!r} is none")
        number = float(value)
        return int(number) if number.is_integer() and isinstance(before, int) else number
    return word(value)


def _holder(data: Any, key: Place) -> tuple[Any, Any]:
    """What the last part of the key stands in, and that part as it is found there."""
    node = data
    for depth, part in enumerate(key):
        where = _step(node, part)
        if depth == len(key) - 1:
            return node, where
        node = _get(node, where)
        if node is None:
            raise EditError(f"there is no key {'.'.join(key[: depth + 1])}")
    raise EditError("no key is named")


def _step(node: Any, part: str) -> Any:
    """A member's name, or the place of the one element of a list that ``id=X`` means."""
    if isinstance(node, list):
        name, _, wanted = part.partition("=")
        places = [
            index for index, each in enumerate(node)
            if isinstance(each, Mapping) and word(each.get(name)) == wanted
        ]  # fmt: skip
        if len(places) != 1:
            raise EditError(f"{len(places)} elements have {part}, one expected")
        return places[0]
    if not isinstance(node, Mapping):
        raise EditError(f"{part} is looked for in what holds no keys")
    return part


def _names(holder: Any) -> Sequence[Any]:
    return range(len(holder)) if isinstance(holder, list) else list(holder)


def _get(holder: Any, name: Any) -> Any:
    return holder[name] if name in _names(holder) else None


def _put(holder: Any, name: Any, value: Any) -> None:
    if value is None:
        del holder[name]
    else:
        holder[name] = value


def _read_yaml(text: str) -> Any:
    loader = YAML(typ="safe", pure=True)
    # As the services' own library reads it, so that "no" is what they take it for.
    loader.version = (1, 1)
    try:
        return loader.load(text)
    except DuplicateKeyError as error:
        mark = error.problem_mark
        raise EditError(f"a key is there twice (line {mark.line + 1 if mark else '?'})") from None
    except (YAMLError, ValueError, RecursionError):
        raise EditError("is not sound YAML") from None


def _write_yaml(text: str, key: Place, value: Any) -> str:
    node: Node = YAML(typ="safe", pure=True).compose(StringIO(text))
    for depth, part in enumerate(key):
        pair = _pair(node, part)
        if pair is None:
            if value is None or depth < len(key) - 1 or not isinstance(node, MappingNode):
                raise EditError(f"there is no key {'.'.join(key[: depth + 1])}")
            return _inserted(text, node, f"{part}: {_yaml(value)}")
        name, node = pair
    if value is None:
        return _without_lines(text, name, node)
    if not isinstance(node, ScalarNode):
        raise EditError("holds more than one value")
    return text[: node.start_mark.index] + _yaml(value) + text[node.end_mark.index :]


def _pair(node: Node, part: str) -> tuple[Node, Node] | None:
    if isinstance(node, SequenceNode):
        name, _, wanted = part.partition("=")
        for each in node.value:
            found = _pair(each, name) if isinstance(each, MappingNode) else None
            if found is not None and found[1].value == wanted:
                return each, each
        return None
    pairs = node.value if isinstance(node, MappingNode) else []
    return next(((name, value) for name, value in pairs if name.value == part), None)


def _inserted(text: str, node: MappingNode, line: str) -> str:
    """A new member, in a line of its own before the first of its siblings."""
    if node.flow_style or not node.value:
        raise EditError("has no line to put a new key beside")
    first = node.value[0][0].start_mark
    at = text.rfind("\n", 0, first.index) + 1
    if text[at : first.index].strip():
        # The element of a list begins with its dash: the new line goes after the first member.
        at = text.find("\n", first.index) + 1
    return f"{text[:at]}{' ' * first.column}{line}\n{text[at:]}"


def _without_lines(text: str, name: Node, value: Node) -> str:
    start = text.rfind("\n", 0, name.start_mark.index) + 1
    if text[start : name.start_mark.index].strip():
        raise EditError("does not stand in lines of its own")
    # A block ends where the next key begins, after the comments between them, which stay.
    end = text.rstrip().find("\n", _last(value)) + 1 or len(text)
    return text[:start] + text[end:]


def _last(node: Node) -> int:
    """Where the last scalar of a node ends."""
    if isinstance(node, ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _last(last[1] if isinstance(last, tuple) else last)


def _yaml(value: Any) -> str:
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and _read_yaml(value) == value
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return word(value)


def _read_toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise EditError("is not sound TOML, or a key is there twice") from None


def _write_toml(text: str, key: Place, value: Any) -> str:
    *tables, name = key
    lines, here, end = text.splitlines(keepends=True), [], None
    for number, line in enumerate(lines):
        if head := _TOML_HEAD.fullmatch(line.rstrip("\r\n")):
            here = [part.strip().strip("\"'") for part in head[1].split(".")]
        found = _TOML_LINE.fullmatch(line.rstrip("\r\n"))
        if here == tables and line.strip():
            end = number + 1
        if here == tables and found and found[2] == name:
            rest = line[len(line.rstrip("\r\n")) :]
            lines[number] = "" if value is None else f"{found[1]}{_toml(value)}{found[4]}{rest}"
            return "".join(lines)
    if value is None or (end is None and tables):
        raise EditError(f"{'.'.join(key)} does not stand in a line of its own")
    lines.insert(end or 0, f"{name} = {_toml(value)}\n")
    return "".join(lines)


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else word(value)


def _read_env(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        said = _ASSIGNMENT.fullmatch(line)
        if said is None:
            raise EditError("holds a line that is no NAME=value")
        if said[2] in found:
            raise EditError(f"{said[2]} is there twice")
        found[said[2]] = _unquoted(said[3])
    return found


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def _write_env(text: str, key: Place, value: Any) -> str:
    (name,) = key
    said = "" if value is None else word(value)
    if re.search(r"[\r\n\"'#$\\]", said):
        raise EditError("a value in an env file holds no quotes, '#', '$' and line ends")
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        bare = line.rstrip("\r\n")
        found = _ASSIGNMENT.fullmatch(bare)
        if found and found[2] == name and not bare.lstrip().startswith("#"):
            quote = found[3][:1] if found[3][:1] in ("'", '"') else '"' if " " in said else ""
            made = f"{found[1]}{quote}{said}{quote}{found[4]}{line[len(bare) :]}"
            lines[number] = "" if value is None else made
            return "".join(lines)
    before = text if not text or text.endswith("\n") else text + "\n"
    return f"{before}{name}={said}\n" if " " not in said else f'{before}{name}="{said}"\n'


_FORMS: Final[Mapping[str, tuple[Callable[[str], Any], Callable[[str, Place, Any], str]]]] = {
    "yaml": (_read_yaml, _write_yaml),
    "toml": (_read_toml, _write_toml),
    "env": (_read_env, _write_env),
}
