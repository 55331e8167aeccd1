"""A dry run: the same way through everything, with nothing at its end that could write."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from backends.journal.entry import Kind, wall_of
from backends.model.action import Action, aim
from backends.model.clock import Clock
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.safetext import SafeText
from backends.model.substitution import fill
from backends.procedures.resumes import Record
from backends.state_folder import make_folder

VALID: Final = 120.0
"""Seconds for which the hash of a dry run stands for its plan."""


class RecordingEffector:
    """A writer that only says what it would have done."""

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """DONE, or FAILED where a value is missing that the real step would need; nothing is sent."""
        try:
            what = fill(aim(action), values)
        except ValueError as error:
            return Receipt(ReceiptKind.FAILED, SafeText(f"DRY RUN: {error}", 400))
        return Receipt(ReceiptKind.DONE, SafeText(f"DRY RUN, nothing was sent for {step.id}: {what}", 400))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


class PlanBook:
    """Which plans were shown by a dry run, and when: one empty file for each account's, in one folder.

    A plan that was shown to another account is none of this one's."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def note(self, plan: str) -> None:
        """Remember that this plan was shown now. Raises OSError."""
        make_folder(self._folder, is_sticky=True)
        file, at = self._file(plan), self._clock.now().wall
        file.touch(mode=0o600)
        os.utime(file, (at, at))
        for old in self._folder.iterdir():
            # Another room may have removed it meanwhile; what is none of ours stays, and each account's own.
            with suppress(OSError):
                if at - old.lstat().st_mtime > 10 * VALID:
                    old.unlink()

    def objection(self, plan: str, records: Iterable[Record]) -> str | None:
        """Why this hash is not that of a fresh dry run that was not run yet; None when it is. ``records`` are
        the newest of the journal."""
        if not re.fullmatch(r"[0-9a-f]{64}", plan):
            return "the plan's hash is not one; make a dry run and give the one it prints"
        try:
            about = self._file(plan).lstat()
        except OSError:
            about = None
        if about is None or about.st_uid != os.getuid():
            return "no dry run has shown this plan; make one and give the hash it prints"
        at = about.st_mtime
        age = self._clock.now().wall - at
        if not -1.0 <= age <= VALID:
            return f"the dry run is {age:.0f} s old, and holds for {VALID:.0f} s; make another"
        if _was_run(plan, at, records):
            return "this plan was run already; look at what came of it, and make another dry run"
        return None

    def _file(self, plan: str) -> Path:
        return self._folder / f"{plan}.{os.getuid()}"


def _was_run(plan: str, since: float, records: Iterable[Record]) -> bool:
    """Whether something may have been sent by that plan since: whoever tries again must have looked anew."""
    begun = set[object]()
    for record in records:
        kind = record.get("kind")
        if kind == Kind.REFUSED.value:
            begun.discard(record.get("operation"))
        elif kind == Kind.INTENT.value and (record.get("plan"), record.get("mode")) == (plan, "live"):
            # Records tell no less than milliseconds.
            begun |= {record.get("operation")} if wall_of(record) >= since - 0.001 else set()
    return bool(begun)
