"""A stop that was cut off is told by what is read, asked again while connections are only being made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import backends.procedures.restart as restart
from backends.journal.entry import Entry
from backends.journal.unfinished import CutOff
from backends.model.procedure import Run
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.procedures.evidence import Eyes
from tests.sim.virtual import VirtualClock, simulate
from tests.sim.world import tiny_stack

INTENT = {
    "operation": "op-1", "stack": "tiny", "procedure": "halt", "class": "stop", "at": "2026-09-21T14:13:20Z",
}  # fmt: skip
CUT = CutOff(INTENT, (), INTENT)


class Warming:
    """A server that answers like none at first, then with a word for each fact."""

    def __init__(self, failures: int, words: dict[str, str]) -> None:
        self.failures = failures
        self.words = words

    async def look(self, fact: str, _within: float) -> Reading[Any]:
        await asyncio.sleep(0.01)
        at = VirtualClock().now()
        if self.failures > 0 and fact == "kill.state":
            self.failures -= 1
            return Reading(fact, "redis", Outcome.FAILED, at, 1.0, error=SafeText("no Redis server"))
        return Reading(fact, "redis", Outcome.OK, at, 1.0, value=SafeText(self.words[fact]))


def told(monkeypatch: pytest.MonkeyPatch, verifier: Warming) -> str:
    monkeypatch.setattr(restart, "unfinished", lambda *_: [CUT])
    journal: Any = SimpleNamespace(folder=Path("/nowhere"), host="ops1")
    shown: list[Run] = []

    async def start() -> None:
        stack, clock = tiny_stack(), VirtualClock()
        eyes = Eyes(verifier, stack.facts, clock)
        await restart.reconcile(stack, eyes, journal, clock, shown.append, closes=False)

    simulate(start())
    return str(shown[0].sentence)


def words(kill: str, orchestrator: str) -> dict[str, str]:
    return {"kill.state": kill, "orchestrator.kill": orchestrator}


def test_what_cannot_be_read_at_first_is_asked_again_before_anything_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentence = told(monkeypatch, Warming(4, words("ENGAGED", "ENGAGED")))
    assert "could not be read" not in sentence
    assert "Kill switch reads ENGAGED" in sentence
    assert "could not be read" in told(monkeypatch, Warming(1000, words("ENGAGED", "ENGAGED")))


def test_a_stop_of_which_every_proof_reads_the_opposite_is_told_as_not_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begins = "NOT HALTED: not in force now; cut off at"
    assert told(monkeypatch, Warming(0, words("ACTIVE", "ACTIVE"))).startswith(begins)
    assert told(monkeypatch, Warming(0, words("ACTIVE", "ENGAGED"))).startswith("cut off at")
    assert told(monkeypatch, Warming(1000, words("ACTIVE", "ACTIVE"))).startswith("cut off at")


def test_two_rooms_that_start_at_once_both_tell_of_it_and_one_of_them_closes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A second outcome of one run would be a record of something that never was."""
    closed: list[str] = []
    monkeypatch.setattr(restart, "unfinished", lambda *_: [] if closed else [CUT])
    shown: list[Run] = []

    async def record(entry: Entry, budget: float) -> bool:
        await asyncio.sleep(budget / 2)
        closed.append(entry.operation)
        return True

    async def start() -> None:
        journal: Any = SimpleNamespace(folder=tmp_path, host="ops1", record=record)
        stack, clock = tiny_stack(), VirtualClock()
        eyes = Eyes(Warming(4, words("ENGAGED", "ENGAGED")), stack.facts, clock)
        rooms = (restart.reconcile(stack, eyes, journal, clock, shown.append, closes=True) for _ in range(2))
        await asyncio.gather(*rooms)
        await restart.reconcile(stack, eyes, journal, clock, shown.append, closes=True)

    simulate(start())
    assert (closed, [run.operation for run in shown]) == (["op-1"], ["op-1", "op-1"])
