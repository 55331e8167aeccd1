"""Whoever wants to consent by command and may not is told so, and is on record once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.identity import identify
from backends.journal.verify import read
from backends.model.clock import SystemClock
from backends.model.intent import Identity
from backends.procedures.approval import ApprovalBook
from tests.sim.desk import asked
from tui.commands.approve import approve
from tui.commands.exitcode import ExitCode
from tui.commands.session import Session

STACK = "trading-platform"
PLAN = "a" * 64
ME = identify()
OTHER = Identity("kim", os.getuid() + 1, "ops1")
REFUSED, FORBIDDEN = ExitCode.PRECONDITION, ExitCode.FORBIDDEN


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[room]\nstate_dir = "{tmp_path}/state"\n[stack.{STACK}]\n')
    path.chmod(0o600)
    return path


def requested(config: Path, by: Identity) -> str:
    """The code of a request of theirs."""
    book = ApprovalBook(config.parent / "state" / "approvals", SystemClock())
    return book.request(replace(asked("resume"), stack=STACK, operator=by), PLAN).code


def word(config: Path, code: str) -> str:
    """What confirms that request as it stands now."""
    book = ApprovalBook(config.parent / "state" / "approvals", SystemClock())
    return next(each.word for each in book.pending() if each.code == code)


def records(config: Path) -> list[dict[str, Any]]:
    return list(read(config.parent / "state" / "journal"))


@pytest.mark.parametrize(
    ("by", "confirm", "is_watch", "status", "why"),
    [
        (ME, None, False, REFUSED, "another person must approve"),
        (OTHER, "resume", False, REFUSED, "it is not what was confirmed"),
        (OTHER, None, True, FORBIDDEN, "this room only watches"),
        (None, "resume", False, REFUSED, "nobody waits for it"),
    ],
    ids=["their own", "only its procedure", "while watching", "no such request"],
)
def test_a_consent_that_is_refused_is_on_record_once(
    config: Path, by: Identity | None, confirm: str | None, is_watch: bool, status: ExitCode, why: str
) -> None:
    code = "0badc0de" if by is None else requested(config, by)
    assert approve(Session(config, is_watch), code, STACK, confirm or word(config, code)) is status
    (record,) = records(config)
    assert (record["kind"], record["stack"], record["operator"]["user"]) == ("refused", STACK, ME.user)
    assert record["text"].startswith(f"approval of {code} refused: ")
    assert why in record["text"]
    assert record["mode"] == ("watch" if is_watch else "live")


def test_who_only_reads_what_is_asked_for_is_on_no_record(config: Path) -> None:
    assert approve(Session(config), requested(config, OTHER), STACK, None) is REFUSED
    assert not (config.parent / "state" / "journal").exists()


def test_a_consent_is_on_record_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = requested(config, OTHER)
    assert approve(Session(config), code, STACK, word(config, code)) is ExitCode.VERIFIED
    (record,) = records(config)
    assert (record["kind"], record["procedure"]) == ("note", "resume")
    assert f"request {code}, plan {PLAN}" in record["text"]
    assert "NOT ON RECORD" not in capsys.readouterr().out


def test_a_consent_that_could_not_be_put_on_record_says_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = requested(config, OTHER)
    # No folder can be made there: the disk takes the approval and not the record.
    (config.parent / "state" / "journal").write_text("")
    assert approve(Session(config), code, STACK, word(config, code)) is ExitCode.VERIFIED
    said = " ".join(capsys.readouterr().out.split())
    assert f"APPROVED. kim may now run it once: --approval {code}" in said
    assert f"NOT ON RECORD: {config.parent / 'state' / 'journal'} could not be written." in said


def test_a_request_that_is_rewritten_while_it_is_read_gets_no_consent(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a file of whoever asks, who may put another plan in the place of the one that was shown."""
    code = requested(config, OTHER)
    folder = config.parent / "state" / "approvals"

    def rewrite(*_shown: object) -> None:
        file = folder / f"{code}.request"
        file.write_text(file.read_text().replace(PLAN, "b" * 64))

    monkeypatch.setattr("tui.commands.approve._describe", rewrite)
    assert approve(Session(config), code, STACK, word(config, code)) is REFUSED
    assert not (folder / f"{code}.approval").exists()
    (record,) = records(config)
    assert "has changed since it was shown" in record["text"]


def test_whoever_approves_is_told_when_a_request_is_not_a_file_of_whom_it_names(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for by, is_told in ((OTHER, True), (replace(OTHER, user=ME.user), False)):
        approve(Session(config), requested(config, by), STACK, None)
        assert (f"the request is a file of {ME.user}" in capsys.readouterr().out) is is_told


@pytest.mark.parametrize(
    ("was", "becomes"),
    [(PLAN, "b" * 64), ("ticket OPS-7", "ticket OPS-8"), ('"params": {}', '"params": {"bot": "bot1"}')],
    ids=["plan", "reason", "what was chosen"],
)
def test_a_request_that_was_rewritten_since_it_was_read_gets_no_consent(
    config: Path, capsys: pytest.CaptureFixture[str], was: str, becomes: str
) -> None:
    code = requested(config, OTHER)
    assert approve(Session(config), code, STACK, None) is REFUSED
    confirm = capsys.readouterr().out.split("--confirm ")[-1].strip()
    file = config.parent / "state" / "approvals" / f"{code}.request"
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, becomes))
    assert approve(Session(config), code, STACK, confirm) is REFUSED
    assert not file.with_suffix(".approval").exists()
    assert confirm not in capsys.readouterr().out
