"""JSON is JSON in UTF-8, whatever the terminal or the job that asked for it can write."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.servers.demo import isolated_env
from tests.servers.redis import RedisServer
from tests.terminal.program import CONTROLROOM, ROOT
from tests.terminal.two_steps import STACK, configured

TITLE = "Zürich “live” 😀"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize(
    "asked",
    [("status",), ("run", "--list"), ("run", "halt", "--dry-run"), ("run", "halt", "--no-wait"), ("check",)],
    ids=" ".join,
)
def test_every_document_is_one_and_says_what_it_says(
    redis_db: RedisServer, tmp_path: Path, asked: tuple[str, ...], encoding: str
) -> None:
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    stack = tmp_path / "stack.toml"
    stack.write_text(STACK.read_text().replace('title = "', f'title = "{TITLE} '))
    config = configured(tmp_path, redis_db.url)
    config.write_text(config.read_text().replace(str(STACK), str(stack)))
    done = subprocess.run(
        [*CONTROLROOM, "--config", str(config), *asked, "--json"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=40, cwd=ROOT, check=False,
        env=isolated_env(tmp_path) | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.stderr == b""
    told = json.dumps(json.loads(done.stdout.decode("utf-8")), ensure_ascii=False)
    assert ("“live” 😀" in told) is (asked != ("check",)), "a stack without checks names none"
    assert ("Zürich" in told) is ("“live”" in told)
