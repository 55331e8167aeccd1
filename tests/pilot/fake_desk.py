"""Stands for a stack's ``CheckDesk``: answers are put in by hand, confirmations are kept in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from backends.checks.desk import NotWrittenError
from backends.model.check import Check, Checklist, ChecklistItem, Diagnosis
from backends.model.condition import Condition
from backends.model.examination import Answer, Attested, Examined, key_of
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.weigh import Standing, Weighed
from tests.clock import FakeClock

_ACTIVE = Condition("1", "kill.state", "Find out who halted.", equals=("ACTIVE",))
_FEW = Condition("1", "orders.open", "Look at the list.", at_most=10)
_ENGAGED = Condition("1", "kill.state", "A script.", equals=("ENGAGED",))

CHECKS = {
    it.id: it
    for it in (
        Check("kill-active", "The kill switch allows trading", "Safety", (_ACTIVE,), "Find out who halted.",
              procedure="halt", section="The kill switch", runbook=("PM-5",)),
        Check("orders-few", "Few orders are open", "Orders", (_FEW,), "Look at the list of open orders.",
              note="Dry-run orders are not counted."),
    )
}  # fmt: skip
CHECKLISTS = {
    "pre-market": Checklist(
        "pre-market",
        "Pre-market check",
        "every trading day before 09:30",
        (
            ChecklistItem("kill", check="kill-active"),
            ChecklistItem("calendar", attest="I read the calendar."),
        ),
        zone="America/New_York",
    )
}
DIAGNOSES = {
    "script": Diagnosis("script", "A script halted trading", (_ENGAGED,), "The nightly script engages it.",
                        "Ask who runs it.", service="orchestrator", procedure="halt"),
    "orders": Diagnosis("orders", "Orders pile up", (_FEW,), "Runs overlap.", "Look at the runs.",
                        service="orchestrator"),
}  # fmt: skip

_STANDINGS = {
    Answer.YES: Standing.HOLDS,
    Answer.NO: Standing.FAILS,
    Answer.UNKNOWN: Standing.UNKNOWN,
}


class FakeDesk:
    """What is examined answers as ``answers`` say, YES if they say nothing."""

    def __init__(self, clock: FakeClock) -> None:
        self.results: dict[str, Examined] = {}
        self.running: frozenset[str] = frozenset()
        self.attested: dict[tuple[str, str], Attested] = {}
        self.answers: dict[str, Answer] = {}
        self.texts: dict[Answer, str] = {
            Answer.YES: "reads ACTIVE", Answer.NO: "reads ENGAGED", Answer.UNKNOWN: "not readable: refused",
        }  # fmt: skip
        self.examined: list[str] = []
        self.there: dict[str, Reading[Any]] = {}
        self.looked: dict[str, Reading[Any]] = {}
        self.is_journal_broken = False
        self._clock = clock

    def examine(self, wanted: Sequence[Check | Diagnosis]) -> Future[Any]:
        now = self._clock.now()
        for it in wanted:
            key = key_of(it)
            answer = self.answers.get(key, Answer.YES)
            weighed = tuple(
                Weighed(demand, _STANDINGS[answer], SafeText(self.texts[answer]), 0.2)
                for demand in it.demands
            )
            self.results[key] = Examined(key, answer, weighed, now)
            self.examined.append(key)
        return _done(self.results)

    def diagnose(self, service: str) -> Future[Any]:
        return self.examine([it for it in DIAGNOSES.values() if it.service == service])

    def look(self, facts: Iterable[str]) -> None:
        """What is asked for is there at the next redraw, if a test has put it into ``there``."""
        self.looked |= {name: self.there[name] for name in facts if name in self.there}

    def read_journal(self) -> Future[Any]:
        return _done(self.attested)

    def attest(self, checklist: str, item: str, via: str) -> Future[Any]:
        if self.is_journal_broken:
            future: Future[Any] = Future()
            future.set_exception(NotWrittenError("the disk is full"))
            return future
        self.attested[checklist, item] = Attested("kim", self._clock.now().wall)
        return _done(self.attested)

    def reset(self, checklist: str, via: str) -> Future[Any]:
        self.attested = {key: it for key, it in self.attested.items() if key[0] != checklist}
        return _done(self.attested)


def _done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future
