"""``controlroom run`` for what is no stop: a dry run, its plan, the typed word, and what is refused."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from backends.demo.trading_platform.breaker import FRESH
from tests.conftest import need
from tests.servers.between import Between, between, journal
from tests.servers.demo import DemoWorld
from tests.servers.earlier import a_room_was_open
from tests.terminal.program import ROOT, command, room
from tui.commands.exitcode import ExitCode

STACK = ("--stack", "trading-platform")
REASON = ("--reason", "the cause was found")
RESTART = ("restart", *STACK, "--param", "service=signal_service")
RESUME = ("resume", *STACK)
REVIEWED = ("--attest", "reviewed")
STORAGE = ("restart-storage", *STACK, "--param", "service=postgres")
NO_PLAN = "0" * 64
KILL, BREAKER = "kill_switch:state", "circuit_breaker:state"

ANOTHER = """
import contextlib, io, os, sys
import backends.engine, tui.cli
shown = io.StringIO()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):
    tui.cli.main()  # as we are, without a confirmation: all code is loaded from where only we may read
os.setgroups([])
os.setgid(0)
os.setuid(65534)
sys.argv += ["--confirm", shown.getvalue().split("--confirm ")[-1].strip()]
tui.cli.program()
"""


@pytest.fixture(scope="module")
def pressed(world: DemoWorld) -> dict[str, str]:
    """What the switches hold once each was pressed by command."""
    for stop in ("halt", "breaker-trip"):
        done = command(world.config, world.env, "run", stop, *STACK, *REASON)
        # By whichever way: a busy machine may keep Redis from answering in time.
        assert done.returncode in (ExitCode.VERIFIED, ExitCode.FALLBACK), done.stdout + done.stderr
    with redis.Redis.from_url(world["redis"], decode_responses=True) as client:
        return {key: str(client.get(key)) for key in (KILL, BREAKER)}


@pytest.fixture
def halted(world: DemoWorld, pressed: dict[str, str]) -> DemoWorld:
    """The demo, halted and its breaker tripped two minutes ago, whatever was done to either since."""
    with redis.Redis.from_url(world["redis"], decode_responses=True) as client:
        client.mset(pressed)
    _backdate(world, KILL, "engaged_at", 120)
    _backdate(world, BREAKER, "tripped_at", 120)
    a_room_was_open(world.state, ago=110)
    return world


@pytest.fixture
def breaker_is_open(halted: DemoWorld) -> None:
    """It was reset, as if by somebody else."""
    with redis.Redis.from_url(halted["redis"], decode_responses=True) as client:
        client.set(BREAKER, json.dumps(FRESH))


@pytest.fixture
def wire(world: DemoWorld, tmp_path: Path) -> Iterator[Between]:
    with between(world, tmp_path) as it:
        yield it


def _backdate(world: DemoWorld, key: str, field: str, seconds: float) -> None:
    client = redis.Redis.from_url(world["redis"], decode_responses=True)
    state = json.loads(str(client.get(key)))
    state[field] = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="microseconds")
    client.set(key, json.dumps(state))
    client.close()


def _run(world: DemoWorld, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(world.config, world.env, "run", *arguments, seconds=90.0)  # a resume observes for 32 s


def _plan(world: DemoWorld, *arguments: str) -> str:
    return str(json.loads(_run(world, *arguments, "--dry-run", "--json").stdout)["plan"])


def _run_as_another(world: DemoWorld, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same program as another user of this host, with the operators' folder open to both."""
    if os.getuid() != 0:
        need("root", "only root can become another user")
    config = Path(tempfile.mkdtemp(dir="/tmp")) / "config.toml"
    config.parent.chmod(0o755)
    # Their own configuration: what the first signs with is nobody else's.
    lines = world.config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("password_file")))
    (world.state / "approvals").chmod(0o770)
    env = {**world.env, "XDG_CONFIG_HOME": str(config.parent)}
    program = [sys.executable, "-c", ANOTHER, "--config", str(config), *arguments]
    try:
        return subprocess.run(
            program, env=env, cwd=ROOT, capture_output=True, text=True, timeout=40, check=False
        )
    finally:
        shutil.rmtree(config.parent)


def test_the_list_names_every_procedure_with_its_class(world: DemoWorld) -> None:
    lines = _run(world, "--list", *STACK).stdout.splitlines()
    classes = {line.split()[0]: line for line in lines}
    assert " stop " in classes["halt"]
    assert " restore " in classes["resume"]
    assert " market " in classes["flatten-all"]
    assert " degrade " in classes["restart"]
    assert "<service>" in classes["restart"]


