"""One outside value to one typed value, or the reason why not. Nothing here ever makes up a value.

``bytes`` is text as a source gave it, without a type: digits in it may be a number and ``true`` a flag.
``str``, ``int``, ``float`` and ``bool`` come from a typed answer (JSON), so the text ``"true"`` is no flag;
but ``"12.50"`` is a number, because exact decimals travel as text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from backends.model.fact import Value, ValueType
from backends.model.row import without_wrapper
from backends.model.safetext import SafeText

LARGEST: Final = 2**63 - 1
"""Whole numbers beyond this are no reading of anything the room watches."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_MILLISECONDS: Final = 1e11
"""Epoch numbers from here on are milliseconds: as seconds they would lie beyond the year 5000."""
_EXCERPT: Final = 40


class MisfitError(Exception):
    """A value is not what the fact expects. The message says what it is, in a few plain words."""


class NothingError(Exception):
    """The source said that there is no such value (null)."""


def coerce(kind: ValueType, raw: Any) -> Value:
    """``raw`` as a value of ``kind``; TABLE is not made here. Raises MisfitError."""
    return _COERCE[kind](raw)


def excerpt(raw: object) -> str:
    """A short quotation of outside text for a reason; safe once the reason is a SafeText."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)
    return repr(text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…")


def kind_of(raw: object) -> str:
    """What an outside value is, as a reason names it."""
    if isinstance(raw, bool):
        return f"is {str(raw).lower()}"
    if isinstance(raw, (int, float)):
        return "is a number"
    if isinstance(raw, (str, bytes)):
        return f"is {excerpt(raw)}" if raw.strip() else ("is empty" if not raw else "is blank")
    if isinstance(raw, dict):
        return "is an object"
    return "is a list" if isinstance(raw, (list, tuple)) else "is of no kind known here"


def list_in(raw: Any) -> list[Any]:
    """The list ``raw`` is. Raises MisfitError: what is empty without being one is not "none of them"."""
    if not isinstance(raw, list):
        raise MisfitError("is null, a list expected" if raw is None else f"{kind_of(raw)}, a list expected")
    return raw


def decode(raw: bytes) -> str:
    """The text of ``raw``. Raises MisfitError when it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise MisfitError(f"is not UTF-8 text: {excerpt(raw[: 4 * _EXCERPT])}") from None


def parse_json(raw: bytes) -> Any:
    """The JSON in ``raw``, read strictly: no NaN, no infinity, no member twice. Raises MisfitError."""
    if not raw.strip():
        raise MisfitError("is empty")
    try:
        return _STRICT.decode(decode(raw))
    except (ValueError, RecursionError):
        raise MisfitError("not JSON") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MisfitError(f"not JSON: member {excerpt(twice)} is there twice")
    return members


def _no_constant(name: str) -> Any:
    raise MisfitError(f"not JSON: holds {name}")


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
"""Made once: to make it costs as much as to read a short answer with it."""


def _text(raw: Any) -> SafeText:
    text = decode(raw) if isinstance(raw, bytes) else raw
    if not isinstance(text, str) or not text.strip():
        raise MisfitError(f"{kind_of(raw)}, text expected")
    return SafeText(text)


def number_in(raw: Any) -> int | float:
    """The finite number ``raw`` is or spells. Raises MisfitError."""
    found = _number(raw)
    if found is None or (isinstance(found, float) and math.isnan(found)):
        raise MisfitError(f"{kind_of(raw)}, a number expected")
    if abs(found) > LARGEST if isinstance(found, int) else math.isinf(found):
        raise MisfitError("is too large a number")
    return found


def _number(raw: Any) -> int | float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, (int, float)):
        return raw
    if not isinstance(raw, (str, bytes)):
        return None
    text = (without_wrapper(decode(raw).strip()) if isinstance(raw, bytes) else raw).strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else None


def _int(raw: Any) -> int:
    number = number_in(raw)
    if isinstance(number, float):
        if not number.is_integer():
            raise MisfitError(f"is {number:g}, a whole number expected")
        if abs(number) > LARGEST:
            raise MisfitError("is too large a number")
    return int(number)


def count_in(raw: Any) -> int:
    """The whole number, zero or more, that ``raw`` is or spells. Raises MisfitError."""
    number = _int(raw)
    if number < 0:
        raise MisfitError(f"is {number}, a count cannot be negative")
    return number


def _bool(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, bytes):
        found = _FLAGS.get(decode(raw).strip().lower())
        if found is not None:
            return found
    raise MisfitError(f"{kind_of(raw)}, true or false expected")


def _time(raw: Any) -> float:
    number = _number(raw)
    if number is not None:
        at = number_in(raw)
        return _plausible(at / 1000 if abs(at) >= _MILLISECONDS else float(at), raw)
    if not isinstance(raw, (str, bytes)):
        raise MisfitError(f"{kind_of(raw)}, a time expected")
    text = (decode(raw) if isinstance(raw, bytes) else raw).strip()
    try:
        moment = datetime.fromisoformat(text)
        # A time without a zone is UTC: that is what the platforms' own clocks write.
        at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise MisfitError(f"{kind_of(raw)}, a time expected") from None
    return _plausible(at, raw)


def _plausible(at: float, raw: Any) -> float:
    if not _EARLIEST <= at <= _LATEST:
        said = f"is {excerpt(raw)}" if isinstance(raw, (str, bytes)) else f"is {raw:g}"
        raise MisfitError(f"{said}, not a time of this century")
    return at


def _table(raw: Any) -> Value:
    raise MisfitError(f"{kind_of(raw)}, a list expected")


_COERCE: Final[dict[ValueType, Callable[[Any], Value]]] = {
    ValueType.TEXT: _text,
    ValueType.INT: _int,
    ValueType.FLOAT: lambda raw: float(number_in(raw)),
    ValueType.BOOL: _bool,
    ValueType.TIME: _time,
    ValueType.COUNT: count_in,
    ValueType.TABLE: _table,
}
