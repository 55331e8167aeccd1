"""What sources say, without secrets: before it is on a board, weighed, shown or written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from msgspec.structs import replace

from backends.journal.shapes import MASK, is_secret_name
from backends.model.action import Action
from backends.model.fact import Broken, Fact, Finding, Found, SourceError, Table
from backends.model.port import FactReader, ServiceReader
from backends.model.procedure import Effector, Receipt, Step
from backends.model.safetext import NAME_LIMIT, SafeText, parted
from backends.model.service import Service
from backends.readers.extract import CELL_LIMIT


class Redact(Protocol):
    """Takes secrets out of a text."""

    def __call__(self, text: str, limit: int | None = None, *, is_cut: bool = False) -> str:
        """As ``Redactor.text``."""


_MASKED = SafeText(MASK)
_FLAGS = ("true", "false")
"""No secrets, whatever their column is called: ``pass`` of a report's checks is a word of its verdict."""
_PAIR = ("field", "value")
"""The columns of a hash: its members are named in the rows."""
_CELLS = 200
"""Of tables, that are looked through on the loop: a millisecond or two. More would keep a stop waiting."""


class VeiledFacts:
    """A reader of facts whose answers hold no secret."""

    def __init__(self, reader: FactReader, redact: Redact) -> None:
        self._reader = reader
        self._redact = redact

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        try:
            found = await self._reader.read(facts)
        except SourceError as error:
            raise SourceError(self._redact(str(error), is_cut=True)) from None
        if _cells(found) > _CELLS:
            return await asyncio.to_thread(self._veiled, found)
        return self._veiled(found)

    async def close(self) -> None:
        await self._reader.close()

    def _veiled(self, found: Mapping[str, Finding]) -> Mapping[str, Finding]:
        return {name: self._finding(each) for name, each in found.items()}

    def _finding(self, found: Finding) -> Finding:
        if isinstance(found, Broken):
            return Broken(_told(found.why, self._redact))
        if isinstance(found, Found) and isinstance(found.value, SafeText):
            return replace(found, value=_whole(found.value, self._redact))
        if isinstance(found, Found) and isinstance(found.value, Table):
            return replace(found, value=self._table(found.value))
        return found

    def _table(self, table: Table) -> Table:
        hidden = [_holds_secret(column) for column in table.columns]
        is_pairs = table.columns[:2] == _PAIR
        rows = []
        for row in table.rows:
            cells = [
                _MASKED if is_hidden and cell and cell not in _FLAGS else _whole(cell, self._redact)
                for cell, is_hidden in zip(row, hidden, strict=True)
            ]
            if is_pairs and _holds_secret(row[0]) and row[1] and row[1] not in _FLAGS:
                cells[1] = _MASKED
            rows.append(tuple(cells))
        return replace(table, rows=tuple(rows))


class VeiledServices:
    """A reader of services whose answers hold no secret."""

    def __init__(self, reader: ServiceReader, redact: Redact) -> None:
        self._reader = reader
        self._redact = redact

    async def services(self) -> Mapping[str, Service | None]:
        try:
            found = await self._reader.services()
        except SourceError as error:
            raise SourceError(self._redact(str(error), is_cut=True)) from None
        return {name: None if each is None else self._service(each) for name, each in found.items()}

    async def clock(self) -> float:
        try:
            return await self._reader.clock()
        except SourceError as error:
            raise SourceError(self._redact(str(error), is_cut=True)) from None

    async def close(self) -> None:
        await self._reader.close()

    def _service(self, service: Service) -> Service:
        said = service.health_output
        return replace(
            service,
            title=_safe(service.title, self._redact),  # of a process it is its command line
            health_output=None if said is None else _safe(said, self._redact),
        )


class VeiledEffector:
    """A writer whose receipts hold no secret: a service may quote what it was sent, or what it knows."""

    def __init__(self, effector: Effector, redact: Redact) -> None:
        self._effector = effector
        self._redact = redact

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        told = await self._effector.act(action, values, step)
        before, after, by, since = (
            None if each is None else _whole(each, self._redact)
            for each in (told.before, told.after, told.by, told.since)
        )
        text = _told(told.text, self._redact)
        return replace(told, text=text, before=before, after=after, by=by, since=since)

    async def warm(self) -> None:
        await self._effector.warm()

    async def close(self) -> None:
        await self._effector.close()


def as_cell(text: str, redact: Redact) -> SafeText:
    """The text as a table of a source's answer shows it: what a person chose there is known by it."""
    return _whole(SafeText(text, CELL_LIMIT), redact)


def _cells(found: Mapping[str, Finding]) -> int:
    tables = [each.value for each in found.values() if isinstance(each, Found)]
    return sum(len(it.rows) * len(it.columns) for it in tables if isinstance(it, Table))


def _holds_secret(name: str) -> bool:
    """By the name of a column or member alone. What trades are made in is called a token too."""
    return is_secret_name(name) and not name.casefold().endswith("token")


def _whole(text: SafeText, redact: Redact) -> SafeText:
    """As ``_safe``; where the reader has cut the text, without what could be half a secret before the cut."""
    # Of a name nothing would be left, and most cells are no longer.
    head, mark = parted(text) if len(text) > NAME_LIMIT else (text, "")
    if not mark or len(head) <= NAME_LIMIT:
        return _safe(text, redact)
    return SafeText(redact(head, len(head), is_cut=True) + mark, len(text) + len(MASK))


def _told(text: SafeText, redact: Redact) -> SafeText:
    """As ``_safe``, for a sentence that may quote the beginning of something."""
    return _safe(text, partial(redact, is_cut=True))


def _safe(text: SafeText, redact: Callable[[str], str]) -> SafeText:
    clean = redact(text)
    # Most hold no secret, and each cell of each poll comes by: what is safe is not made safe anew.
    return text if clean == text else SafeText(clean, max(len(text), len(MASK)))
