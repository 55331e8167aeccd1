"""The generations of a stack: overlays of one file, laid over what the file says by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from msgspec import to_builtins
from msgspec.structs import replace

from backends.model.stack import Generation
from backends.stacks import schema
from backends.stacks.naming import Complaint, known
from backends.stacks.toml_file import TomlFile
from backends.stacks.toml_lines import Place

_KEYS: Final = ("id", "name")
"""What tells the tables of a list apart. A list whose tables have neither is replaced as a whole."""
_NAME: Final = re.compile(r"%\{([a-z_]+)\}")
_PARTS: Final = {"procedure": "step", "checklist": "item"}
"""Lists inside tables of which single ones may be dropped."""
_OWN: Final = ("title", "present", "any_of", "absent", "project", "drop")
"""Keys of a variant that are no overlay."""


def variants(spec: schema.StackFile) -> Iterator[Complaint]:
    """What cannot be meant about the generations themselves."""
    if (spec.stack.variant is None) != (not spec.variant):
        yield ("stack", "variant"), "goes with [variant.NAME], and those need it"
    if spec.stack.variant is not None and (why := known(spec.stack.variant, spec.variant, "variant")):
        yield ("stack", "variant"), why
    if spec.variant and all(source.kind != "docker" for source in spec.source.values()):
        yield ("variant",), "needs a source of kind docker: generations are told apart by their containers"
    for name, variant in spec.variant.items():
        if not (variant.present or variant.any_of):
            yield ("variant", name), "expected present or any_of: containers by which it is known"
        is_empty = not any(to_builtins(variant)[key] for key in to_builtins(variant) if key not in _OWN)
        if name == spec.stack.variant and not (is_empty and not variant.drop):
            yield ("variant", name), "is what the file describes by itself; expected no overlay"


def generation(spec: schema.StackFile, name: str) -> Generation:
    """How the variant of that name is known."""
    found = spec.variant[name]
    return Generation(
        id=name,
        title=found.title,
        present=tuple(found.present),
        any_of=tuple(found.any_of),
        absent=tuple(found.absent),
        project=found.project,
    )


def overlaid(file: TomlFile, name: str) -> TomlFile:
    """The file as that generation has it: same text, same lines; names are not yet replaced.

    Raises ConfigError.
    """
    place: Place = ("variant", name)
    table = file.tree["variant"][name]
    origins: dict[Place, Place] = {}
    base = _without(file, (*place, "drop"), table.get("drop", ()), origins)
    overlay = {key: value for key, value in table.items() if key not in _OWN}
    return TomlFile(file.path, _merged(base, overlay, (), place, origins), file.text, origins)


def named(file: TomlFile) -> TomlFile:
    """The file with ``%{NAME}`` in any text replaced by what ``[names]`` says. Raises ConfigError."""
    if "%{" not in file.text:
        return file  # a walk through all of it is a tenth of what reading it takes
    names = file.tree.get("names", {})
    tree = {
        key: value if key in ("names", "variant") else _said(file, names, value, (key,))
        for key, value in file.tree.items()
    }
    return replace(file, tree=tree)


def _said(file: TomlFile, names: Any, value: Any, at: Place) -> Any:
    if isinstance(value, dict):
        return {key: _said(file, names, inner, (*at, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_said(file, names, inner, (*at, index)) for index, inner in enumerate(value)]
    if not isinstance(value, str) or "%{" not in value:
        return value
    for name in _NAME.findall(value):
        if not isinstance(names, dict) or not isinstance(names.get(name), str):
            raise file.error(at, f"%{{{name}}} is no name of [names]")
    return _NAME.sub(lambda found: str(names[found[1]]), value)


def _without(file: TomlFile, at: Place, drops: list[str], origins: dict[Place, Place]) -> dict[str, Any]:
    """What stands outside the variants, less what is dropped; the rows that move up are noted."""
    made = {key: value for key, value in file.tree.items() if key != "variant"}
    gone: dict[str, dict[str, set[str]]] = {}
    for number, text in enumerate(drops):
        table, _, path = text.partition(":")
        name, _, part = path.partition("/")
        there = made.get(table, {})
        items = there if isinstance(there, dict) else {_key(item): item for item in there}
        inner = items.get(name, {}).get(_PARTS.get(table, ""), ()) if part else ()
        if name not in items or (part and part not in map(_key, inner)):
            raise file.error((*at, number), f"{text!r}: there is no such {table or 'table'}")
        gone.setdefault(table, {}).setdefault(name, set()).add(part)
    for table, names in gone.items():
        # An empty part means the whole of it.
        whole = {name for name, parts in names.items() if "" in parts}
        made[table] = _less(made[table], (table,), whole, origins)
        for index, row in enumerate(made[table] if isinstance(made[table], list) else ()):
            if parts := names.get(_key(row) or ""):
                inner, written = _PARTS[table], origins[(table, index)]
                kept = _less(row[inner], (table, index, inner), parts, origins, (*written, inner))
                made[table][index] = row | {inner: kept}
    return made


def _less(
    rows: Any, at: Place, gone: set[str], origins: dict[Place, Place], written: Place | None = None
) -> Any:
    """``rows`` without those of these names; where in the text each of the others stands is noted."""
    if isinstance(rows, dict):
        return {key: item for key, item in rows.items() if key not in gone}
    kept = [(index, row) for index, row in enumerate(rows) if _key(row) not in gone]
    origins.update({(*at, now): (*(written or at), before) for now, (before, _) in enumerate(kept)})
    return [row for _, row in kept]


def _merged(
    base: dict[str, Any], over: dict[str, Any], at: Place, over_at: Place, origins: dict[Place, Place]
) -> dict[str, Any]:
    """``base`` with ``over`` laid over it; ``origins`` learns where in the text each part now stands."""
    made = dict(base)
    for key, value in over.items():
        under = made.get(key)
        # A table that says its kind is another thing, not a change of the one there is.
        if isinstance(value, dict) and isinstance(under, dict) and "kind" not in value:
            made[key] = _merged(under, value, (*at, key), (*over_at, key), origins)
        elif _is_named(value) and _is_named(under):
            made[key] = _rows(under, value, (*at, key), (*over_at, key), origins)
        else:
            made[key] = value
            origins[(*at, key)] = (*over_at, key)
    return made


def _rows(
    base: list[Any], over: list[Any], at: Place, over_at: Place, origins: dict[Place, Place]
) -> list[Any]:
    made = list(base)
    where = {_key(item): index for index, item in enumerate(base)}
    for number, item in enumerate(over):
        index = where.get(_key(item))
        if index is None:
            origins[(*at, len(made))] = (*over_at, number)
            made.append(item)
        else:
            made[index] = _merged(base[index], item, (*at, index), (*over_at, number), origins)
    return made


def _is_named(value: Any) -> TypeGuard[list[Any]]:
    """Whether it is a list of tables that can be told apart."""
    return isinstance(value, list) and bool(value) and all(_key(item) is not None for item in value)


def _key(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    return next((item[key] for key in _KEYS if isinstance(item.get(key), str)), None)
