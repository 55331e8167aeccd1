"""Entries of the journal that say all that their kind must say."""

from __future__ import annotations

from typing import Any

from backends.journal.entry import Entry, Kind

RUN = {
    "stack": "desk", "environment": "DEMO", "procedure": "halt", "risk": "stop", "operation": "op-1",
}  # fmt: skip
STEP = {"id": "redis", "source": "redis", "state": "sent"}
DIGEST = "ab" * 32
RETIRED = {
    "days": 90,
    "before": {"seq": 0, "hash": "00" * 32},
    "files": [
        {
            "name": "000001.jsonl", "bytes": 700, "sha256": DIGEST, "newest": "2026-01-01T00:00:00.000Z",
            "first": {"seq": 1, "hash": DIGEST}, "last": {"seq": 7, "hash": DIGEST},
        }
    ],
}  # fmt: skip

_MUST: dict[Kind, dict[str, Any]] = {
    Kind.INTENT: {**RUN, "plan": DIGEST, "seen": 7},
    Kind.STEP: {**RUN, "step": STEP, "duration": 0.1},
    Kind.OUTCOME: {**RUN, "verdict": "VERIFIED"},
    Kind.REFUSED: {"stack": "desk"},
    Kind.ABANDONED: {"stack": "desk", "procedure": "halt"},
    Kind.SESSION: {"config": DIGEST},
    Kind.RETIRED: {"retired": RETIRED},
    Kind.ATTEST: {"stack": "desk", "targets": ("morning", "keys"), "verdict": "attested"},
}


def whole(kind: Kind, text: str = "x", **more: Any) -> Entry:
    """An entry of that kind; ``more`` says it otherwise, or more."""
    return Entry(kind, text, **{**_MUST.get(kind, {}), **more})
