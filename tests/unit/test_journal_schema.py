"""Every kind of record has its one shape: what it must say is there, and nothing that is not described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backends.journal.chain_file import ChainFile
from backends.journal.entry import Kind, Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.schema import json_schema, misfit
from backends.journal.verify import read
from backends.model.intent import Identity
from tests.clock import FakeClock
from tests.records import DIGEST, RETIRED, whole
from tests.sim.world import KIM
from tui.cli import app

FACT = {"fact": "kill.state", "value": "ACTIVE", "quality": "fresh", "age": 0.2}
FULL = {
    Kind.INTENT: {
        "operator": Identity("root", 0, "ops2", is_shared=True, login="lee"), "approver": "kim",
        "approval": "0a1b2c3d",
        "via": "screen", "reason": "drill",
        "targets": ("redis",), "before": (FACT, {"require": "long", "standing": "holds", "text": "90 s"}),
    },
    Kind.STEP: {
        "step": {
            "id": "redis", "source": "redis", "state": "verified", "try": 1, "receipt": "done", "took": 0.01,
            "before": {"state": "ACTIVE"}, "after": None,
            "evidence": [{"fact": "k", "sight": "holds", "text": "x"}],
        },
    },
    Kind.OUTCOME: {"rung": 1, "after": (FACT,), "duration": 0.4, "is_degraded": True, "mode": "dry"},
    Kind.RETIRED: {"config": DIGEST},
    Kind.REFUSED: {"environment": "LIVE", "procedure": "halt", "operation": "op-9", "verdict": "REFUSED"},
}  # fmt: skip
OF_THE_ROOM = [kind for kind in Kind if kind is not Kind.REPAIR]


@pytest.fixture
def records(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """One record of every kind, by its kind, as the journal itself wrote it."""
    journal = Journal(tmp_path, Session(KIM, "0.1.0"), FakeClock(), Redactor())
    for kind in OF_THE_ROOM:
        journal.post(whole(kind, **FULL.get(kind, {})))
    assert journal.close(30) == 0
    with (tmp_path / "000001.jsonl").open("ab") as file:
        file.write(b'{"torn')
    again = Journal(tmp_path, Session(KIM, "0.1.0"), FakeClock(), Redactor())
    again.post(whole(Kind.NOTE, "after it"))
    assert again.close(30) == 0
    return {record["kind"]: record for record in read(tmp_path)}


def test_a_record_of_every_kind_has_it(records: dict[str, dict[str, Any]]) -> None:
    assert records.keys() == {kind.value for kind in Kind}
    assert {kind: misfit(record) for kind, record in records.items()} == dict.fromkeys(records)


EVERY = (
    "v",
    "seq",
    "at",
    "mono",
    "host",
    "boot",
    "pid",
    "build",
    "mode",
    "operator",
    "session",
    "text",
    "prev",
    "hash",
)
MUST = {
    "intent": ("stack", "environment", "procedure", "class", "operation", "plan", "seen"),
    "step": ("stack", "environment", "procedure", "class", "operation", "step", "duration"),
    "outcome": ("stack", "environment", "procedure", "class", "operation", "verdict"),
    "refused": ("stack",), "abandoned": ("stack", "procedure"), "session": ("config",),
    "attest": ("stack", "targets", "verdict"), "repair": ("torn",), "clock": (), "note": (),
    "retired": ("retired",),
}  # fmt: skip


@pytest.mark.parametrize("kind", MUST)
def test_without_any_one_of_what_it_must_say_it_is_none(
    records: dict[str, dict[str, Any]], kind: str
) -> None:
    for name in (*EVERY, *MUST[kind], "kind"):
        left = {key: value for key, value in records[kind].items() if key != name}
        assert misfit(left) is not None, name
    assert misfit({**records[kind], "more": 1}) is not None


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("note", "at", "2026-11-28T15:00:00Z"), ("note", "at", "2026-11-28 15:00:00.000Z"), ("note", "v", 2),
        ("note", "mode", "real"), ("note", "hash", "ab"), ("note", "seq", 0), ("note", "pid", "1"),
        ("note", "operator", {"user": "kim"}), ("note", "session", {"tty": None}), ("note", "kind", "other"),
        ("intent", "class", "big"), ("intent", "environment", "demo"), ("intent", "plan", "latest"),
        ("intent", "before", [{"colour": "red"}]), ("attest", "targets", []),
        ("attest", "verdict", "VERIFIED"),
        ("retired", "retired", {**RETIRED, "files": []}), ("retired", "retired", {"days": 90}),
        ("retired", "retired", {**RETIRED, "files": [{**RETIRED["files"][0], "name": "../kept"}]}),
        ("step", "step", {"id": "a", "state": "sent"}), ("note", "audit_degraded", False),
    ],
)  # fmt: skip
def test_what_says_it_otherwise_is_none(
    records: dict[str, dict[str, Any]], kind: str, name: str, value: object
) -> None:
    assert misfit({**records[kind], name: value}) is not None


def test_an_auditor_gets_the_same_as_json_schema() -> None:
    done = CliRunner().invoke(app, ["audit", "schema"])
    assert done.exit_code == 0
    assert json.loads(done.output) == json_schema()
    kinds = [each["properties"].get("kind", {}).get("enum", []) for each in json_schema()["$defs"].values()]
    assert {kind.value for kind in Kind} <= {word for words in kinds for word in words}


def test_a_journal_of_another_shape_is_seen_in_any_test(tmp_path: Path) -> None:
    """What looks through every journal that tests leave behind."""
    from tests.servers.records import misfits

    folder = tmp_path / "journal"
    bare = {"v": 1, "kind": "note", "text": "by hand", "build": "0.1.0"}
    ChainFile(folder).append(bare, is_synced=False)
    assert len(misfits(tmp_path)) == 1
    (folder / "000001.jsonl").unlink()
