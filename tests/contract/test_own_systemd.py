"""The systemd that the tests start: it runs as root, and must not be able to touch this machine's files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import started
from tests.servers.process import UnavailableError, drop_home, make_home, sweep, wait_until
from tests.servers.systemd import Systemd, start_systemd

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seen() -> Iterator[Path]:
    """A folder of this machine that it is shown."""
    home = make_home("seen")
    (home / "file").write_text("as it was")
    yield home
    drop_home(home)


@pytest.fixture(scope="module")
def systemd(seen: Path) -> Iterator[Systemd]:
    server = started("systemd", lambda: start_systemd({}, shown=[seen]))
    yield server
    server.stop()


@dataclass(frozen=True)
class Mount:
    device: str
    root: str
    point: str
    kind: str
    is_writable: bool


def mounts(process: str) -> list[Mount]:
    found = []
    for line in Path(f"/proc/{process}/mountinfo").read_text().splitlines():
        words, _, kind = line.partition(" - ")
        _, _, device, root, point, options, *_ = words.split()
        found.append(Mount(device, root, point, kind.split()[0], "ro" not in options.split(",")))
    return found


def test_what_it_has_of_this_machine_is_read_only(systemd: Systemd, seen: Path) -> None:
    """But for its own control groups, single devices, and the processes it may not look into."""
    ours = {each.device for each in mounts("self")}
    theirs = [each for each in mounts(str(systemd.pid)) if each.device in ours]
    assert {"/usr", "/sys", str(seen)} <= {each.point for each in theirs}
    writable = {each.point: each for each in theirs if each.is_writable and each.kind != "proc"}
    devices = {point for point, each in writable.items() if each.kind == "devtmpfs"}
    assert all((systemd.root / point.lstrip("/")).is_char_device() for point in devices)
    groups = writable.keys() - devices
    assert groups
    assert all(writable[point].root == f"/{systemd.home.name}" for point in groups)
    assert all(writable[point].kind.startswith("cgroup") for point in groups)


def test_nobody_in_it_can_make_that_writable(systemd: Systemd, seen: Path) -> None:
    for folder in ("/usr", "/sys", str(seen)):
        assert systemd.run("mount", "-o", "remount,bind,rw", folder).returncode != 0
        assert systemd.run("umount", "--lazy", folder).returncode != 0
        assert "Read-only" in systemd.run("touch", f"{folder}/new").stderr
    assert systemd.run("rm", f"{seen}/file").returncode != 0
    assert (seen / "file").read_text() == "as it was"
    assert systemd.run("mknod", "/dev/disk", "b", "8", "0").returncode != 0, "nor by way of its disk"


def test_what_empties_tmp_empties_its_own(systemd: Systemd, seen: Path) -> None:
    (systemd.root / "tmp/old").write_text("of before it started")
    systemd.run("systemd-tmpfiles", "--create", "--clean", "--remove")
    assert not (systemd.root / "tmp/old").exists()
    assert (seen / "file").exists()
    assert systemd.home.exists(), "which is in this machine's /tmp"


def test_it_knows_no_units_but_those_it_was_given(systemd: Systemd) -> None:
    told = systemd.run("systemctl", "list-unit-files", "--no-legend", "--plain").stdout
    names = {line.split()[0] for line in told.splitlines()}
    assert "begin.target" in names
    assert {name for name in names if name.endswith(".service")} == {
        "systemd-journald.service",
        "user@.service",
    }


def test_nothing_is_left_of_it_when_its_owner_is_killed() -> None:
    script = (
        "from tests.servers.systemd import start_systemd\n"
        "it = start_systemd({}, {})\nprint(it.pid, it.home, flush=True)\ninput()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        line = owner.stdout.readline()
        owner.kill()
    if not line:
        started("systemd", lambda: start_systemd({})).stop()
    pid, home = line.split()
    wait_until(lambda: not Path(f"/proc/{pid}/exe").exists(), what="its end")
    sweep()
    assert not Path(home).exists()
    # Walked, as others' groups end meanwhile: a glob raises when one does.
    assert not any(Path(home).name in names for _, names, _ in os.walk("/sys/fs/cgroup"))


def test_where_it_cannot_run_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="systemd"):
        start_systemd({})
