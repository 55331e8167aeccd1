"""A secret in every source of the demo: none is seen anywhere while the room, a stop and a routine run."""

from __future__ import annotations

import base64
import json
import os
import resource
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import redis

from backends.journal.dress import Dress
from tests.servers.demo import DemoWorld
from tests.servers.process import wait_until
from tests.terminal.program import CONTROLROOM, ROOT, cold_command, panes_are_filled, room
from tests.terminal.test_room import open_dialog

pytestmark = pytest.mark.linux

IN_REDIS = 'redis/canary+7Qf"2xk'
DRESSED = (
    IN_REDIS, quote(IN_REDIS, safe=""), json.dumps(IN_REDIS)[1:-1],
    base64.b64encode(IN_REDIS.encode()).decode(),
)  # fmt: skip
"""As careless services write it."""
IN_POSTGRES = "pg-canary-9Zr4mw"
IN_PROMETHEUS = "prom-canary-3Lt8vb"
BY_DEMO = ("jwt_private.key", "internal_token_secret")

TAR = """#!/bin/sh
tr '\\0' '\\n' < /proc/$$/environ > "{seen}/environ"
tr '\\0' ' ' < /proc/$$/cmdline > "{seen}/argv"
exec /usr/bin/env PATH="{path}" tar "$@"
"""
"""What the room starts as its child, seen from within."""

STACK = ("--stack", "trading-platform")


@dataclass
class Told:
    """All that could be seen of a run."""

    secrets: dict[str, str]
    tty: bytes = b""
    log: str = ""
    """The screen when the log had a line with one in it."""
    printed: dict[str, str] = field(default_factory=dict)
    argvs: set[str] = field(default_factory=set)
    child: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    """Every file below the state folder, and what was exported."""

    def hits(self, text: str) -> list[str]:
        return [name for name, secret in self.secrets.items() if Dress(secret).masked(text, "") != text]


class Watcher:
    """Looks at the command line of every process of this machine, again and again."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> set[str]:
        self._ends.set()
        self._thread.join()
        return self.seen

    def _work(self) -> None:
        while not self._ends.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue


def guarded(world: DemoWorld, folder: Path) -> Path:
    """The demo's config with a secret for every server that can ask for one, and one in what it shows."""
    with redis.Redis.from_url(world["redis"]) as client:
        client.execute_command("ACL", "SETUSER", "room", "on", f">{IN_REDIS}", "~*", "&*", "+@all")
        told = json.loads(str(client.get("kill_switch:state").decode()))  # type: ignore[union-attr]  # it is there
        told["engagement_reason"] = f"a careless service wrote {' '.join(DRESSED)} here"
        client.set("kill_switch:state", json.dumps(told))
    text, lines = world.config.read_text(), []
    for name, secret in (("redis", IN_REDIS), ("prometheus", IN_PROMETHEUS)):
        path = folder / name
        path.touch(0o600)
        path.write_text(secret + "\n")
    for line in text.splitlines():
        if line.startswith('url = "redis:'):
            lines += [line, 'username = "room"', f'password_file = "{folder}/redis"']
        elif line.startswith('url = "postgresql:'):
            lines += ['url_env = "CANARY_DSN"']
        elif line == f'url = "{world["http"]["prometheus"]}"':
            lines += [line, 'username = "room"', f'password_file = "{folder}/prometheus"']
        elif line != 'username = "trader"':
            lines += [line]
    config = folder / "guarded.toml"
    config.write_text("\n".join(lines))
    return config


def say_in_log(world: DemoWorld, words: str) -> None:
    """Have the orchestrator write a line with these words: it tells what a release was noted with."""
    for path, body in (
        ("engage", {"operator": "kim", "reason": "drill"}),
        ("disengage", {"operator": "kim", "notes": words}),
    ):
        url = f"{world['http']['orchestrator']}/api/v1/kill-switch/{path}"
        httpx.post(url, json=body, timeout=5.0).raise_for_status()


def guarded_are_up(status: str) -> bool:
    sources = {each["id"]: each["up"] for each in json.loads(status)["stacks"][0]["sources"]}
    return all(
        sources[name]
        for name in ("redis", "postgres", "prometheus", "gateway", "gateway-account", "gateway-switch")
    )


