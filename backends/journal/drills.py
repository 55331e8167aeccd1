"""When each procedure was last practised: the newest lines that ``controlroom drill`` has kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from backends.model.alarm import Alarm, Priority
from backends.model.clock import Instant
from backends.model.procedure import Procedure, Step
from backends.model.safetext import SafeText

DUE: Final = 31 * 86_400.0
"""Seconds after which a way of a halt must have been practised again."""

RECORDS: Final = "drills.jsonl"
"""The file in the state folder, one JSON object a line, oldest first."""

PRACTICE: Final = "drills"
"""What an alarm about a missing drill is about: nothing that runs."""

_PROVED: Final = ("VERIFIED", "ALREADY")
_TAIL: Final = 256 * 1024
"""Bytes of its end that are read."""


class Drilled(Struct, frozen=True):
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
        self._proved: Mapping[tuple[str, str, int], float] = {}
        self.is_loaded = False

    def load(self) -> None:
        """Read the records anew. Blocks for the time of one small read; a file that cannot be read is as
        good as none, because a drill that nobody can show was not held."""
        self.is_loaded = True
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
        proved: dict[tuple[str, str, int], float] = {}
        for line in lines:
            record = _record(line)
            drilled = None if record is None else _drilled(record)
            if record is not None and drilled is not None:
                name = str(record.get("stack")), str(record.get("procedure"))
                found[name] = drilled
                rung = record.get("rung")
                if drilled.verdict in _PROVED and isinstance(rung, int):
                    proved[*name, rung] = drilled.at
        self._last, self._proved = found, proved

    def last(self, stack: str, procedure: str) -> Drilled | None:
        """The last drill of it; None when none is on record."""
        return self._last.get((stack, procedure))

    def undrilled(self, stack: str, procedure: Procedure, now: float) -> list[int]:
        """The ways of a stop, from 1, whose last proved drill is older than ``DUE`` at ``now`` (epoch s)."""
        return [
            way for way in _ways(procedure) if now - self._proved.get((stack, procedure.id, way), 0.0) > DUE
        ]


def _ways(procedure: Procedure) -> list[int]:
    """Those to any of its targets that a drill can tell apart. What is sent at once with the way before, and
    proved by the same, is no way of its own: nobody could say which of the two it was."""
    ways = set()
    before: dict[str, list[Step]] = {}
    for step in procedure.steps:
        if step.unless:
            continue
        steps = before.setdefault(step.target, [])
        steps.append(step)
        is_beside = step.after == 0 and len(steps) > 1 and steps[-2].proof == step.proof
        if not is_beside:
            ways.add(len(steps))
    return sorted(ways)


def overdue(stack: str, procedure: Procedure, rungs: list[int], since: Instant) -> Alarm:
    """That these ways of a stop were not practised lately."""
    ways = ", ".join(map(str, rungs))
    return Alarm(
        f"undrilled-{procedure.id}",
        Priority.HIGH,
        SafeText(f"Not drilled for a month: {procedure.title}, way {ways}", 300),
        SafeText("no drill of it that was proved by this way is on record on this host"),
        SafeText("whether this way works is only found out when it is needed"),
        SafeText(
            f"Practise it: `controlroom drill --stack {stack} {procedure.id}`; with `--fault` for later ways."
        ),
        since,
        PRACTICE,
    )


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
