"""The doctor on real servers: what works, what does not and why, and what the credentials may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.servers.demo import isolated_env
from tests.servers.redis import RedisServer
from tests.terminal.program import command
from tui.commands.ability import only_reads

pytestmark = pytest.mark.alone
"""What each source says is told apart from one that only has no time to say it."""

PASSWORD = "canary-of-the-doctor-4711"


@pytest.fixture
def report(redis_db: RedisServer, postgres_dsn: str, tmp_path: Path) -> Iterator[str]:
    """The doctor's words on a stack whose parts are each wrong in their own way."""
    rules = ("on", f">{PASSWORD}", "~*", "-@all", "+@read", "+@connection", "+info", "+acl|whoami")
    redis_db.command("ACL", "SETUSER", "watcher", *rules)
    with psycopg.connect(postgres_dsn, autocommit=True) as link:
        link.execute("DROP ROLE IF EXISTS watcher")
        link.execute("CREATE ROLE watcher LOGIN")
    base = "stack.trading-platform.source"
    anybody = re.sub(r"//[^/@]*@", "//", postgres_dsn)  # two users for one source would be refused
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
[stack.trading-platform]
environment = "paper"
[{base}.redis]
url = "redis://127.0.0.1:{redis_db.port}/0"
username = "watcher"
password_env = "DOCTOR_PASSWORD"
[{base}.redis-sessions]
url = "redis://127.0.0.1:{redis_db.port}/1"
[{base}.redis-limits]
url = "redis://127.0.0.1:{redis_db.port}/2"
username = "nobody"
password_env = "DOCTOR_PASSWORD"
[{base}.postgres]
url = "{anybody}"
username = "watcher"
[{base}.docker]
url = "unix://{tmp_path}/nobody.sock"
[{base}.gateway]
url = "http://127.0.0.1:{redis_db.port}"
"""
    )
    env = isolated_env(tmp_path) | {"DOCTOR_PASSWORD": PASSWORD}
    try:
        done = command(config, env, "doctor")
    finally:
        redis_db.command("ACL", "DELUSER", "watcher")
        with psycopg.connect(postgres_dsn, autocommit=True) as link:
            link.execute("DROP ROLE watcher")
    assert done.returncode == 5, done.stderr  # no switch is set: nobody knows whether it trades
    assert PASSWORD not in done.stdout + done.stderr
    yield done.stdout


def block(report: str, source: str) -> str:
    """What the report says about one source."""
    found = re.search(rf"^  {source} .*?(?=^  \S|\Z)", report, re.MULTILINE | re.DOTALL)
    assert found is not None, report
    return found.group()


def test_every_source_has_its_verdict_its_reason_and_its_advice(report: str) -> None:
    sessions = block(report, "redis-sessions")
    assert "works" in sessions
    assert "+@all" in sessions
    assert "more than the wall needs" in sessions
    limits = block(report, "redis-limits")
    assert "DOES NOT WORK" in limits
    assert re.search(r"why: .*password", limits)
    assert "password_env or password_file" in limits
    docker = block(report, "docker")
    assert "DOES NOT WORK" in docker
    assert "[stack.trading-platform.source.docker] url" in docker
    gateway = block(report, "gateway")
    assert "DOES NOT WORK" in gateway
    assert "why:" in gateway


def test_a_user_that_only_reads_is_known_as_one(report: str) -> None:
    assert "read only" in block(report, "postgres")
    redis = block(report, "redis")
    assert "may    unknown" in redis or "+@read" in redis
    assert "more than the wall needs" not in redis


def test_effective_values_come_with_their_origin(report: str) -> None:
    assert re.search(r"source\.redis\.username +watcher \(.*config\.toml:\d+\)", report)
    assert re.search(r"source\.redis\.password +\*\*\*\*4711 \(.*DOCTOR_PASSWORD.*\)", report)
    assert re.search(r"source\.orchestrator\.url +http://\S+ \(stack file\)", report)


@pytest.mark.parametrize(
    ("rule", "is_so"),
    [
        ("-@all +@read", True),
        ("-@all +@read +@connection +info", True),
        ("-@all +@read +set", False),
        ("+@all", False),
        ("+@all -@write", False),
        ("-@all +@read +@write", False),
    ],
)
def test_a_redis_rule_is_read_only_when_all_it_allows_is_reading(rule: str, is_so: bool) -> None:
    assert only_reads(rule) is is_so
