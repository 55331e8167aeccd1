"""Secrets that are replaced while the room runs: read anew from their files, the old ones stay hidden."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from backends.journal.entry import Entry, Kind
from backends.model.secret import Secret
from backends.secret_file import CredentialError

EVERY: Final = 20.0
"""Seconds between two looks at the files."""


async def keep_renewed(secrets: Iterable[Secret], post: Callable[[Entry], None]) -> None:
    """Renew each until cancelled, and journal that one was replaced. A file that is gone or cannot be trusted
    for the moment leaves the secret as it was.
    """
    known = tuple(secrets)
    while True:
        await asyncio.sleep(EVERY)
        for secret in known:
            try:
                is_new = await asyncio.to_thread(secret.renew)
            except CredentialError:
                continue
            if is_new:
                post(Entry(Kind.NOTE, "a credential was replaced; it is used from the next connection on"))
