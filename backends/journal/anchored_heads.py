"""Heads that were kept elsewhere, held against the chain as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from backends.journal.chain import Head
from backends.journal.retired import Ledger
from backends.model.anchor import Mark


class Astray(Struct, frozen=True):
    """An anchored head that the chain contradicts."""

    mark: Mark
    why: str
    """In a sentence."""


class AnchoredHeads:
    """Meets every record of the chain in its order, then says what is wrong."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        self._marks = marks
        self._unmet: defaultdict[int, list[Mark]] = defaultdict(list)
        for mark in marks:
            self._unmet[mark.seq].append(mark)
        self.rebuilt: Astray | None = None
        """The first that is not the record of its number."""

    def meet(self, head: Head) -> None:
        """The record of that number is this one."""
        for mark in self._unmet.pop(head.seq, ()):
            if mark.hash != head.hash and self.rebuilt is None:
                self.rebuilt = _rebuilt(mark)

    def beyond(self, opening: Head) -> int:
        """How many are of records that were retired: nothing is left to compare most of them with."""
        return sum(mark.seq <= opening.seq for mark in self._marks)

    def astray(self, opening: Head, end: Head, ledger: Ledger) -> Astray | None:
        """What is wrong with a chain that holds by itself, from after ``opening`` to ``end``."""
        for boundary in ledger.boundaries:
            self.meet(boundary)
        if self.rebuilt is not None or not self._marks:
            return self.rebuilt
        newest = max(self._marks, key=lambda mark: mark.seq)
        if newest.seq > end.seq:
            # The newest says best how much is gone.
            text = f"it ends at record {end.seq}, and record {newest.seq} was anchored at {newest.at}"
            return Astray(newest, f"CUT OFF: {text}")
        if newest.seq <= opening.seq:
            text = f"no anchored head is left; the newest, record {newest.seq}, is among those retired"
            return Astray(newest, f"UNPROVED: {text}") if opening.seq else _rebuilt(newest)
        early = ledger.early(self._marks)
        if early is not None:
            mark, said = early
            text = (
                f"record {mark.seq + 1} was not written at {mark.at}, {said.days} days before at the latest"
            )
            return Astray(mark, f"RETIRED TOO EARLY: {text}")
        return None


def _rebuilt(mark: Mark) -> Astray:
    return Astray(mark, f"REBUILT: record {mark.seq} is not the one that was anchored at {mark.at}")
