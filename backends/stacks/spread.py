"""Rows that a stack file writes once for many services: what each is asked, what the doctor looks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from backends.stacks.toml_file import TomlFile
from backends.stacks.toml_lines import Place

_TABLES: Final = ("fact", "diagnosis")
_OWN: Final = ("per", "but")
"""Keys that are no part of the row itself."""


def spread(file: TomlFile) -> TomlFile:
    """The file with each row that says ``per`` once for every service it is for, in the row's place:
    ``%{service}`` in any of its texts is that one's name, ``%{port}`` its port.

    ``per`` is ``service``, ``port`` (those that have one) or a list of names, ``but`` leaves some out. Raises
    ConfigError for another word; what is no row at all is left for the decoder to refuse.
    """
    if "per =" not in file.text:
        return file
    services = [row for row in file.tree.get("service", ()) if isinstance(row, dict)]
    tree, origins = dict(file.tree), _by_row(file.origins)
    for table in _TABLES:
        rows = [
            (before, made)
            for before, row in enumerate(tree.get(table, ()))
            for made in _each(file, (table, before), row, services)
        ]
        written = {before: origins.pop((table, before), {}) for before, _ in rows}
        for now, (before, _) in enumerate(rows):
            moved = {(table, now): (table, before)} | {
                (table, now, *place[2:]): at for place, at in written[before].items()
            }
            origins[table, now] = moved
        tree[table] = [row for _, row in rows]
    return replace(
        file, tree=tree, origins={place: at for part in origins.values() for place, at in part.items()}
    )


def _by_row(origins: Mapping[Place, Place]) -> dict[Place, dict[Place, Place]]:
    parts: dict[Place, dict[Place, Place]] = defaultdict(dict)
    for place, at in origins.items():
        parts[place[:2]][place] = at
    return parts


def _each(file: TomlFile, place: Place, row: Any, services: list[dict[str, Any]]) -> list[Any]:
    if not isinstance(row, dict) or "per" not in row:
        return [row]
    match row["per"]:
        case "service":
            chosen = services
        case "port":
            chosen = [service for service in services if "port" in service]
        case list(names):
            chosen = [{"name": name} for name in names]
        case _:
            raise file.error((*place, "per"), "expected service, port or a list of names")
    but = row.get("but", [])
    if not isinstance(but, list):
        raise file.error((*place, "but"), "expected a list of names")
    plain = {key: value for key, value in row.items() if key not in _OWN}
    return [
        _said(plain, {"%{service}": str(service.get("name")), "%{port}": str(service.get("port"))})
        for service in chosen
        if service.get("name") not in but
    ]


def _said(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _said(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_said(inner, words) for inner in value]
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace(name, word)
    return value
