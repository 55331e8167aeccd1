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
    """Looks at the files of ``secrets`` now and then, and at once when somebody asks for it; at each for
    itself, so that one on a disk that hangs keeps no other from being renewed.
    """

    def __init__(self, secrets: Iterable[Secret], post: Callable[[Entry], None]) -> None:
        self._secrets = tuple((secret, asyncio.Event()) for secret in secrets)
        self._post = post

    def hurry(self) -> None:
        """Look now: something is to be done with them that must not fail for an old one."""
        for _, asked in self._secrets:
            asked.set()

    async def keep(self) -> None:
        """Renew each until cancelled, and journal that one was replaced. A file that is gone or cannot be
        trusted for the moment leaves the secret as it was.
        """
        await asyncio.gather(*(self._keep(secret, asked) for secret, asked in self._secrets))

    async def _keep(self, secret: Secret, asked: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), EVERY)
            asked.clear()
            with suppress(CredentialError):
                if await asyncio.to_thread(secret.renew):
                    text = "a credential was replaced; it is used from the next connection on"
                    self._post(Entry(Kind.NOTE, text))
