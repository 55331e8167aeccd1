"""What the types cannot say about checks, checklists and diagnoses of a stack file."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backends.model.board import SERVICE
from backends.stacks import schema
from backends.stacks.naming import Complaint, known, not_said_by, words_of
from backends.stacks.schema_check import ChecklistRow, CheckRow, Demand, DiagnosisRow
from backends.stacks.toml_lines import Place

_COUNTED = ("int", "float", "count", "table")
UNHEARD = "is what was heard, and who looks afresh has never listened; expected what is stored"
_NO_DEMANDS = ("fact", "where", "id", "because")


def checks(spec: schema.StackFile) -> Iterator[Complaint]:
    """Everything that is wrong with the file's checks, checklists and diagnoses."""
    tables: tuple[tuple[str, Sequence[CheckRow | DiagnosisRow]], ...] = (
        ("check", spec.check),
        ("diagnosis", spec.diagnosis),
    )
    procedures = [procedure.id for procedure in spec.procedure]
    for table, rows in tables:
        for index, row in enumerate(rows):
            for number, demand in enumerate(row.all):
                for key, text in demanded(spec, demand):
                    yield (table, index, "all", number, *key), text
            if row.procedure is not None and (why := known(row.procedure, procedures, "procedure")):
                yield (table, index, "procedure"), why
    services = [service.name for service in spec.service]
    for index, row in enumerate(spec.diagnosis):
        if row.service is not None and (why := known(row.service, services, "service")):
            yield ("diagnosis", index, "service"), why
    for index, checklist in enumerate(spec.checklist):
        for key, text in _items(spec, checklist):
            yield ("checklist", index, *key), text


def _items(spec: schema.StackFile, checklist: ChecklistRow) -> Iterator[Complaint]:
    names = [item.id for item in checklist.item]
    # A host may know no zones at all; then there is nothing to compare with.
    if not _is_zone(checklist.zone) and _is_zone("Europe/London"):
        yield ("zone",), f"no time zone {checklist.zone!r}; expected one such as America/New_York"
    for number, item in enumerate(checklist.item):
        place: Place = ("item", number)
        if item.id in names[:number]:
            yield (*place, "id"), f"{item.id!r} is used twice; expected a name of its own"
        if (item.check is None) == (item.attest is None):
            yield place, "expected either check or attest"
        if item.check is not None and (why := known(item.check, [row.id for row in spec.check], "check")):
            yield (*place, "check"), why


def _is_zone(name: str) -> bool:
    try:
        return name == "UTC" or ZoneInfo(name) is not None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def demanded(spec: schema.StackFile, row: Demand) -> Iterator[Complaint]:
    """Everything that is wrong with a demand on a fact or a service; places are relative to it."""
    empty = Demand(fact=row.fact)
    keys = [key for key in row.__struct_fields__ if key not in _NO_DEMANDS]
    if all(getattr(row, key) == getattr(empty, key, None) for key in keys):
        yield (
            (),
            "expected a demand: equals, differs, ok, missing, zero, at_most, at_least, max_age or min_age",
        )
    fact = yield from named_fact(spec, row.fact)
    if fact is None:
        return
    yield from ((("equals",), text) for text in not_said_by(fact, words_of(row.equals)))
    yield from ((("differs",), text) for text in not_said_by(fact, words_of(row.differs)))
    yield from limited(row, fact)
    if row.min_age is not None and fact.type != "time":
        yield ("min_age",), f"needs a fact of type time, but {fact.id!r} is {fact.type}"
    if row.max_age is not None and fact.type != "time" and fact.observed is None:
        yield ("max_age",), f"fact {fact.id!r} says no time; expected type time or observed"


def limited(row: Demand | schema.ProofRow, fact: schema.FactSpec) -> Iterator[Complaint]:
    """What is wrong with the limits of a demand or a proof: they need a number, and one that they can tell
    from another.
    """
    limits = {"zero": row.zero or None, "at_most": row.at_most, "at_least": row.at_least}
    for key, value in limits.items():
        if value is not None and fact.type not in _COUNTED:
            yield (key,), f"needs a number, but {fact.id!r} is {fact.type}"
        if value is not None and not math.isfinite(value):
            yield (key,), "expected a finite number: anything is within this one, or nothing"
    if row.zero and row.at_most is not None:
        yield ("zero",), "expected either zero or at_most, got both"
    most = 0.0 if row.zero else row.at_most
    if most is not None and row.at_least is not None and row.at_least > most:
        yield ("at_least",), f"nothing is at least {row.at_least:g} and at most {most:g}"
    if row.where and fact.type != "table":
        yield ("where",), f"needs a table, but {fact.id!r} is {fact.type}"


def named_fact(spec: schema.StackFile, name: str) -> Generator[Complaint, None, schema.FactSpec | None]:
    """The fact a demand or a proof is about; None for ``service:NAME``, or where there is no such fact."""
    if name.startswith(SERVICE):
        yield from _service(spec, name.removeprefix(SERVICE))
        return None
    fact = spec.facts.get(name)
    if fact is None and (why := known(name, spec.facts, "fact")):
        yield ("fact",), why
    if fact is not None and fact.id in spec.heard:
        yield ("fact",), f"{fact.id!r} {UNHEARD}"
    return fact


def _service(spec: schema.StackFile, name: str) -> Iterator[Complaint]:
    services = [service.name for service in spec.service]
    # A parameter stands for a service that is named later.
    if not name.startswith("$") and (why := known(name, services, "service")):
        yield ("fact",), why
