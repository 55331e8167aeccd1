"""What can be checked on demand: checks, checklists and diagnoses, as a stack file describes them."""

from __future__ import annotations

from msgspec import Struct

from backends.model.condition import Condition


class Check(Struct, frozen=True):
    """Passes when every demand holds on fresh readings; what cannot be read is unknown, never passed."""

    id: str
    title: str
    group: str
    demands: tuple[Condition, ...]
    response: str
    """What to do when it does not pass."""
    procedure: str | None = None
    """The procedure that mends it."""
    note: str | None = None
    """Where the given runbook is wrong about it."""
    section: str | None = None
    """Heading in the stack's ``runbook.md``."""
    runbook: tuple[str, ...] = ()


class ChecklistItem(Struct, frozen=True):
    """Observed through a check, or attested by a person; exactly one of the two."""

    id: str
    check: str | None = None
    attest: str | None = None
    """The sentence a person confirms."""
    runbook: tuple[str, ...] = ()


class Checklist(Struct, frozen=True):
    """Items in order; done when every one passed or was attested."""

    id: str
    title: str
    when: str
    """When it is due, in words: ``every trading day before 09:30 New York``."""
    items: tuple[ChecklistItem, ...]
    kept: str = "day"
    """How long what a person confirmed counts: for the ``day``, ``week`` or ``month``, or until ``reset``."""
    zone: str = "UTC"
    """The time zone in which days end."""
    section: str | None = None
    runbook: tuple[str, ...] = ()


class Diagnosis(Struct, frozen=True):
    """A known failure: found when every demand holds, not found when one was read and fails, else unknown."""

    id: str
    title: str
    """What is wrong: ``The Redis secret is a directory``."""
    demands: tuple[Condition, ...]
    cause: str
    response: str
    service: str | None = None
    """The service it is about, by its name in the stack file."""
    procedure: str | None = None
    """The procedure that mends it."""
    section: str | None = None
    runbook: tuple[str, ...] = ()
