"""What a room that was open on this host a while ago left in the journal."""

from __future__ import annotations

from pathlib import Path

from backends.journal.chain_file import ChainFile
from backends.journal.entry import Entry, Kind, Session, body
from backends.journal.identity import identify
from backends.model.clock import Instant, SystemClock


def a_room_was_open(state: Path, ago: float) -> None:
    """It wrote something ``ago`` seconds ago. Who sets a time back in a store has it stand that long."""
    now = SystemClock().now()
    at = Instant(now.mono - ago, now.wall - ago)
    ChainFile(state / "journal").append(
        body(Entry(Kind.NOTE, "x"), Session(identify(), "0"), at), is_synced=False
    )
