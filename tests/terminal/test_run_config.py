"""What a command does is on record with the configuration that it was decided under."""

from __future__ import annotations

import json
from pathlib import Path

from backends.config import load
from tests.servers.between import journal
from tests.servers.demo import isolated_env
from tests.servers.redis import RedisServer
from tests.terminal.program import command
from tests.terminal.two_steps import configured

HALT = ("run", "halt", "--stack", "two-steps", "--reason", "the quarterly exercise", "--no-wait")


def test_an_intent_names_its_configuration_and_another_one_has_another_name(
    redis_db: RedisServer, tmp_path: Path
) -> None:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    config, env, digests = tmp_path / "config.toml", isolated_env(tmp_path), []
    for every in ("1.0", "2.0"):
        with configured(tmp_path, redis_db.url).open("a") as file:
            file.write(f"every = {every}\n")
        digests.append(load(config, env=env).digest)
        done = command(config, env, *HALT)
        assert done.returncode == 0, done.stdout + done.stderr
    assert digests[0] != digests[1]
    intents = [each for each in journal(tmp_path) if each["kind"] == "intent"]
    assert [each["config"] for each in intents] == digests


def test_a_stop_goes_without_a_secret_that_cannot_be_read_and_says_so(
    redis_db: RedisServer, tmp_path: Path
) -> None:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    config, env = configured(tmp_path, redis_db.url), isolated_env(tmp_path)
    with config.open("a") as file:
        file.write('password_file = "/nowhere/redis"\n')
    done = command(config, env, *HALT, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["verdict"] == "VERIFIED"
    assert done.stderr.count("\n") == 1
    assert "goes without this" in done.stderr
    assert "/nowhere/redis" in done.stderr
    notes = [each["text"] for each in journal(tmp_path) if each["kind"] == "note"]
    assert [note for note in notes if "goes without this" in note and "/nowhere/redis" in note]
    for other in (("status",), (*HALT, "--dry-run")):
        assert command(config, env, *other).returncode == 2
