"""Which of the journal's oldest files were removed by rule, and whether what is left bears that out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from backends.journal.chain import START, Head
from backends.journal.entry import Kind, wall_of
from backends.journal.schema import Place, RetiredFile, Retirement
from backends.model.anchor import Mark

LEAST: Final = 30
"""Days for which every record is kept, whatever is configured."""

DAY: Final = 86_400.0

_ROUNDING: Final = 1.0
"""Seconds by which times in records may be off by how they are written."""

_SLACK: Final = DAY
"""Seconds by which the host's clock may have been set meanwhile without raising suspicion."""


def retirement(record: Mapping[str, Any]) -> Retirement | None:
    """What the record says was retired; None for any other record, and for one that does not say it whole."""
    if record.get("kind") != Kind.RETIRED.value:
        return None
    try:
        return msgspec.convert(record.get("retired"), Retirement)
    except msgspec.ValidationError:
        return None


def head(place: Place) -> Head:
    """The same as a place in the chain."""
    return Head(place.seq, place.hash)


class Ledger:
    """Judges, along the chain, every record that says what was retired.

    ``opening`` is what the oldest record that is left follows, ``present`` the names of the files there are.
    """

    def __init__(self, opening: Head, present: Collection[str]) -> None:
        self._opening = opening
        self._present = present
        self._ends: dict[str, Head] = {}
        self._gone = START if opening == START else None
        """What the next retirement must follow; None when the records of earlier ones are gone themselves."""
        self._told: list[tuple[float, Retirement]] = []

    def pass_by(self, file: str, head: Head) -> None:
        """A record that holds, in its file."""
        self._ends[file] = head

    def take(self, record: Mapping[str, Any]) -> str | None:
        """Take in the chain's next record; what is wrong with what it says was retired, if anything is."""
        if record.get("kind") != Kind.RETIRED.value:
            return None
        said = retirement(record)
        why = "does not say what was retired" if said is None else self._misfit(said, record)
        if said is not None and why is None:
            self._gone = head(said.files[-1].last)
            self._told.append((wall_of(record), said))
        return why

    @property
    def accounts(self) -> bool:
        """Whether what is missing before the oldest record was retired, exactly up to there."""
        return self._opening == START or self._opening in self.boundaries

    @property
    def boundaries(self) -> list[Head]:
        """The last record of every retired file, as the records say."""
        return [head(file.last) for _, said in self._told for file in said.files]

    @property
    def lingering(self) -> tuple[str, ...]:
        """Retired files that are still there, unchanged: whoever removed them was interrupted."""
        names = [file.name for _, said in self._told for file in said.files]
        return tuple(name for name in names if name in self._present)

    def early(self, marks: Iterable[Mark]) -> tuple[Mark, Retirement] | None:
        """An anchored head that shows a file to be retired before its time.

        What follows a head was written after it was anchored; so no file that goes on behind it was older.
        """
        marks = tuple(marks)
        for at, said in self._told:
            due = at - said.days * DAY
            for mark in marks:
                if mark.seq < said.files[-1].last.seq and wall_of({"at": mark.at}) - _SLACK > due:
                    return mark, said
        return None

    def _misfit(self, said: Retirement, record: Mapping[str, Any]) -> str | None:
        if said.days < LEAST:
            return f"retires files after {said.days} days; every record is kept for {LEAST}"
        if self._gone is None:
            follows = said.before.seq < self._opening.seq
        else:
            follows = head(said.before) == self._gone
        if not follows:
            return "retires files that do not follow those retired before"
        seq = said.before.seq
        for file in said.files:
            if file.first.seq != seq + 1 or file.last.seq < file.first.seq or file.last.seq >= record["seq"]:
                return f"retires records that cannot be those of {file.name}"
            if wall_of({"at": file.newest}) + said.days * DAY > wall_of(record) + _ROUNDING:
                return f"retires {file.name}, which was not {said.days} days old"
            why = self._denied(file)
            if why is not None:
                return why
            seq = file.last.seq
        return None

    def _denied(self, file: RetiredFile) -> str | None:
        """What speaks against it in what is there."""
        if file.name in self._present:
            same = self._ends.get(file.name) == head(file.last)
            return None if same else f"retires {file.name}, and what is there of that name is not that file"
        if file.last.seq > self._opening.seq:
            return f"retires {file.name}, which is not what is missing"
        return None
