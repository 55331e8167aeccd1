"""For how long the journal is kept is configured strictly; how files are cut for it, and the command."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backends.config import Config, ConfigError, load
from backends.journal.chain_file import ChainFile, files_of
from backends.journal.due import turn_of
from backends.journal.entry import Entry, Kind
from backends.journal.verify import read
from tests.clock import FakeClock
from tests.old_journal import DAY, add, names, written
from tui.cli import app
from tui.commands.exitcode import ExitCode, UsageError

RUNNER = CliRunner()


def loaded(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path, env={"HOME": str(tmp_path)})


def test_without_a_word_all_is_kept_for_ever(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[room]\n").keep_days is None
    assert loaded(tmp_path, "[room.journal]\n").keep_days is None
    assert turn_of(None) is None


def test_the_days_are_in_force_and_say_where_they_are_from(tmp_path: Path) -> None:
    made = loaded(tmp_path, "[room.journal]\nkeep_days = 90\n")
    assert made.keep_days == 90
    assert made.origins["room.journal.keep_days"] == f"90 ({tmp_path}/config.toml:2)"


@pytest.mark.parametrize("days", [29, 0, -1, 36_501])
def test_fewer_days_than_the_least_are_refused_at_their_line(tmp_path: Path, days: int) -> None:
    with pytest.raises(ConfigError, match=rf"config.toml:3: .*expected 30 to 36500 days.*, got {days}$"):
        loaded(tmp_path, f"[room]\n[room.journal]\nkeep_days = {days}\n")


def test_a_file_is_ended_after_a_tenth_of_the_days_and_after_thirty_at_the_latest(tmp_path: Path) -> None:
    assert turn_of(30) == 3 * DAY
    assert turn_of(3650) == 30 * DAY
    written(tmp_path, 9)
    assert [len(path.read_bytes().splitlines()) for path in files_of(tmp_path)] == [3, 3, 3]
    clock = FakeClock()
    for day in (1000, 1001, 1004):
        chain = ChainFile(tmp_path)
        chain.append({"v": 1, "at": FakeClock(0.0, day * DAY).now().iso(), "kind": "note"}, is_synced=False)
    assert len(files_of(tmp_path)) == 3, "where nothing is retired, size alone ends a file"
    for path in files_of(tmp_path):
        path.unlink()
    add(tmp_path, clock, Entry(Kind.NOTE, "before the clock was set back"))
    clock.step_wall(-400 * DAY)
    add(tmp_path, clock, Entry(Kind.NOTE, "after"))
    assert len(files_of(tmp_path)) == 1


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Written until yesterday, by the real clock, over two months."""
    written(tmp_path / "journal", 61, FakeClock(wall=time.time() - 61 * DAY))
    return tmp_path / "journal"


def audit(journal: Path, *words: str, rule: str = "[room.journal]\nkeep_days = 30\n") -> tuple[int, str]:
    config = journal.parent / "config.toml"
    config.write_text(f'[room]\nstate_dir = "{journal.parent}"\n{rule}')
    done = RUNNER.invoke(app, ["--config", str(config), "audit", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_a_dry_run_names_what_goes_and_what_stays_and_changes_nothing(journal: Path) -> None:
    before = {path.name: path.read_bytes() for path in journal.iterdir()}
    code, text = audit(journal, "retire", "--dry-run")
    assert code == ExitCode.VERIFIED
    assert "000001.jsonl would be removed: records 1 to 3, 1 KiB, until 20" in text
    assert text.count("would be removed") == 10
    assert "000011.jsonl stays: its youngest record or change is of 20" in text
    assert {path.name: path.read_bytes() for path in journal.iterdir()} == before
    watching = "[room.journal]\nkeep_days = 30\n"
    config = f"watch = true\n{watching}"
    assert audit(journal, "retire", "--dry-run", rule=config) == (code, text)
    assert audit(journal, "retire", rule=config) == (
        ExitCode.FORBIDDEN, "REFUSED: this room only watches\n",
    )  # fmt: skip
    assert len(names(journal)) == 21


def test_the_command_removes_what_the_dry_run_named_and_every_other_verb_goes_on(
    journal: Path, tmp_path: Path
) -> None:
    head = f"61:{list(read(journal))[-1]['hash']}"
    named = audit(journal, "retire", "--dry-run")[1]
    code, text = audit(journal, "retire")
    assert (code, text) == (ExitCode.VERIFIED, named.replace("would be removed", "is removed"))
    code, text = audit(journal, "retire")
    assert (code, text.count("removed")) == (ExitCode.VERIFIED, 0)
    code, text = audit(journal, "verify", "--head", head)
    assert code == ExitCode.VERIFIED
    assert "whole: 32 records, 30 before them retired by rule; all 1 anchored heads are in it" in text
    code, text = audit(journal, "show", "--kind", "retired", "--table")
    assert (code, "records 1 to 30 are removed" in text) == (ExitCode.VERIFIED, True)
    code, text = audit(journal, "export", str(tmp_path / "copy.json"))
    assert code == ExitCode.VERIFIED
    assert '"retired": 30' in (tmp_path / "copy.json").read_text()


def test_a_head_kept_elsewhere_holds_what_is_not_before_it(journal: Path) -> None:
    head = {record["seq"]: record["hash"] for record in read(journal)}
    code, text = audit(journal, "retire", "--head", f"7:{head[7]}")
    assert (code, text.count("is removed")) == (ExitCode.VERIFIED, 2)
    assert "000003.jsonl stays: no later head is anchored" in text
    code, text = audit(journal, "retire", "--head", f"40:{'0' * 64}")
    assert (code, text.startswith("NOT RETIRED: REBUILT: record 40")) == (ExitCode.CONFLICT, True)
    assert names(journal)[0] == "000003.jsonl"


def test_what_cannot_be_done_is_said_and_no_success(journal: Path) -> None:
    with pytest.raises(UsageError, match="name keep_days"):
        audit(journal, "retire", rule="")
    away = '[room.journal]\nkeep_days = 30\n[room.anchor]\nkind = "redis"\nurl = "redis://127.0.0.1:9/0"\n'
    code, text = audit(journal, "retire", rule=away)
    assert (code, text.startswith("UNKNOWN: ")) == (ExitCode.UNKNOWN, True)
    path = files_of(journal)[0]
    touched = path.stat().st_mtime
    path.write_bytes(path.read_bytes().replace(b"day 1", b"day 7"))
    os.utime(path, (touched, touched))
    for words in (("retire",), ("retire", "--dry-run")):
        code, text = audit(journal, *words)
        assert (code, text.startswith("NOT RETIRED: DAMAGED: 000001.jsonl line 2")) == (
            ExitCode.CONFLICT,
            True,
        )
    assert len(names(journal)) == 21
