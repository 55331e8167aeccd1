"""Checks, checklists and diagnoses of a stack file."""

# ruff: noqa: RUF012 (msgspec gives every struct a copy of its own)
from typing import Annotated, Literal

from msgspec import Meta

from backends.stacks.schema_types import Id, Label, Per, Rows, Strict, Text, Word


class Demand(Strict):
    """What must be so of a fact, or of ``service:NAME``."""

    fact: str
    equals: Word | list[Word] = []
    differs: Word | list[Word] = []
    """Words it must not read."""
    ok: bool = False
    missing: bool = False
    zero: bool = False
    at_most: float | None = None
    at_least: float | None = None
    max_age: Annotated[float, Meta(gt=0)] | None = None
    min_age: Annotated[float, Meta(gt=0)] | None = None
    where: dict[str, str] = {}


class RequireRow(Demand, kw_only=True):
    """A demand that a procedure makes, by name."""

    id: Id
    because: Text
    unchanged_for: Annotated[float, Meta(gt=0)] | None = None
    """Seconds it must have read the same, and no stop been ordered, as this room has seen."""


class CheckRow(Strict):
    id: Id
    title: Text
    all: Annotated[list[Demand], Meta(min_length=1)]
    response: Text
    group: Label = "Checks"
    procedure: str | None = None
    note: str | None = None
    section: str | None = None
    runbook: Rows = []


class ItemRow(Strict):
    """Either a check, which ticks itself, or a sentence that a person confirms."""

    id: Id
    check: str | None = None
    attest: str | None = None
    runbook: Rows = []


class ChecklistRow(Strict):
    id: Id
    title: Text
    when: Text
    item: Annotated[list[ItemRow], Meta(min_length=1)]
    kept: Literal["day", "week", "month", "reset"] = "day"
    """How long what a person confirmed counts."""
    zone: str = "UTC"
    """The time zone in which days end: ``America/New_York``."""
    section: str | None = None
    runbook: Rows = []


class DiagnosisRow(Strict):
    id: Id
    title: Text
    all: Annotated[list[Demand], Meta(min_length=1)]
    cause: Text
    response: Text
    service: str | None = None
    procedure: str | None = None
    section: str | None = None
    runbook: Rows = []
    per: Per = None
    but: list[Id] = []
