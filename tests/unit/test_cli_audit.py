"""``controlroom audit``: damage is named and no success, records are found, a copy is private and inert."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backends.journal.chain_file import ChainFile, files_of
from backends.journal.query import Query, moment
from backends.model.clock import Instant
from tui.cli import app
from tui.commands.session import Session, UsageError, engine_of
from tui.commands.verdict import ExitCode

RUNNER = CliRunner()
NOW = Instant(0.0, 1_795_269_785.118)


def write(folder: Path, count: int = 6) -> list[dict[str, Any]]:
    """Two operations of three records each, a minute apart; the texts try to act on a terminal."""
    chain, bodies = ChainFile(folder), []
    for number in range(count):
        body = {
            "v": 1,
            "at": f"2026-11-21T14:0{number}:00.000Z",
            "kind": ("intent", "step", "outcome")[number % 3],
            "operation": f"op-{number // 3}-4711",
            "stack": ("tp", "desk")[number // 3],
            "operator": {"user": "kim"},
            "text": f"\x1b[2J\x7f\u202e step {number} password=hunter22",
        }
        chain.append(body, is_synced=False)
        bodies.append(body)
    return bodies


def audit(*arguments: object) -> tuple[int, str]:
    done = RUNNER.invoke(app, ["audit", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def shown(*arguments: object) -> list[Any]:
    return [json.loads(line)["seq"] for line in audit("show", "--json", *arguments)[1].splitlines()]


def test_a_whole_journal_verifies_and_tells_its_head(tmp_path: Path) -> None:
    write(tmp_path)
    code, text = audit("verify", "--journal", tmp_path)
    assert code == ExitCode.VERIFIED
    assert "whole: 6 records" in text
    assert "head: 6:" in text


def test_damage_is_no_success_and_is_named_by_file_line_and_record(tmp_path: Path) -> None:
    write(tmp_path)
    (path,) = files_of(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"step 3", b"step 9"))
    code, text = audit("verify", "--journal", tmp_path)
    assert code == ExitCode.CONFLICT
    assert "DAMAGED: 000001.jsonl line 4: record 4 was changed" in text


def test_a_journal_that_cannot_be_read_is_unknown_and_one_that_is_not_there_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "000001.jsonl").mkdir()
    code, text = audit("verify", "--journal", tmp_path)
    assert code == ExitCode.UNKNOWN
    assert "cannot be read" in text
    with pytest.raises(UsageError, match="no journal"):
        audit("verify", "--journal", tmp_path / "nowhere")


def test_where_no_record_is_nothing_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was recorded yet, or all of it is gone: nobody can tell from what is left."""
    monkeypatch.setenv("CONTROLROOM_STATE_DIR", str(tmp_path / "nowhere"))
    for more in ((), ("--journal", tmp_path)):
        code, text = audit("verify", *more)
        assert code == ExitCode.UNKNOWN
        assert "UNKNOWN: there is no record in " in text


def test_records_are_found_by_time_operation_stack_kind_and_number(tmp_path: Path) -> None:
    write(tmp_path)
    where = ("--journal", tmp_path)
    assert shown(*where) == [1, 2, 3, 4, 5, 6]
    assert shown(*where, "--last", 2) == [5, 6]
    assert shown(*where, "--since", "2026-11-21T14:04") == [5, 6]
    assert shown(*where, "--since", "2026-11-21T15:04+01:00", "--last", 9) == [5, 6]
    assert shown(*where, "--operation", "op-0") == [1, 2, 3]
    assert shown(*where, "--stack", "desk", "--kind", "step") == [5]
    assert shown(*where, "--operation", "op-9") == []
    assert (
        "no such record"
        in RUNNER.invoke(app, ["audit", "show", "--journal", str(tmp_path), "--kind", "clock"]).stderr
    )


def test_a_time_ago_is_counted_from_now_and_nonsense_is_refused() -> None:
    assert moment("90s", NOW) == "2026-11-21T14:01:35.118Z"
    assert moment("7d", NOW) == "2026-11-14T14:03:05.118Z"
    with pytest.raises(ValueError, match="expected 30m"):
        moment("yesterday", NOW)
    assert Query().select([{}]) == [{}]


@pytest.mark.parametrize("face", ["--json", "--table"])
def test_what_a_record_says_cannot_act_on_the_terminal(tmp_path: Path, face: str) -> None:
    write(tmp_path)
    code, text = audit("show", face, "--journal", tmp_path)
    assert code == ExitCode.VERIFIED
    assert "step 5" in text
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert len(text.splitlines()) == 6


def test_where_no_record_is_nothing_is_exported_as_whole(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    target = tmp_path / "copy.json"
    code, text = audit("export", target, "--journal", tmp_path / "journal")
    assert (code, "UNKNOWN: there is no record" in text) == (ExitCode.UNKNOWN, True)
    assert not target.exists()


def test_an_export_is_private_inert_without_secrets_and_says_whether_the_journal_is_whole(
    tmp_path: Path,
) -> None:
    folder, target = tmp_path / "journal", tmp_path / "copy.json"
    write(folder)
    code, text = audit("export", target, "--operation", "op-1", "--journal", folder)
    assert code == ExitCode.VERIFIED
    assert "3 records" in text
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    copy = json.loads(target.read_text("ascii"))
    assert [record["seq"] for record in copy["records"]] == [4, 5, 6]
    assert copy["verification"] == {
        "whole": True, "result": "whole: 6 records", "records": 6, "repairs": 0, "retired": 0,
    }  # fmt: skip
    assert copy["head"] == {"seq": 6, "hash": copy["records"][-1]["hash"]}
    assert "hunter22" not in target.read_text()
    assert all(str(record["text"]).isprintable() for record in copy["records"])
    with pytest.raises(UsageError, match="exists already"):
        audit("export", target, "--journal", folder)
    (path,) = files_of(folder)
    path.write_bytes(path.read_bytes()[:-10])
    assert audit("export", tmp_path / "other.json", "--journal", folder)[0] == ExitCode.CONFLICT
    assert json.loads((tmp_path / "other.json").read_text())["verification"]["whole"] is False


def test_looking_at_the_journal_loads_no_screen_and_no_client(tmp_path: Path) -> None:
    write(tmp_path)
    program = (
        "import sys; from tui.cli import app\n"
        f"app(['audit', 'show', '--journal', {str(tmp_path)!r}], standalone_mode=False)\n"
        "print(sorted({n.split('.')[0] for n in sys.modules} & {'textual','rich','redis','httpx','psycopg'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("operator", "shown_as"),
    [
        ({"user": "kim", "uid": 1000}, "kim  "),
        ({"user": "ops", "uid": 1001, "shared": True}, "ops, shared"),
        ({"user": "root", "uid": 0, "shared": True, "login": "kim"}, "root by kim, shared"),
    ],
)
def test_a_shared_account_is_shown_as_one(tmp_path: Path, operator: dict[str, Any], shown_as: str) -> None:
    body = {"v": 1, "at": "2026-11-21T14:00:00.000Z", "kind": "note", "text": "x", "operator": operator}
    ChainFile(tmp_path).append(body, is_synced=False)
    assert f"  {shown_as}" in audit("show", "--table", "--journal", tmp_path)[1]


def test_the_program_says_so_of_the_accounts_its_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 61234)
    for names, is_shared in (("[]", False), ('["uid 61234"]', True)):
        config = tmp_path / "config.toml"
        config.write_text(f'[room]\nstate_dir = "{tmp_path}/state"\nshared_accounts = {names}\n')
        made = engine_of(Session(config).config(), ())
        made.start()
        made.stop()
        assert made.operator.is_shared is is_shared
