"""``controlroom audit``: prove that the journal is unchanged, look things up in it, hand on a copy."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backends import VERSION
from backends.journal.due import Cleared, due, survey, too_young
from backends.journal.entry import Kind, boot_id
from backends.journal.entry import Session as Writer
from backends.journal.export import bundle, safe, write_private
from backends.journal.identity import identify, told
from backends.journal.query import Query, moment
from backends.journal.redact import Redactor
from backends.journal.verify import Verification, read, verify
from backends.model.anchor import AnchorError, Mark
from backends.model.clock import Clock, SystemClock
from backends.model.safetext import SafeText
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.grid import grid
from tui.commands.output import answer
from tui.commands.session import Session

SETTLE = 0.3
"""Seconds after which a last line that is only half there is looked at again: a room may be writing it."""


def check(session: Session, folder: Path | None, *, with_anchor: bool = False, head: str = "") -> ExitCode:
    """Check the chain: 0 when it is whole, 7 when it is not, 5 when that cannot be told.

    With ``with_anchor`` every head the configured anchor holds must be in it; so must ``head``
    (``NUMBER:HASH``), for an anchor that cannot be asked.
    """
    place = _place(session, folder)
    try:
        marks = [_mark(head)] if head else []
        if with_anchor:
            marks += _anchored(session, place)
        found = settled(place, marks)
    except (OSError, AnchorError) as error:
        why = f"{place} cannot be read: {error.strerror}" if isinstance(error, OSError) else error
        _say(f"UNKNOWN: {why}")
        return ExitCode.UNKNOWN
    if _is_empty(place, found):
        return ExitCode.UNKNOWN
    _say(f"{place}: {found}{_met(len(marks), found)}")
    _say(f"head: {found.head.seq}:{found.head.hash}")
    return ExitCode.VERIFIED if found.is_whole else ExitCode.CONFLICT


def show(session: Session, folder: Path | None, query: Query, *, as_json: bool) -> ExitCode:
    """Print records: a table for people, or JSON lines."""
    place = _place(session, folder)
    records = _records(place, query)
    if as_json:
        lines = [json.dumps(safe(record), ensure_ascii=True, allow_nan=False) for record in records]
    else:
        lines = grid((_row(record) for record in records), indent="", widest=24)
    for line in lines:
        _say(line)
    if not lines:
        sys.stderr.write(f"{place}: no such record\n")
    return ExitCode.VERIFIED


def export(session: Session, folder: Path | None, query: Query, target: Path) -> ExitCode:
    """Write the records, the head and the result of the check to a new file for its owner's eyes only; none
    where there is no record at all."""
    place = _place(session, folder)
    records = _records(place, query)
    found = settled(place)
    if _is_empty(place, found):
        return ExitCode.UNKNOWN
    who = identify()
    about = {"exported": SystemClock().now().iso(), "by": who.user, "host": who.host, "journal": str(place)}
    try:
        write_private(target, bundle(records, found, Redactor(), about))
    except FileExistsError:
        raise UsageError(f"{target} exists already; name a new file") from None
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from None
    _say(f"{len(records)} records in {target}; the journal is {found}")
    return ExitCode.VERIFIED if found.is_whole else ExitCode.CONFLICT


def schema() -> ExitCode:
    """Print the one shape of a record, for whoever checks a copy elsewhere."""
    from backends.journal.schema import json_schema

    _say(json.dumps(json_schema(), ensure_ascii=True))
    return ExitCode.VERIFIED


def retire(session: Session, *, head: str = "", is_dry: bool = False) -> ExitCode:
    """Remove the files that are older than the configuration keeps them, or only say which: 0 when that is
    done, 7 when the journal is damaged, 5 when it cannot be told what may go, 6 where one only watches.

    With an anchor nothing goes that has no anchored head behind it; ``head`` (``NUMBER:HASH``) is one for an
    anchor that cannot be asked.
    """
    from backends.arming import make_retirer
    from backends.procedures.permit import arm

    config = session.config()
    if config.keep_days is None:
        raise UsageError("nothing is ever retired: name keep_days at [room.journal] in a config file")
    place = _place(session, config.state_dir / "journal")
    who = identify(shared=config.shared_accounts)
    permit = arm(who, is_watch=config.watch)
    if permit is None and not is_dry:
        _say("REFUSED: this room only watches")
        return ExitCode.FORBIDDEN
    try:
        marks = [_mark(head)] if head else _anchored(session, place) if config.anchor is not None else []
        newest = max((mark.seq for mark in marks), default=None)
        if permit is None or is_dry:
            return _forecast(place, config.keep_days, who.host, marks)
        by = Writer(who, VERSION)
        retirer = make_retirer(permit, place, config.keep_days, by, SystemClock())
        cleared = retirer(lambda: settled(place, marks), lambda: newest)
    except BlockingIOError:
        _say("UNKNOWN: another process is retiring files at this moment")
        return ExitCode.UNKNOWN
    except (OSError, AnchorError) as error:
        _say(f"UNKNOWN: {error.strerror if isinstance(error, OSError) else error}")
        return ExitCode.UNKNOWN
    return _told(cleared, "is removed")


def query_of(
    since: str | None,
    operation: str | None,
    stack: str | None,
    kind: str | None,
    last: int | None,
    clock: Clock | None = None,
) -> Query:
    """The options as a query. Raises UsageError."""
    try:
        begin = "" if since is None else moment(since, (clock or SystemClock()).now())
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None
    kinds = [each.value for each in Kind]
    if kind is not None and kind not in kinds:
        raise UsageError(f"--kind: there is no {kind!r}; there is {', '.join(kinds)}")
    return Query(begin, operation or "", stack or "", kind or "", last)


def settled(place: Path, marks: Sequence[Mark] = ()) -> Verification:
    """The result of the check; a line that is being written at this moment is no damage."""
    found = verify(place, marks)
    if found.damage is not None and found.damage.why == "was cut off":
        time.sleep(SETTLE)
        found = verify(place, marks)
    return found


def _forecast(place: Path, keep_days: int, host: str, marks: Sequence[Mark]) -> ExitCode:
    """Say what would be retired now. Raises OSError."""
    now = SystemClock().now()
    young = too_young(place, keep_days, now)
    if young:
        return _told(Cleared(stays=young), "")
    found = settled(place, marks)
    if not found.is_whole:
        return _told(Cleared(damage=str(found)), "")
    newest = max((mark.seq for mark in marks), default=None)
    plan = due(survey(place, host, boot_id()), keep_days, now, now, newest)
    files = (*plan.lingering, *(file.told() for file in plan.files))
    return _told(Cleared(files, plan.stays, plan.doubt), "would be removed")


def _told(cleared: Cleared, what: str) -> ExitCode:
    for file in cleared.gone:
        size = f"{file.bytes / 1024:.0f} KiB"
        _say(f"{file.name} {what}: records {file.first.seq} to {file.last.seq}, {size}, until {file.newest}")
    if cleared.damage:
        _say(f"NOT RETIRED: {cleared.damage}")
        return ExitCode.CONFLICT
    if cleared.doubt:
        _say(f"UNKNOWN: {cleared.doubt}")
        return ExitCode.UNKNOWN
    _say(cleared.stays)
    return ExitCode.VERIFIED


def _is_empty(place: Path, found: Verification) -> bool:
    """Whether there is nothing that could be called whole; that is said."""
    is_empty = found.is_whole and not found.head.seq
    if is_empty:
        _say(f"UNKNOWN: there is no record in {place}: nothing was recorded yet, or all of it is gone")
    return is_empty


def _met(marks: int, found: Verification) -> str:
    """What the anchored heads say for a journal that is whole."""
    if not marks or not found.is_whole:
        return ""
    beyond = f"; {found.beyond} more are of retired records" if found.beyond else ""
    return f"; all {marks - found.beyond} anchored heads are in it{beyond}"


def _anchored(session: Session, place: Path) -> list[Mark]:
    """The heads the configured anchor holds of this journal. Raises AnchorError, also when it holds none."""
    anchor = session.config().anchor
    if anchor is None:
        raise UsageError("no anchor is configured: name one at [room.anchor] in a config file")
    from backends.anchored import anchored

    marks = anchored(anchor, identify().host, str(place.absolute()))
    if not marks:
        raise AnchorError(f"the anchor holds no head of {place}")
    return marks


def _mark(head: str) -> Mark:
    number, _, digest = head.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise UsageError("--head: expected the number and hash of a record, as in 17:0a1b…")
    return Mark("", "", int(number), digest.lower(), "a time that --head does not tell")


def _place(session: Session, folder: Path | None) -> Path:
    """The journal to look at: the one named, which must be there, or this operator's own."""
    if folder is None:
        return session.config().state_dir / "journal"
    if not folder.exists():
        raise UsageError(f"there is no journal at {folder}")
    return folder


def _records(place: Path, query: Query) -> list[Mapping[str, Any]]:
    try:
        return query.select(read(place))
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror}") from None


def _row(record: Mapping[str, Any]) -> list[str]:
    cells = (
        record.get("seq", ""),
        record.get("at", ""),
        record.get("kind", ""),
        record.get("mode", ""),
        record.get("stack", ""),
        record.get("procedure", ""),
        str(record.get("operation", ""))[:8],
        _who(record),
        record.get("text", ""),
    )
    return [str(SafeText(cell)) for cell in cells]


def _who(record: Mapping[str, Any]) -> str:
    """The account, and what else there is to know where several people use it."""
    operator = record.get("operator")
    if not isinstance(operator, Mapping):
        return ""
    user, login = str(operator.get("user", "")), operator.get("login")
    return told(user, login, is_shared=bool(operator.get("shared")))


def _say(text: str) -> None:
    """Print one line. What came from a record has been made safe, paths and errors have not."""
    answer(str(SafeText(text, len(text))))
