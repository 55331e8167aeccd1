"""Members of a JSON object set to other values, and nothing else of it changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from backends.model.safetext import SafeText


class PatchError(Exception):
    """The object cannot be changed. The message says why."""


def patched(
    raw: bytes, members: Mapping[str, Any], elapsed: Mapping[str, str], if_null: Sequence[str], now: str
) -> str:
    """The text of the object in ``raw`` with ``members`` set; ``a.b`` is a member of the object ``a``.

    ``elapsed`` sets members to the whole seconds from the time another member says to ``now`` (ISO 8601),
    never less than 0. Raises PatchError when it is no object, and when a member of ``if_null`` holds
    something.
    """
    try:
        found = json.loads(raw, object_pairs_hook=_object, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise PatchError("holds no JSON") from None
    if not isinstance(found, dict):
        raise PatchError("holds no JSON object")
    for name in if_null:
        if found.get(name) is not None:
            raise PatchError(f"{name} is {SafeText(found[name], 60)} already")
    for name, other in elapsed.items():
        found[name] = _seconds(other, found.get(other), now)
    for name, value in members.items():
        _put(found, name, value)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _put(node: dict[str, Any], name: str, value: Any) -> None:
    *outer, last = name.split(".")
    for part in outer:
        inner = node.get(part)
        if not isinstance(inner, dict):
            raise PatchError(f"{part} is no object")
        node = inner
    node[last] = value


def _seconds(name: str, since: Any, now: str) -> int:
    try:
        begun, ended = datetime.fromisoformat(str(since)), datetime.fromisoformat(now)
        return max(int((ended - begun).total_seconds()), 0)
    except (ValueError, TypeError):
        raise PatchError(f"{name} says no time with a zone") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _refused(name: str) -> Any:
    raise ValueError(name)
