"""Two operators with accounts of their own share one journal where their folder was prepared for both.

Where it was not, it stays for the account that has it, and the other one is told so.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from backends.journal.verify import read
from tests.conftest import need
from tests.servers.demo import isolated_env
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[2]
ANA, BEN, COMMON = 61001, 61002, 61000
KEY = "kill_switch:state"
SEEN = "2026-11-21T00:00:00.000000+00:00"

COMMAND = """
import contextlib, io, sys
import tui.cli
from tests.safety.account_room import become
uid, sys.argv = int(sys.argv[1]), [sys.argv[0], "--config", *sys.argv[2:]]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    tui.cli.main()  # as we are: all code is loaded from where perhaps only we may read
become(uid, 0, 0o022)
tui.cli.program()
"""


class Room:
    """A room that runs as one of the accounts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, *words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def heard(self) -> Any:
        return json.loads(self._line())

    def __call__(self, *words: str) -> Any:
        self.tell(*words)
        return self.heard()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(20) == 0


class Host:
    """Accounts that share a state folder, or try to."""

    def __init__(self, state: Path, url: str, stack: ExitStack) -> None:
        self.state, self._url, self._stack = state, url, stack

    def prepare(self) -> None:
        """As the README has it."""
        argv = ["install", "-d", "-m", "2770", "-g", str(COMMON), str(self.state)]
        subprocess.run(argv, check=True, timeout=10)

    def leave_to(self, uid: int, umask: int = 0o022) -> None:
        self.state.mkdir(mode=0o777 & ~umask)
        os.chown(self.state, uid, uid)

    def room(self, uid: int, umask: int, group: int = COMMON) -> Room:
        argv = [sys.executable, "-m", "tests.safety.account_room", str(uid), str(group), f"{umask:o}"]
        process = subprocess.Popen(
            [*argv, str(self.state), self._url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self._stack.callback(process.wait, 20)
        self._stack.callback(process.kill)
        return Room(process)

    def command(self, uid: int, *words: str) -> subprocess.CompletedProcess[str]:
        """The program run by that account, on a stack that is not there."""
        config = self.state.parent / "config.toml"
        config.write_text(
            f"""[room]\nstate_dir = "{self.state}"\n[stack.trading-platform]\nenvironment = "paper"\n"""
        )
        return subprocess.run(
            [sys.executable, "-c", COMMAND, str(uid), str(config), *words], cwd=ROOT, timeout=60, check=False,
            env={**isolated_env(self.state.parent), "HOME": "/nowhere"}, capture_output=True, text=True,
        )  # fmt: skip

    def made(self) -> dict[str, str]:
        """Every file and folder below the state folder, with its mode."""
        below = sorted(self.state.rglob("*"))
        return {
            str(path.relative_to(self.state)): f"{stat.S_IMODE(path.lstat().st_mode):o}" for path in below
        }

    def records(self) -> list[Any]:
        return list(read(self.state / "journal"))


@pytest.fixture
def host(redis_db: RedisServer) -> Iterator[Host]:
    if os.getuid() != 0:
        need("root", "only root can become another user")
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, place)
        yield Host(place / "state", redis_db.url, stack)


def engage(redis_db: RedisServer) -> None:
    state = {"state": "ENGAGED", "engaged_at": SEEN, "engaged_by": "max", "engagement_reason": "before"}
    redis_db.command("SET", KEY, json.dumps(state))


def share(advice: str) -> None:
    """Do what somebody was told, as it was printed, for the group that both are in."""
    lines = advice.partition(": ")[2].replace("GROUP", str(COMMON))
    done = subprocess.run(["sh", "-c", lines], check=True, timeout=10, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize("umask", [0o077, 0o022], ids=["077", "022"])
def test_each_halts_and_resumes_with_the_others_consent_and_all_of_it_is_on_record(
    host: Host, redis_db: RedisServer, umask: int
) -> None:
    host.prepare()
    ana, ben = host.room(ANA, umask), host.room(BEN, umask)
    for asking, consenting, name in ((ana, ben, "a"), (ben, ana, "b")):
        engage(redis_db)
        plan = asking("dry", f"d-{name}", SEEN)["plan"]
        code = asking("ask", SEEN, plan)
        assert consenting("approve", code) == "resume"
        resumed = asking("resume", f"r-{name}", SEEN, plan, code)
        assert resumed["verdict"] == "VERIFIED", resumed
        halted = asking("halt", f"h-{name}", "none")
        assert halted["verdict"] == "VERIFIED", halted
    assert ana("trouble") is None
    assert ben("trouble") is None
    ana.close()
    ben.close()
    written = host.records()
    told = {
        (each["operation"], each["kind"], each["operator"]["uid"]) for each in written if "operation" in each
    }
    for name, uid in (("a", ANA), ("b", BEN)):
        for operation in (f"r-{name}", f"h-{name}"):
            assert {(operation, "intent", uid), (operation, "outcome", uid)} <= told
    again = host.room(BEN, umask)
    assert again("verify") == f"whole: {len(written)} records"
    modes = host.made()
    assert {name: mode for name, mode in modes.items() if "/" not in name} == {
        "journal": "2770", "approvals": "3770", "plans": "3770",
    }  # fmt: skip
    assert {mode for name, mode in modes.items() if name.startswith("journal/")} == {"660"}
    assert {mode for name, mode in modes.items() if name.startswith("approvals/")} == {"640"}
    assert {(host.state / name).stat().st_gid for name in modes} == {COMMON}


def test_both_write_one_chain_at_once_from_its_first_record_on(host: Host) -> None:
    host.prepare()
    rooms = [host.room(ANA, 0o077), host.room(BEN, 0o022)]
    for room in rooms:
        room.tell("chain", "60")
    assert [room.heard() for room in rooms] == ["written", "written"]
    # In turns one of them may have begun every file; by itself each begins some.
    assert [room("chain", "20") for room in rooms] == ["written", "written"]
    assert len(host.records()) == 160
    owners = {path.stat().st_uid for path in (host.state / "journal").iterdir()}
    assert owners == {ANA, BEN}, "each began files that the other went on with"
    assert [room("verify") for room in rooms] == [rooms[0]("verify")] * 2


def test_a_folder_that_nobody_prepared_is_for_one_account_and_the_other_is_told_so(
    host: Host, redis_db: RedisServer
) -> None:
    host.leave_to(ANA)
    ana, ben = host.room(ANA, 0o002), host.room(BEN, 0o022)
    engage(redis_db)
    assert ana("dry", "d-a", SEEN)["verdict"] is not None
    assert ana("halt", "h-a", "none")["verdict"] in ("VERIFIED", "ALREADY")
    modes = host.made()
    assert {modes["journal"], modes["plans"]} == {"700"}
    assert {mode for name, mode in modes.items() if "/" in name} == {"600"}
    stopped = ben("halt", "h-b", "none")
    assert stopped["verdict"] in ("VERIFIED", "ALREADY"), "a stop is never blocked"
    assert ben("trouble") == f"{host.state}/journal belongs to uid {ANA} alone"
    why, do = ben("closed")
    assert why == f"{host.state}/journal belongs to uid {ANA} alone"
    assert f"chgrp -R GROUP {host.state}" in do
    assert "Permission" in ben("verify")
    assert ana("closed") is None


def test_the_doctor_says_whose_the_folder_is_and_what_makes_it_everybodys(host: Host) -> None:
    host.leave_to(ANA)
    ana = host.room(ANA, 0o022)
    assert ana("chain", "1") == "written"
    told = host.command(BEN, "doctor")
    assert told.returncode in (4, 5), told.stderr
    assert f"  why: {host.state}/journal belongs to uid {ANA} alone\n" in told.stdout
    assert f"have all of it made for your group: chgrp -R GROUP {host.state}" in told.stdout
    assert "State folder" not in host.command(ANA, "doctor").stdout


def test_who_cannot_see_what_was_asked_for_is_not_told_that_nobody_asked(
    host: Host, redis_db: RedisServer
) -> None:
    host.leave_to(ANA, umask=0o077)
    ana = host.room(ANA, 0o022)
    engage(redis_db)
    code = ana("ask", SEEN, ana("dry", "d-a", SEEN)["plan"])
    told = host.command(BEN, "approve", code)
    assert told.returncode == 3, told.stderr
    assert f"{host.state} belongs to uid {ANA} alone: see `controlroom doctor`" in told.stdout


def test_what_mends_it_is_what_the_other_was_told(host: Host, redis_db: RedisServer) -> None:
    host.leave_to(ANA)
    ana, ben = host.room(ANA, 0o022), host.room(BEN, 0o022)
    assert ana("chain", "3") == "written"
    engage(redis_db)
    plan = ana("dry", "d-a", SEEN)["plan"]
    code, spare = ana("ask", SEEN, plan), ana("ask", SEEN, plan)
    before = len(host.records())
    share(ben("closed")[1])
    assert ben("closed") is None
    assert ben("chain", "60") == "written"
    assert ana("chain", "60") == "written"
    assert len(host.records()) == before + 120
    for own in (f"approvals/{spare}.request", f"plans/{plan}.{ANA}"):
        assert "Operation not permitted" in ben("move", own, f"{own}-moved")
        assert "Operation not permitted" in ben("remove", own)
        assert "Permission denied" in ben("touch", own)
    assert ben("approve", code) == "resume"
    assert ana("resume", "r-a", SEEN, plan, code)["verdict"] == "VERIFIED"


def test_what_mends_it_says_no_error_where_only_some_of_it_is_there(host: Host) -> None:
    host.leave_to(ANA)
    ana, ben = host.room(ANA, 0o022), host.room(BEN, 0o022)
    assert ana("chain", "1") == "written"
    share(ben("closed")[1])
    assert ben("closed") is None
    assert {name for name in host.made() if "/" not in name} == {"journal"}


def test_who_is_not_in_the_group_reads_nothing_and_is_told_which_it_is(host: Host) -> None:
    host.prepare()
    ana, out = host.room(ANA, 0o000), host.room(BEN, 0o022, group=0)
    assert ana("chain", "3") == "written"
    assert "Permission" in out("verify")
    assert out("closed") == [
        f"{host.state} is for the group {COMMON}, and this login of uid {BEN} is not in it",
        f"usermod -aG {COMMON} uid {BEN}, then log in again",
    ]


def test_a_plan_that_was_shown_to_one_is_not_for_the_other_to_run(host: Host, redis_db: RedisServer) -> None:
    host.prepare()
    ana, ben = host.room(ANA, 0o022), host.room(BEN, 0o022)
    engage(redis_db)
    plan = ana("dry", "d-a", SEEN)["plan"]
    code = ben("ask", SEEN, plan)
    assert ana("approve", code) == "resume"
    refused = ben("resume", "r-b", SEEN, plan, code)
    assert refused["verdict"] == "REFUSED"
    assert "no dry run" in refused["sentence"]
    assert ben("dry", "d-b", SEEN)["plan"] == plan
    assert ben("resume", "r-b2", SEEN, plan, code)["verdict"] == "VERIFIED"


def test_a_file_of_the_others_that_both_may_write_to_is_no_consent(host: Host, redis_db: RedisServer) -> None:
    host.prepare()
    ana, ben = host.room(ANA, 0o022), host.room(BEN, 0o022)
    assert ana("chain", "1") == "written"  # the lock of the journal is hers, for both to write to
    engage(redis_db)
    plan = ben("dry", "d-b", SEEN)["plan"]
    code = ben("ask", SEEN, plan)
    said = {"code": code, "plan": plan, "reason": "ticket-OPS-7-is-done", "at": time.time()}
    assert ben("forge", code, "journal/lock", json.dumps(said, separators=(",", ":"))) == "linked"
    refused = ben("resume", "r-b", SEEN, plan, code)
    assert refused["verdict"] == "REFUSED"
    assert "others can write to approval" in refused["sentence"]
