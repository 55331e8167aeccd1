"""Results: numbers by measure and program, as a table with budgets and ratios, and as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOM = "controlroom"


@dataclass(frozen=True, slots=True)
class Measure:
    id: str
    title: str
    unit: str
    budget: float | None = None
    """Not more than this; None for a number without a budget."""


@dataclass
class Results:
    """Everything measured in one run of the bench."""

    measures: list[Measure] = field(default_factory=list)
    numbers: dict[tuple[str, str], float] = field(default_factory=dict)
    """By measure and program."""
    notes: list[str] = field(default_factory=list)

    def put(self, measure: Measure, program: str, value: float) -> None:
        if measure not in self.measures:
            self.measures.append(measure)
        self.numbers[measure.id, program] = value

    def within_budget(self, measure: Measure) -> bool | None:
        """None when there is no budget or no number."""
        value = self.numbers.get((measure.id, ROOM))
        return None if value is None or measure.budget is None else value <= measure.budget

    def text(self) -> str:
        """The table. The last column is the room against the best of its peers: below 1 is better."""
        programs = list(dict.fromkeys(program for _, program in self.numbers if program != ROOM))
        head = ["measure", "unit", "budget", ROOM, "", *programs, "room / best peer"]
        rows = [head]
        for measure in self.measures:
            value = self.numbers.get((measure.id, ROOM))
            peers = [self.numbers.get((measure.id, program)) for program in programs]
            best = min((peer for peer in peers if peer), default=None)
            sign = {None: "", True: "ok", False: "OVER"}[self.within_budget(measure)]
            ratio = "" if value is None or best is None else f"{value / best:.2f}"
            budget = "" if measure.budget is None else _number(measure.budget)
            cells = [measure.title, measure.unit, budget, _number(value), sign]
            rows.append([*cells, *map(_number, peers), ratio])
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(
                c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))
            )
            for r in rows
        ]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *self.notes])

    def write(self, path: Path) -> None:
        """The same as JSON, with the machine it was measured on."""
        data: dict[str, Any] = {
            "machine": {"python": platform.python_version(), "system": platform.platform()},
            "notes": self.notes,
            "measures": [
                {
                    "id": measure.id,
                    "title": measure.title,
                    "unit": measure.unit,
                    "budget": measure.budget,
                    "within_budget": self.within_budget(measure),
                    "values": {
                        program: round(value, 3)
                        for (ident, program), value in self.numbers.items()
                        if ident == measure.id
                    },
                }
                for measure in self.measures
            ],
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(data, indent=2) + "\n")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered) + 0.5) - 1))]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
