"""What ``systemctl show`` says of units: any number of units and properties in one call."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from backends.model.fact import SourceError
from backends.model.stack import Source
from backends.program import USER_BUS, NotStartedError, environment, program_at, run
from backends.readers.failure import silence

UNITS_AT_ONCE: Final = 64
"""Units of one call, so that what it prints is kept whole."""

NOT_SET: Final = frozenset({"", "[not set]", "[no data]", "n/a", "18446744073709551615"})
"""How it writes that a property has no value; the number is what it prints for an amount not counted."""

_SHARE: Final = 0.9
_TIME: Final = re.compile(r"[A-Z][a-z]{2} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)? UTC")
_NO_SYSTEMD: Final = ("not been booted with systemd", "Failed to connect to bus", "Failed to connect to user")

Shown = Mapping[str, str]
"""Properties of one unit by name, as printed; those it does not have are left out."""


class Systemctl:
    """Asks this host's systemd, or the user's own (option ``scope = "user"``)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seconds = source.deadline * _SHARE
        self._precise = ["--timestamp=us"]
        """Without it two starts within a second look alike. A systemd before 247 does not know it."""

    @property
    def is_users(self) -> bool:
        """Whether the user's own units are meant."""
        return self._source.options.get("scope") == "user"

    @property
    def environment(self) -> dict[str, str]:
        """Without a locale and in UTC, so that words and times are always the same."""
        return environment(USER_BUS if self.is_users else ()) | {"LC_ALL": "C", "TZ": "UTC"}

    async def show(self, units: Sequence[str], properties: Collection[str]) -> dict[str, Shown | None]:
        """Each unit's properties, None for one that is not loaded. Raises SourceError."""
        found: dict[str, Shown | None] = {}
        for first in range(0, len(units), UNITS_AT_ONCE):
            found |= await self._show(units[first : first + UNITS_AT_ONCE], properties)
        return found

    async def _show(self, units: Sequence[str], properties: Collection[str]) -> dict[str, Shown | None]:
        names = dict.fromkeys(("Id", "LoadState", *properties))
        scope = "--user" if self.is_users else "--system"
        argv = [program_at(self._source.url, "systemctl"), scope, "--no-ask-password", "--no-pager"]
        argv += [*self._precise, "show", f"--property={','.join(names)}", "--", *units]
        try:
            ended = await run(argv, self._seconds, "/", self.environment)
        except NotStartedError as error:
            raise SourceError(f"there is no systemd to ask: {error}") from None
        if ended.code is None:
            raise SourceError(silence(self._seconds))
        if ended.code != 0 and self._precise and "unrecognized option" in ended.output:
            self._precise = []
            return await self._show(units, properties)
        if ended.code != 0:
            raise SourceError(_reason(ended.output, ended.code))
        blocks = _blocks(ended.output, names)
        if len(blocks) != len(units) or ended.cut:
            raise SourceError(f"systemctl told of {len(blocks)} units, {len(units)} expected")
        # By their order: a unit that is an alias is shown under another name.
        return {
            unit: None if block["LoadState"] == "not-found" else block
            for unit, block in zip(units, blocks, strict=True)
        }


def to_time(shown: str) -> float | None:
    """Epoch seconds of a time as it is printed in UTC; None for anything else."""
    match = _TIME.fullmatch(shown)
    if match is None:
        return None
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return moment.timestamp() + float(match[2] or 0)


def to_number(shown: str | None) -> int | None:
    """A property that is a number, zero or more; None when it is not set."""
    return int(shown) if shown is not None and shown not in NOT_SET and shown.isdecimal() else None


def _blocks(printed: str, names: Collection[str]) -> list[dict[str, str]]:
    """The paragraphs that tell of a unit. Lines that are none of its properties are somebody's warnings."""
    blocks: list[dict[str, str]] = []
    for paragraph in printed.split("\n\n"):
        pairs = [line.partition("=") for line in paragraph.splitlines()]
        block = {name: value for name, sign, value in pairs if sign and name in names}
        if "Id" in block and "LoadState" in block:
            blocks.append(block)
    return blocks


def _reason(output: str, code: int) -> str:
    if any(sign in output for sign in _NO_SYSTEMD):
        return "no systemd answers on this host"
    return f"systemctl ended with {code}: {' '.join(output.split())[:120]}"
