"""When each procedure was last practised: the newest lines that ``controlroom drill`` has kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

RECORDS: Final = "drills.jsonl"
"""The file in the state folder, one JSON object a line, oldest first."""

_TAIL: Final = 256 * 1024
"""Bytes of its end that are read."""


@dataclass(frozen=True, slots=True)
class Drilled:
    """The last drill of one procedure."""

    at: float
    """Epoch seconds."""
    verdict: str
    seconds: float | None
    """From the decision to the verdict."""


class DrillBook:
    """The last drills, as of the last ``load``."""

    def __init__(self, folder: Path | None) -> None:
        """``folder`` is the state folder; without one no drill is known."""
        self._file = None if folder is None else folder / RECORDS
        self._last: Mapping[tuple[str, str], Drilled] = {}

    def load(self) -> None:
        """Read the records anew. Blocks for the time of one small read; a file that cannot be read is as
        good as none, because a drill that nobody can show was not held."""
        if self._file is None:
            return
        try:
            with self._file.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL))
                lines = file.read().splitlines()
        except OSError:
            lines = []
        found: dict[tuple[str, str], Drilled] = {}
        for line in lines:
            record = _record(line)
            drilled = None if record is None else _drilled(record)
            if record is not None and drilled is not None:
                found[str(record.get("stack")), str(record.get("procedure"))] = drilled
        self._last = found

    def last(self, stack: str, procedure: str) -> Drilled | None:
        """The last drill of it; None when none is on record."""
        return self._last.get((stack, procedure))


def _record(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _drilled(record: Mapping[str, Any]) -> Drilled | None:
    try:
        at = datetime.fromisoformat(str(record["at"])).timestamp()
    except (KeyError, ValueError):
        return None
    seconds = record.get("seconds")
    return Drilled(at, str(record.get("verdict")), seconds if isinstance(seconds, float) else None)
