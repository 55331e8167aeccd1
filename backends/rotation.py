"""Secrets that are replaced while the room runs: read anew from their files, the old ones stay hidden."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from backends.journal.entry import Entry, Kind
from backends.model.secret import Secret
from backends.secret_file import CredentialError

EVERY: Final = 20.0
"""Seconds between two looks at the files."""


class Rotation:
    """Looks at the files of ``secrets`` now and then, and at once when somebody asks for it."""

    def __init__(self, secrets: Iterable[Secret], post: Callable[[Entry], None]) -> None:
        self._secrets = tuple(secrets)
        self._post = post
        self._asked = asyncio.Event()

    def hurry(self) -> None:
        """Look now: something is to be done with them that must not fail for an old one."""
        self._asked.set()

    async def keep(self) -> None:
        """Renew each until cancelled, and journal that one was replaced. A file that is gone or cannot be
        trusted for the moment leaves the secret as it was.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), EVERY)
            self._asked.clear()
            for secret in self._secrets:
                with suppress(CredentialError):
                    if await asyncio.to_thread(secret.renew):
                        text = "a credential was replaced; it is used from the next connection on"
                        self._post(Entry(Kind.NOTE, text))
