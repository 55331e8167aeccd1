"""What checks, checklists and diagnoses say when they are run: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct

from backends.model.check import Check, Checklist, ChecklistItem, Diagnosis
from backends.model.clock import Instant
from backends.model.weigh import Standing, Weighed


class Answer(Enum):
    """Whether all demands hold. For a check YES is passed, for a diagnosis it is found."""

    YES = "yes"
    NO = "no"
    """One was read, and it is not so."""
    UNKNOWN = "unknown"
    """None was read that is not so, but not all could be read."""


def answer_of(weighed: Iterable[Weighed]) -> Answer:
    """What the demands of one check or diagnosis come to."""
    standings = {each.standing for each in weighed}
    if Standing.FAILS in standings:
        return Answer.NO
    return Answer.YES if standings == {Standing.HOLDS} else Answer.UNKNOWN


def together(answers: Iterable[Answer]) -> Answer:
    """NO if one is NO, else UNKNOWN if one is, else YES; UNKNOWN for none at all."""
    found = set(answers)
    if Answer.NO in found:
        return Answer.NO
    return Answer.YES if found == {Answer.YES} else Answer.UNKNOWN


class Examined(Struct, frozen=True):
    """One check or diagnosis against readings taken for it."""

    key: str
    answer: Answer
    weighed: tuple[Weighed, ...]
    """In the order of its demands; the ages in it are those of the moment it was run."""
    at: Instant


def key_of(it: Check | Diagnosis) -> str:
    """Under what name its result is kept: a check and a diagnosis may have the same id."""
    return f"{'check' if isinstance(it, Check) else 'diagnosis'}:{it.id}"


Results = Mapping[str, Examined]
"""The newest result of each check and diagnosis that was run, by ``key_of``."""


class Attested(Struct, frozen=True):
    """A person confirmed one item of a checklist."""

    by: str
    at: float
    """Epoch seconds."""


Attestations = Mapping[tuple[str, str], Attested]
"""What is confirmed and still counts, by checklist and item."""


class ItemState(Struct, frozen=True):
    """One item: what its check said last, or who confirmed it."""

    item: ChecklistItem
    examined: Examined | None = None
    attested: Attested | None = None

    @property
    def answer(self) -> Answer:
        """UNKNOWN for a check that was not run yet and for what nobody has confirmed."""
        if self.item.check is None:
            return Answer.YES if self.attested is not None else Answer.UNKNOWN
        return self.examined.answer if self.examined is not None else Answer.UNKNOWN


def states(checklist: Checklist, results: Results, attestations: Attestations) -> tuple[ItemState, ...]:
    """The checklist's items as they stand."""
    return tuple(
        ItemState(
            item,
            None if item.check is None else results.get(f"check:{item.check}"),
            None if item.check is not None else attestations.get((checklist.id, item.id)),
        )
        for item in checklist.items
    )
