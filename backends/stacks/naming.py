"""Names and words in a stack file: whether they are known, how they are written, what they stand for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TypeVar

from msgspec.structs import replace

from backends.model.substitution import fill, names_in
from backends.stacks import schema
from backends.stacks.schema_check import RequireRow
from backends.stacks.schema_types import Word
from backends.stacks.toml_lines import Place

Complaint = tuple[Place, str]
"""Where, and what is wrong there."""

Row = TypeVar("Row", schema.ProofRow, RequireRow)

LEVELS = ("ok", "info", "warn", "crit")


def word(raw: Word) -> str:
    """A word as readings show it: flags are ``true`` and ``false``."""
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


def words_of(said: Word | Sequence[Word]) -> list[str]:
    """One word or several, as readings show them."""
    return [word(raw) for raw in ([said] if isinstance(said, (str, bool, int)) else said)]


def path_objection(path: str) -> str | None:
    """What is wrong with a request path, or None."""
    if not path.startswith("/") or path.startswith("//"):
        return "expected a path that starts with one '/'"
    if not re.fullmatch(r"[!-~]+", path):
        return "expected a path without spaces and control characters; write them as %20"
    return None


def known(name: str, names: Iterable[str], what: str) -> str | None:
    """What is wrong with a name that should be one of ``names``, or None."""
    options = names if isinstance(names, Collection) else list(names)
    if name in options:
        return None
    near = get_close_matches(name, list(options), n=1)
    return f"there is no {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def source_of(spec: schema.StackFile, name: str, *kinds: str) -> str | None:
    """What is wrong with the name of a source that should be of one of these kinds, or None."""
    if why := known(name, spec.source, "source"):
        return why
    found = spec.source[name].kind
    return (
        None if found in kinds else f"source {name!r} is of kind {found}; expected kind {' or '.join(kinds)}"
    )


def not_said_by(fact: schema.FactSpec, words: Iterable[Word]) -> Iterator[str]:
    """A word that the fact does not list: a slip that would make a switch or a proof never match."""
    known = [word(raw) for level in LEVELS for raw in getattr(fact, level)]
    if not known and fact.type == "bool":
        known = ["true", "false"]
    for raw in words:
        if known and word(raw) not in known:
            yield f"{word(raw)!r} is no word of fact {fact.id!r}; expected one of: {', '.join(known)}"


def each_choice(procedure: schema.ProcedureSpec, row: Row) -> Iterator[Row]:
    """The proof or demand for every value of the parameter its fact names, when those are listed."""
    listed = {param.name: param.one_of for param in procedure.param if param.one_of}
    name = next((name for name in sorted(names_in(row.fact)) if name in listed), None)
    if name is None:
        yield row
        return
    for value in listed[name]:
        yield replace(row, fact=str(fill(row.fact, {name: value})))


def trading_words(spec: schema.StackFile, proof: schema.ProofRow) -> list[str]:
    """The words it takes by which a gate allows trading; through an echo too: it speaks those of its gate."""
    gates = {proof.fact, *(echo.gate for echo in spec.trading.echo if echo.fact == proof.fact)}
    trading = {word(raw) for gate in spec.trading.gate if gate.fact in gates for raw in gate.trading}
    return sorted(trading & set(words_of(proof.equals)))
