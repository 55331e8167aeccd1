"""What the room says in its own line, and for how long."""

from __future__ import annotations

from msgspec import Struct

from backends.model.clock import Instant
from backends.model.safetext import SafeText
from tui.moment import Moment
from widgets.cells import fit
from widgets.roles import Role
from widgets.span import Span, Spans

SAID_FOR = 6.0
"""Seconds for which a message stays."""


class Said(Struct, frozen=True):
    """What was said, and of which stack."""

    stack: str
    text: SafeText
    role: Role
    at: Instant
    seconds: float = SAID_FOR

    def line(self, moment: Moment, width: int, after: Instant | None = None) -> Spans:
        """The message about that stack as long as it stays, if it was said after that."""
        if self.stack != moment.stack.id or moment.now.since(self.at) >= self.seconds:
            return ()
        if after is not None and self.at.mono < after.mono:
            return ()
        return (Span(SafeText(f" {fit(self.text, width - 2).rstrip()}"), self.role),)