@pytest.mark.parametrize(
    "arguments",
    [("halt", *STACK), RESTART, RESUME, ("flatten-all", *STACK)],
    ids=["stop", "degrade", "restore", "market"],
)
def test_a_dry_run_says_so_on_every_line_and_writes_nothing(
    wire: Between, world: DemoWorld, arguments: tuple[str, ...]
) -> None:
    done = command(wire.config, world.env, "run", *arguments, "--dry-run")
    assert done.returncode in (0, 3), done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("DRY RUN") for line in lines)
    assert "Plan " in lines[-1]
    assert wire.writes == []


def test_a_service_is_restarted_by_the_plan_of_its_dry_run(world: DemoWorld) -> None:
    plan = _plan(world, *RESTART)
    done = _run(world, *RESTART, *REASON, "--plan", plan, "--confirm", "signal_service")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VERIFIED: RESTARTED" in done.stdout
    last = [record for record in journal(world.config.parent) if record["kind"] == "outcome"][-1]
    assert (last["procedure"], last["plan"]) == ("restart", plan)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ((*RESTART, *REASON, "--confirm", "signal_service"), 2, "needs the plan of a dry run"),
        ((*RESTART, "--yes"), 2, "No such option"),
        ((*RESTART, *REASON, "--plan", NO_PLAN), 2, "with exactly this: signal_service"),
        (("restart", *STACK, "--plan", NO_PLAN, "--confirm", "x"), 2, "--param service"),
        (("restart", *STACK, "--param", "service", "--plan", NO_PLAN), 2, "NAME=VALUE"),
        (("flatten-mfa", *STACK, "--param", "id_token=a.b.c"), 2, "never on a command line"),
        (("flatten-all", *STACK, *REASON, "--plan", NO_PLAN), 2, "Open positions"),
        (("shutdown", *STACK, "--plan", NO_PLAN, "--confirm", "trading-platform"), 2, "--attest positions"),
        ((*RESTART, *REASON, "--plan", NO_PLAN, "--confirm", "signal_service"), 7, "has changed"),
        ((*RESUME, *REASON, "--plan", NO_PLAN, "--confirm", "RESUME trading-platform"), 2, "second person"),
    ],
    ids=[
        "no plan", "yes", "no typed name", "no service", "no value", "a secret", "no live value",
        "nobody attests", "another plan", "no approval",
    ],
)  # fmt: skip
def test_what_is_missing_or_not_allowed_is_said_and_nothing_is_written(
    wire: Between, world: DemoWorld, arguments: tuple[str, ...], status: int, says: str
) -> None:
    done = command(wire.config, world.env, "run", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
    assert "a.b.c" not in done.stdout + done.stderr
    assert wire.writes == []


def test_a_wrong_name_an_old_plan_and_a_room_that_watches_are_refused(world: DemoWorld) -> None:
    plan = _plan(world, *RESTART)
    wrong = _run(world, *RESTART, *REASON, "--plan", plan, "--confirm", "Signal_Service")
    assert (wrong.returncode, "was not typed exactly" in wrong.stdout) == (3, True)
    given = ("run", *RESTART, *REASON, "--plan", plan, "--confirm", "signal_service")
    assert command(world.config, world.env, "--watch", *given).returncode == 6
    dry = command(world.config, world.env, "--watch", "run", *RESTART, "--dry-run")
    assert (dry.returncode, "refused now: this room only watches" in dry.stdout) == (3, True), dry.stdout
    past = time.time() - 121
    os.utime(world.state / "plans" / f"{plan}.{os.getuid()}", (past, past))
    old = command(world.config, world.env, *given)
    assert (old.returncode, "make another" in old.stdout) == (3, True)
    refused = [record for record in journal(world.config.parent) if record["kind"] == "refused"]
    assert len(refused) >= 3


def test_a_secret_comes_from_a_file_that_only_its_owner_can_read(world: DemoWorld, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("aaaa.bbbb.cccc\n")
    arguments = ("flatten-mfa", *STACK, "--param-file", f"id_token={token}", "--dry-run")
    token.chmod(0o644)
    assert _run(world, *arguments).returncode == 2
    token.chmod(0o600)
    done = _run(world, *arguments)
    assert done.returncode in (0, 3)
    assert "Plan " in done.stdout
    assert "aaaa.bbbb.cccc" not in done.stdout + done.stderr
    assert "aaaa.bbbb.cccc" not in json.dumps(journal(world.config.parent))


def test_nothing_is_resumed_while_one_thing_is_wrong(halted: DemoWorld) -> None:
    given = (*RESUME, *REVIEWED, "--plan", NO_PLAN, "--approval", "00000000")
    typed = ("--confirm", "RESUME trading-platform")
    cases = {
        "The circuit breaker is not open": (*REASON, *typed),
        "was not typed exactly": (*REASON, "--confirm", "resume"),
        "at least 10 characters": ("--reason", "short", *typed),
    }
    for says, arguments in cases.items():
        done = _run(halted, *given, *arguments)
        assert done.returncode in (3, 7), says
        assert says in done.stdout


def test_a_plan_that_the_world_has_left_behind_is_a_conflict_and_a_fresh_one_goes_through(
    halted: DemoWorld,
) -> None:
    plan = _plan(halted, *STORAGE)
    _backdate(halted, KILL, "engaged_at", 90)
    typed = ("--confirm", "postgres")
    left = _run(halted, *STORAGE, *REASON, "--plan", plan, *typed)
    assert (left.returncode, "has changed since" in left.stdout) == (7, True), left.stdout
    done = _run(halted, *STORAGE, *REASON, "--plan", _plan(halted, *STORAGE), *typed)
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("breaker_is_open")
def test_a_plan_that_no_dry_run_has_shown_is_told_before_anything_is_observed(halted: DemoWorld) -> None:
    typed = ("--confirm", "RESUME trading-platform", "--plan", NO_PLAN, "--approval", "00000000")
    done = _run(halted, *RESUME, *REASON, *REVIEWED, *typed)
    assert (done.returncode, "has changed since" in done.stdout) == (7, True), done.stdout
    assert "Observing" not in done.stdout


@pytest.mark.usefixtures("breaker_is_open")
def test_a_resume_takes_a_second_person_who_is_another_person(halted: DemoWorld) -> None:
    report = json.loads(_run(halted, *RESUME, *REASON, "--dry-run", "--json").stdout)
    assert report["blockers"] == []
    code, approve = report["approval"], ("approve", report["approval"], *STACK)
    unseen = command(halted.config, halted.env, *approve)
    assert (unseen.returncode, "the cause was found" in unseen.stdout) == (3, True)
    word = unseen.stdout.split("--confirm ")[-1].strip()
    own = command(halted.config, halted.env, *approve, "--confirm", word)
    assert (own.returncode, "another person" in own.stdout) == (3, True)
    assert not (halted.state / "approvals" / f"{code}.approval").exists()
    given = _run_as_another(halted, "approve", code, *STACK)
    assert given.returncode == 0, given.stdout + given.stderr
    # Their account cannot write this journal: the record of the run is the one that names them.
    assert "NOT ON RECORD" in given.stdout
    wanted = (
        *RESUME, *REASON, *REVIEWED, "--plan", report["plan"], "--confirm", report["confirm"],
        "--approval", code,
    )  # fmt: skip
    done = _run(halted, *wanted)
    assert done.returncode == 0, done.stdout
    assert "VERIFIED: RESUMED" in done.stdout
    started = [record for record in journal(halted.config.parent) if record["kind"] == "intent"][-1]
    assert (started["procedure"], started["approver"], started["approval"]) == ("resume", "nobody", code)


def test_what_is_there_to_look_at_only_then_is_confirmed_at_the_terminal_only_then(halted: DemoWorld) -> None:
    """Whatever was given with the command, and typed before it was asked."""
    reload = ("model-reload", *STACK, *REASON)
    report = json.loads(_run(halted, *reload, "--dry-run", "--json").stdout)
    given = ("--plan", report["plan"], "--confirm", report["confirm"], "--attest", "served")
    with closing(room(halted.config, halted.env, "run", *reload, *given)) as terminal:
        terminal.send(b"served\n")
        terminal.wait_for("Type served and Enter once it is so.", 60)
        terminal.look(1.0)
        assert terminal.popen.poll() is None, terminal.text
        terminal.send(b"no\n")
        terminal.look(1.0)
        assert terminal.popen.poll() is None, terminal.text
        terminal.send(b"served\n")
        assert terminal.wait_end(60) == 0, terminal.text
    (told,) = (
        record["text"]
        for record in journal(halted.config.parent)
        if record["kind"] == "step" and record["step"]["id"] == "served"
    )
    assert told.endswith(f"confirmed by {pwd.getpwuid(os.getuid()).pw_name}")
