"""A second person's consent, as the one who asks for it sees it: asked, waited for, given, expired."""

from __future__ import annotations

import asyncio
import math

from msgspec.structs import replace

from backends.model.clock import Instant
from backends.model.intent import Intent
from backends.model.procedure import Procedure
from backends.model.stack import Stack
from backends.procedures.approval import VALID, ApprovalBook, ApprovalError, Request
from widgets.roles import Role


class SecondPerson:
    """One request at a time. ``ask`` and ``look`` read and write files in a thread and never raise for
    that: what went wrong is in ``why``."""

    def __init__(self, book: ApprovalBook, stack: Stack, procedure: Procedure) -> None:
        self._book = book
        self._stack = stack
        self._secret = {param.name for param in procedure.params if param.is_secret}
        self._is_busy = False
        self._is_asking = False
        self.request: Request | None = None
        self.by: str | None = None
        """Who has consented."""
        self.why = ""
        """Why there is no request, or none any more."""

    @property
    def is_pending(self) -> bool:
        """Whether somebody is being waited for."""
        return self.request is not None and self.by is None

    def holds(self, intent: Intent) -> bool:
        """Whether consent to exactly this plan, for this reason, is being asked for or was already."""
        it = self.request
        is_this = it is not None and (it.plan, it.reason) == (intent.plan, str(intent.reason))
        return self._is_asking or is_this

    @property
    def command(self) -> str:
        """What the second person types."""
        code = "CODE" if self.request is None else self.request.code
        return f"controlroom approve {code} --stack {self._stack.id}"

    def left(self, now: Instant) -> float:
        """Seconds until the request expires; 0 without one."""
        return 0.0 if self.request is None else max(0.0, VALID - (now.wall - self.request.at))

    def line(self, now: Instant) -> tuple[str, Role]:
        """How it stands."""
        if self.request is None:
            return self.why or "Enter asks for it, once the reason is typed and everything holds", "muted"
        left = math.ceil(self.left(now))
        clock = f"{left // 60}:{left % 60:02d}"
        if self.by is not None:
            return f"approved by {self.by}; good for {clock} more", "state-ok"
        return f"waiting, {clock} left; the other person types:", "state-warn"

    async def ask(self, intent: Intent) -> None:
        """Ask for consent to exactly this intent's plan."""
        public = {name: value for name, value in intent.params.items() if name not in self._secret}
        self.request, self.by, self.why = None, None, ""
        self._is_asking = True
        try:
            wanted = replace(intent, params=public)
            self.request = await asyncio.to_thread(self._book.request, wanted, intent.plan or "")
        except OSError as error:
            self.why = f"it cannot be asked for: {error.strerror}"
        finally:
            self._is_asking = False

    async def look(self) -> None:
        """Whether somebody has consented since."""
        asked, by, ended = self.request, None, ""
        if asked is None or self._is_busy:
            return
        self._is_busy = True
        try:
            by = await asyncio.to_thread(self._book.given, asked.code)
        except ApprovalError as error:
            ended = f"the request has ended: {error}; Enter asks again"
        finally:
            self._is_busy = False
        if self.request is not asked:
            return  # it was asked for anew meanwhile
        self.by, self.why = by, ended
        if ended:
            self.request = None
