"""What the configured anchor knows of a journal, for whoever checks it. Reads only."""

from __future__ import annotations

import threading
from typing import Final

from backends.model.anchor import AnchorError, AnchorPlace, Mark

PATIENCE: Final = 8.0
"""Seconds for the answer, whatever the client library thinks."""


def anchored(place: AnchorPlace, host: str, journal: str) -> list[Mark]:
    """The heads it holds, newest first. Raises AnchorError, also when it does not answer in time."""
    found: list[Mark] = []
    failed: list[AnchorError] = []

    def ask() -> None:
        from backends.readers.anchor import marks  # noqa: PLC0415 (its client library loads when needed)

        try:
            found.extend(marks(place, host, journal))
        except AnchorError as error:
            failed.append(error)
        except Exception as error:
            # Without this a fault would look like an anchor that holds nothing.
            failed.append(AnchorError(f"{place.kind.value}: a fault: {type(error).__name__}"))

    # A thread that is not waited for: some client libraries wait for a hung server for ever.
    thread = threading.Thread(target=ask, name="anchored", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        raise AnchorError(f"{place.kind.value}: no answer within {PATIENCE:g} s")
    if failed:
        raise failed[0]
    return found
