"""The generations of a stack: overlays of one file, laid over what the file says by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from msgspec import to_builtins

from backends.model.stack import Generation
from backends.stacks import schema
from backends.stacks.naming import Complaint, known
from backends.stacks.toml_file import TomlFile
from backends.stacks.toml_lines import Place

_KEYS: Final = ("id", "name")
"""What tells the tables of a list apart. A list whose tables have neither is replaced as a whole."""
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
    """The file as that generation has it: same text, same lines. Raises ConfigError."""
    place: Place = ("variant", name)
    table = file.tree["variant"][name]
    origins: dict[Place, Place] = {}
    base = _without(file, (*place, "drop"), table.get("drop", ()), origins)
    overlay = {key: value for key, value in table.items() if key not in _OWN}
    return TomlFile(file.path, _merged(base, overlay, (), place, origins), file.text, origins)


def _without(file: TomlFile, at: Place, drops: list[str], origins: dict[Place, Place]) -> dict[str, Any]:
    """What stands outside the variants, less what is dropped; the rows that move up are noted."""
    made = {key: value for key, value in file.tree.items() if key != "variant"}
    for number, text in enumerate(drops):
        table, _, name = text.partition(":")
        there = file.tree.get(table, {}) if table != "variant" else {}
        names = list(there) if isinstance(there, dict) else [_key(item) for item in there]
        if name not in names:
            raise file.error((*at, number), f"{text!r}: there is no such {table or 'table'}")
    for table in {text.partition(":")[0] for text in drops}:
        gone = {text.partition(":")[2] for text in drops if text.startswith(f"{table}:")}
        if isinstance(made[table], dict):
            made[table] = {name: item for name, item in made[table].items() if name not in gone}
            continue
        kept = [(index, item) for index, item in enumerate(made[table]) if _key(item) not in gone]
        made[table] = [item for _, item in kept]
        origins.update({(table, now): (table, before) for now, (before, _) in enumerate(kept)})
    return made


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
