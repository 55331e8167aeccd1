"""Putting an intent's values into a step: ``$reason`` in the stack file becomes what the operator typed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from backends.model.clock import Instant
from backends.model.intent import Intent

_NAME: Final = re.compile(r"\$(\$|[a-z_][a-z0-9_]*)")

RESERVED: Final = frozenset(
    {"now", "utc", "now_ms", "soon_ms", "unix", "operator", "reason", "details", "operation", "event"}
)
"""Names every intent has; a parameter cannot take their place."""

SOON: Final = 60.0
"""Seconds from ``$now`` until what is sent is no longer to be obeyed: ``$soon_ms``."""


def values_of(intent: Intent, now: Instant) -> dict[str, Any]:
    """The values of one run. ``$now`` is the run's start, so a retry writes the same words."""
    return {
        **intent.params,
        **times_of(now),
        "operator": intent.operator.user,
        "reason": str(intent.reason),
        "details": None,
        "operation": intent.id,
        "event": intent.id,
    }


def times_of(now: Instant) -> dict[str, Any]:
    """What names a time, by its name."""
    return {
        "now": stamp(now),
        "unix": int(now.wall),
        "utc": stamp(now).replace("+00:00", "Z"),
        "now_ms": int(now.wall * 1000),
        "soon_ms": int((now.wall + SOON) * 1000),
    }


def event_of(operation: str, step: str) -> str:
    """A UUID for what one step sends, the same however often it is sent."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"controlroom:{operation}:{step}"))


def stamp(now: Instant) -> str:
    """ISO 8601 in UTC with microseconds: ``2026-11-21T14:03:05.118233+00:00``."""
    return datetime.fromtimestamp(now.wall, UTC).isoformat(timespec="microseconds")


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """``template`` with every name replaced, at any depth.

    A text that is nothing but ``$name`` becomes the value itself, whatever its type; inside a longer
    text the value appears as text. ``$$`` is a dollar sign. Raises ValueError for a name without a value.
    """
    if isinstance(template, str):
        return _fill_text(template, values)
    if isinstance(template, Mapping):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [fill(value, values) for value in template]
    return template


def fill_known(template: str, values: Mapping[str, Any]) -> str:
    """``template`` as text, left as it is while a name in it has no value."""
    return str(fill(template, values)) if names_in(template) <= values.keys() else template


def fill_path(template: str, values: Mapping[str, Any]) -> str:
    """Like ``fill`` for a URL path, where a value is always exactly one segment or part of one."""
    return _NAME.sub(lambda found: _segment(found[1], values), template)


def names_in(template: Any) -> frozenset[str]:
    """Every name that ``template`` needs."""
    if isinstance(template, str):
        return (
            frozenset(name for name in _NAME.findall(template) if name != "$")
            if "$" in template
            else frozenset()
        )
    parts: Iterable[Any] = ()
    if isinstance(template, Mapping):
        parts = template.values()
    elif isinstance(template, (list, tuple)):
        parts = template
    return frozenset[str]().union(*(names_in(part) for part in parts))


def _fill_text(template: str, values: Mapping[str, Any]) -> Any:
    whole = _NAME.fullmatch(template)
    if whole:
        return _value(whole[1], values)
    return _NAME.sub(lambda found: str(_value(found[1], values)), template)


def _segment(name: str, values: Mapping[str, Any]) -> str:
    text = str(_value(name, values))
    if text in ("", ".", ".."):
        raise ValueError(f"${name} is {text!r}, which cannot stand in a path")
    return quote(text, safe="")


def _value(name: str, values: Mapping[str, Any]) -> Any:
    if name == "$":
        return "$"
    if name not in values:
        raise ValueError(f"the step names ${name}, which has no value")
    return values[name]
