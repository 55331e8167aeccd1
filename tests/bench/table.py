"""Results: numbers by measure and program, as a table with budgets and ratios, and as JSON."""

from __future__ import annotations

import json
import math
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOM = "controlroom"

REFERENCE = 11.7
"""Milliseconds ``python -c pass`` takes on the machine the budgets were set on."""


@dataclass(frozen=True, slots=True)
class Measure:
    id: str
    title: str
    unit: str
    budget: float | None = None
    """Not more than this, on the reference machine; None for a number without a budget."""

    @property
    def is_of_machine(self) -> bool:
        """Whether a machine half as fast shows twice the number."""
        return self.unit in ("ms", "% core")


@dataclass
class Results:
    """Everything measured in one run of the bench."""

    measures: list[Measure] = field(default_factory=list)
    numbers: dict[tuple[str, str], float] = field(default_factory=dict)
    """By measure and program."""
    notes: list[str] = field(default_factory=list)
    told: Callable[[str], None] = lambda line: None
    """Hears each number as it comes: a run takes half an hour."""
    pace: float = 1.0
    """How many times as long as the reference this machine takes to start Python."""

    def put(self, measure: Measure, program: str, value: float) -> None:
        if measure not in self.measures:
            self.measures.append(measure)
        self.numbers[measure.id, program] = value
        self.told(f"{program}: {measure.title}: {_number(value)} {measure.unit}")

    def budget_here(self, measure: Measure) -> float | None:
        """What the budget comes to at this machine's pace; a faster machine is granted no less than it."""
        if measure.budget is None or not measure.is_of_machine:
            return measure.budget
        return measure.budget * max(1.0, self.pace)

    def within(self, measure: Measure, budget: float | None) -> bool | None:
        """None when there is no budget or no number."""
        value = self.numbers.get((measure.id, ROOM))
        return None if value is None or budget is None else value <= budget

    def over(self) -> list[str]:
        """The titles of what is over its budget at this machine's pace."""
        return [it.title for it in self.measures if self.within(it, self.budget_here(it)) is False]

    def text(self) -> str:
        """The table: each budget as it was set and at this machine's pace, which is what is judged by.
        The last column is the room against the best of its peers: below 1 is better."""
        programs = list(dict.fromkeys(program for _, program in self.numbers if program != ROOM))
        head = ["measure", "unit", "budget", "here", ROOM, "", *programs, "room / best peer"]
        rows = [head]
        for measure in self.measures:
            value = self.numbers.get((measure.id, ROOM))
            peers = [self.numbers.get((measure.id, program)) for program in programs]
            best = min((peer for peer in peers if peer), default=None)
            here = self.budget_here(measure)
            sign = {None: "", True: "ok", False: "OVER"}[self.within(measure, here)]
            ratio = "" if value is None or best is None else f"{value / best:.2f}"
            budgets = ["" if each is None else _number(each) for each in (measure.budget, here)]
            cells = [measure.title, measure.unit, *budgets, _number(value), sign]
            rows.append([*cells, *map(_number, peers), ratio])
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(
                c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))
            )
            for r in rows
        ]
        pace = f"this machine takes {self.pace:.1f} times as long as the reference to start Python"
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], pace, *self.notes])

    def write(self, path: Path) -> None:
        """The same as JSON, with the machine it was measured on."""
        data: dict[str, Any] = {
            "machine": {
                "python": platform.python_version(),
                "system": platform.platform(),
                "pace": round(self.pace, 2),
            },
            "notes": self.notes,
            "measures": [
                {
                    "id": measure.id,
                    "title": measure.title,
                    "unit": measure.unit,
                    "budget": measure.budget,
                    "within_budget": self.within(measure, measure.budget),
                    "within_budget_here": self.within(measure, self.budget_here(measure)),
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
    return ordered[max(0, math.ceil(percent * len(ordered) / 100) - 1)]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