@pytest.fixture(scope="module")
def told(world: DemoWorld, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The room on a terminal with a stop, a routine that starts a program, and every report."""
    folder, seen = tmp_path_factory.mktemp("guarded"), tmp_path_factory.mktemp("seen")
    programs = tmp_path_factory.mktemp("programs")
    (programs / "tar").write_text(TAR.format(seen=seen, path=os.environ["PATH"]))
    (programs / "tar").chmod(0o755)
    secrets = {"redis": IN_REDIS, "postgres": IN_POSTGRES, "prometheus": IN_PROMETHEUS}
    for name in BY_DEMO:
        secrets[name] = (world.config.parent / name).read_text().strip().splitlines()[-1 - ("jwt" in name)]
    it, config = Told(secrets), guarded(world, folder)
    dsn = str(world["postgres"]).replace("trader@", f"trader:{IN_POSTGRES}@")
    env = {**world.env, "CANARY_DSN": dsn, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(*words: str) -> str:
        done = cold_command(config, env, *words)
        it.printed[words[0] + words[-1]] = done.stdout + done.stderr
        return done.stdout

    watcher = Watcher()
    wait_until(lambda: guarded_are_up(run("status", "--json")), 60, "every guarded source answers")
    terminal = room(config, env)
    try:
        terminal.wait_for(panes_are_filled, 30)
        say_in_log(world, " ".join(DRESSED))
        it.log = terminal.wait_for("Kill-switch disengaged: **** **** **** ****", 15)
        open_dialog(terminal)
        terminal.press("h")
        terminal.wait_for("VERIFIED", 10)
        terminal.press("escape")
        terminal.wait_for(lambda text: "HALTED" in text and "Know that" not in text, 10)
        terminal.press("q")
        terminal.wait_end()
    finally:
        terminal.close()
    it.tty = bytes(terminal.raw)

    plan = json.loads(run("run", "backup-config", *STACK, "--dry-run", "--json"))["plan"]
    packed = run("run", "backup-config", *STACK, "--plan", plan, "--confirm", "PACK SECRETS")
    assert "VERIFIED: PACKED" in packed, packed
    for words in (("doctor",), ("audit", "show"), ("audit", "export", f"{seen}/export")):
        run(*words)
    it.argvs = watcher.stop()
    it.child = {path.name: path.read_text() for path in seen.iterdir() if path.name != "export"}
    state = world.config.parent / "state"
    it.kept = {
        str(path): path.read_text(errors="replace")
        for path in (*state.rglob("*"), seen / "export")
        if path.is_file()
    }
    return it


def test_the_canaries_were_in_use_and_would_be_found(told: Told) -> None:
    """Else the other tests here would prove nothing."""
    status = told.printed["status--json"]
    assert "a careless service wrote **** **** **** **** here" in status
    assert "Kill-switch disengaged: **** **** **** ****" in told.log
    assert guarded_are_up(status)
    assert any("guarded.toml" in argv for argv in told.argvs)
    assert {"environ", "argv"} == told.child.keys()
    assert "PATH=" in told.child["environ"]
    assert any(path.endswith(".jsonl") for path in told.kept)
    for name, secret in told.secrets.items():
        assert told.hits(f"x{secret}y") == [name]
    watcher = Watcher()
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()", IN_REDIS], stdin=-1
    ) as child:
        wait_until(lambda: any(IN_REDIS in argv for argv in watcher.seen), 20)
        assert child.stdin is not None
        child.stdin.close()
    watcher.stop()


def test_no_secret_was_drawn_on_the_terminal_or_printed(told: Told) -> None:
    assert told.hits(told.tty.decode(errors="replace")) == []
    assert {name: told.hits(text) for name, text in told.printed.items() if told.hits(text)} == {}


def test_no_secret_was_in_the_arguments_of_any_process(told: Told) -> None:
    assert {argv: told.hits(argv) for argv in told.argvs if told.hits(argv)} == {}


def test_no_secret_was_handed_to_a_child(told: Told) -> None:
    assert told.hits(told.child["environ"]) == []
    assert "CANARY_DSN" not in told.child["environ"]


def test_no_secret_is_in_the_journal_or_any_other_file_it_wrote(told: Told) -> None:
    assert {path: told.hits(text) for path, text in told.kept.items() if told.hits(text)} == {}


def allow_cores() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    "words", [(), ("watch",), ("run", "halt", *STACK, "--dry-run"), ("demo", "--headless")],
    ids=["room", "watch", "run", "demo"],
)  # fmt: skip
def test_every_process_of_the_program_leaves_no_core(
    world: DemoWorld, words: tuple[str, ...], tmp_path: Path
) -> None:
    """Although whoever starts it allows cores of any size. One byte is the one limit by which the kernel does
    not pipe them to a program either."""
    config = ("--config", str(world.config)) if "demo" not in words else ()
    master, slave = os.openpty()
    process = subprocess.Popen(
        [*CONTROLROOM, *config, *words],
        stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, start_new_session=True,
        env={**world.env, "TERM": "xterm-256color", "XDG_STATE_HOME": str(tmp_path)},
        preexec_fn=allow_cores,  # noqa: PLW1509 # as an operator's shell may have done
    )  # fmt: skip
    try:
        limits = Path(f"/proc/{process.pid}/limits")
        wait_until(lambda: "Max core file size        1                    1" in limits.read_text(), 20)
    finally:
        process.terminate()
        os.close(master)
        os.close(slave)
        process.wait(30)
