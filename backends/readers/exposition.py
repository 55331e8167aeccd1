"""Samples in the Prometheus text format, and the one a fact's ``pick`` names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from backends.readers.coerce import MisfitError, decode, excerpt
from backends.readers.extract import Rows

# No blank is ever given back (``+`` after a quantifier): of a line of blanks all ways to share them out would
# be tried, for hours, and Python's engine holds every thread.
_LABEL: Final = r'[a-zA-Z_][a-zA-Z0-9_]*+\s*+=\s*+"(?:[^"\\]|\\.)*"'
_SELECTOR: Final = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*+)"
    rf"(?:\s*+\{{\s*+(?P<labels>{_LABEL}(?:\s*+,\s*+{_LABEL})*\s*+,?)?\s*+\}})?"
)
_SAMPLE: Final = re.compile(rf"{_SELECTOR.pattern}\s++(?P<value>\S++)(?:\s++-?[0-9]++)?\s*+")
_PAIR: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPES: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: str


def samples(body: bytes) -> list[Sample]:
    """Every sample of ``body``. Raises MisfitError when a line is none: half an answer is no answer."""
    found = []
    for number, line in enumerate(decode(body).split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _SAMPLE.fullmatch(text)
        if match is None:
            raise MisfitError(f"line {number} is not Prometheus text")
        found.append(Sample(match["name"], _labels(match["labels"]), match["value"]))
    if not found:
        raise MisfitError("holds no Prometheus sample")
    return found


def matching(found: Sequence[Sample], pick: str | None) -> Rows:
    """The series that ``pick`` names: ``metric`` or ``metric{label="value"}``, any other labels allowed.

    One row a series: its labels and its ``value``. One without labels has only the value.
    """
    selector = _SELECTOR.fullmatch(pick.strip()) if pick else None
    if selector is None:
        raise MisfitError(f"{excerpt(pick or '')} names no metric")
    wanted = _labels(selector["labels"])
    rows = [
        {**sample.labels, "value": sample.value}
        for sample in found
        if sample.name == selector["name"] and wanted.items() <= sample.labels.items()
    ]
    return Rows(rows, len(rows))


def _labels(text: str | None) -> dict[str, str]:
    return {
        name: re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), value)
        for name, value in _PAIR.findall(text or "")
    }
