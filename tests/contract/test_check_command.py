"""``controlroom check`` on real servers: what passed, failed, cannot be told, and who confirmed."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.journal.verify import read, verify
from tests.servers.demo import isolated_env
from tests.servers.redis import RedisServer
from tests.terminal.program import command
from tui.commands.check import CheckOptions, check
from tui.commands.doctor import examine
from tui.commands.exitcode import UsageError
from tui.commands.session import Session

ME = pwd.getpwuid(os.getuid()).pw_name


class Desk:
    """The desk's config file, and what the command says about it."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = config
        self._capsys = capsys

    def says(
        self, name: str | None, *attest: str, reset: bool = False, watch: bool = False
    ) -> tuple[int, str]:
        options = CheckOptions(attest, is_reset=reset)
        code = check(Session(self.config, watch), name, None, options)
        return code, self._capsys.readouterr().out

    def data(self, name: str | None, *attest: str) -> tuple[int, dict[str, Any]]:
        code = check(Session(self.config), name, None, CheckOptions(attest, as_json=True))
        return code, json.loads(self._capsys.readouterr().out)

    def doctor(self) -> str:
        assert examine(Session(self.config), None) != 0
        return self._capsys.readouterr().out


@pytest.fixture
def desk(
    redis_db: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """Redis answers; the other source takes calls and is silent."""
    redis_db.command("MSET", "kill", "ACTIVE", "kill:copy", "ACTIVE")
    for name, value in isolated_env(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        shutil.copy(Path(__file__).with_name("checked_stack.toml"), tmp_path / "stack.toml")
        config = tmp_path / "config.toml"
        config.write_text(
            f"""
[room]
state_dir = "{tmp_path}/state"
[stack.desk]
file = "stack.toml"
[stack.desk.source.redis]
url = "{redis_db.url}"
[stack.desk.source.mute]
url = "http://127.0.0.1:{mute.getsockname()[1]}"
"""
        )
        yield Desk(config, capsys)


def results(data: dict[str, Any]) -> dict[str, str]:
    return {it["id"]: it["result"] for it in data["checks"]}


def test_what_holds_on_fresh_readings_passes_with_its_evidence_and_age(desk: Desk) -> None:
    code, data = desk.data("queue-short")
    assert (code, data["result"], results(data)) == (0, "passed", {"queue-short": "passed"})
    waiting, switch = data["checks"][0]["demands"]
    assert (waiting["label"], waiting["text"], waiting["result"]) == ("Alerts waiting", "missing", "so")
    assert (switch["text"], switch["demand"]) == ("reads ACTIVE", "must be within its limits")
    assert 0 <= switch["age"] < 2


def test_a_failure_outranks_what_is_unknown_and_a_silent_source_hides_and_delays_nothing(
    desk: Desk, redis_db: RedisServer
) -> None:
    redis_db.command("RPUSH", "alerts", "a", "b", "c")
    began = time.monotonic()
    code, data = desk.data("all")
    assert time.monotonic() - began < 6
    assert results(data) == {
        "active": "passed", "copies": "passed", "queue-short": "failed", "mute-speaks": "unknown",
    }  # fmt: skip
    assert (code, data["result"]) == (4, "failed")
    silent = next(it for it in data["checks"] if it["id"] == "mute-speaks")["demands"][0]
    assert silent["text"].startswith("not readable: ")
    redis_db.command("DEL", "alerts")
    code, data = desk.data("all")
    assert (code, data["result"]) == (5, "unknown")


def test_what_the_room_derives_is_made_of_a_look_taken_for_it(desk: Desk, redis_db: RedisServer) -> None:
    redis_db.command("SET", "kill:copy", "ENGAGED")
    code, text = desk.says("copies")
    assert code == 4
    assert "not so: Switch and copy agree reads false (must read true)" in text
    redis_db.pause()
    assert desk.says("copies")[0] == 5


def test_a_failed_check_says_what_was_read_and_what_to_do(desk: Desk, redis_db: RedisServer) -> None:
    redis_db.command("SET", "kill", "ENGAGED")
    code, text = desk.says("active")
    assert code == 4
    assert "not so: Kill switch reads ENGAGED (must read ACTIVE)" in text
    assert "do: Find out who halted and why." in text
    assert "runbook: Halted" in text


def test_a_known_failure_is_found_or_not_or_nobody_can_tell(desk: Desk, redis_db: RedisServer) -> None:
    assert desk.says("halted-by-script")[0] == 0
    redis_db.command("SET", "kill", "ENGAGED")
    code, text = desk.says("halted-by-script")
    assert code == 4
    assert "cause: The nightly script engages the switch." in text
    assert "FOUND       A script halted" in desk.doctor()
    redis_db.pause()
    assert desk.says("halted-by-script")[0] == 5


def test_an_item_is_confirmed_by_whom_the_system_names_and_stands_in_the_journal_alone(
    desk: Desk, tmp_path: Path
) -> None:
    code, data = desk.data("morning")
    items = {it["id"]: it for it in data["checklists"][0]["items"]}
    assert (code, items["active"]["result"], items["calendar"]["result"]) == (5, "passed", "open")
    done = command(desk.config, dict(os.environ), "check", "morning", "--attest", "calendar")
    assert done.returncode == 0, done.stderr
    assert f"confirmed by {ME}, " in done.stdout
    code, data = desk.data("morning")
    assert (code, data["checklists"][0]["items"][1]["by"]) == (0, ME)
    journal = tmp_path / "state" / "journal"
    assert [it["text"] for it in read(journal) if it["kind"] == "attest"] == ["I looked at today's calendar."]
    assert verify(journal).is_whole
    assert desk.says("morning", reset=True)[0] == 5
    desk.says("morning", "calendar")
    shutil.rmtree(journal)
    assert desk.says("morning")[0] == 5


def test_who_only_watches_confirms_nothing_and_is_on_record_once(desk: Desk, tmp_path: Path) -> None:
    assert desk.says("morning", "calendar", watch=True)[0] == 6
    (record,) = read(tmp_path / "state" / "journal")
    assert (record["kind"], record["mode"]) == ("refused", "watch")
    assert record["text"] == "confirming morning refused: this room only watches"
    assert desk.says("morning")[0] == 5


def test_what_is_not_there_is_a_mistake_and_runs_nothing(desk: Desk) -> None:
    for name, item in (("nothing", None), ("active", "calendar"), ("morning", "active")):
        with pytest.raises(UsageError, match=r"morning|checklist"):
            desk.says(name, *([item] if item else []))
    code, text = desk.says(None)
    assert code == 0
    assert {"morning", "queue-short", "halted-by-script"} <= set(text.split())


def test_a_confirmation_without_its_list_is_a_mistake_and_no_listing(desk: Desk) -> None:
    for item, reset in ((("calendar",), False), ((), True)):
        with pytest.raises(UsageError, match="say which checklist"):
            desk.says(None, *item, reset=reset)


def test_what_there_is_to_run_is_listed_for_scripts_too(desk: Desk) -> None:
    code, listed = desk.data(None)
    assert code == 0
    named = {each["id"] for kind in ("checks", "checklists", "diagnoses") for each in listed[kind]}
    assert {"morning", "queue-short", "halted-by-script"} <= named
