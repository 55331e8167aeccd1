"""A copy of records to hand on: made safe to show anywhere, with what is known about where it came from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from backends.journal.redact import Redactor
from backends.journal.verify import Verification
from backends.model.safetext import SafeText

SCHEMA: Final = 1


def safe(value: Any) -> Any:
    """The same for anything JSON can hold, with every text inert on any terminal."""
    if isinstance(value, str):
        return str(SafeText(value))
    if isinstance(value, Mapping):
        return {str(SafeText(key)): safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [safe(item) for item in value]
    return value


def bundle(
    records: Sequence[Mapping[str, Any]],
    verification: Verification,
    redactor: Redactor,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The document: head and result of the check first, then the records as they may be shown.

    A record whose text had to be made safe no longer matches its hash; the hash still names the original.
    """
    return {
        "schema": SCHEMA,
        **safe(about),
        "head": {"seq": verification.head.seq, "hash": verification.head.hash},
        "verification": {
            "whole": verification.is_whole,
            "result": str(SafeText(verification)),
            "records": verification.records,
            "repairs": verification.repairs,
            "retired": verification.retired,
        },
        "records": [safe(redactor.value(record)) for record in records],
    }


def write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Write it as a new file that only its owner may read. Raises OSError; an existing file is left alone."""
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
