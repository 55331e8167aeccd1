"""A real systemd with its journal, and the user's own beside it, the first process of its own namespaces.

Its root is a tmpfs. Of this machine it sees what ``start_systemd`` shows it, read-only, and nothing else;
``systemd.sh`` says how. There are no units but those it is given: nothing makes, cleans or mounts anything.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.process import Child, UnavailableError, drop_home, make_home

RUNTIME: Final = "/run/user/0"
"""``XDG_RUNTIME_DIR`` of the user's own systemd."""

_SYSTEMD: Final = Path("/lib/systemd/systemd")
_JOURNAL: Final = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
_PROGRAMS: Final = ("systemctl", "journalctl", "systemd-run")
_TARGETS: Final = ("sysinit.target", "basic.target", "shutdown.target", "timers.target", "sockets.target")
"""What a unit refers to unless it says that it does not."""

_BEGIN: Final = """[Unit]
DefaultDependencies=no
Wants={wants}
After={wants}
"""
_USER: Final = f"""[Service]
Type=notify
Slice=user-%i.slice
Delegate=yes
RuntimeDirectory=user/%i
Environment=HOME=/root XDG_RUNTIME_DIR={RUNTIME} SYSTEMD_UNIT_PATH=/etc/systemd/user
ExecStart={_SYSTEMD} --user --unit=begin.target
"""
_ETC: Final = {
    "machine-id": "0123456789abcdef0123456789abcdef\n",
    "os-release": "ID=controlroom\n",
    "passwd": "root:x:0:0:root:/root:/bin/sh\ntrader:x:1000:1000:trader:/root:/bin/sh\n",
    "group": "root:x:0:\ntrader:x:1000:\n",
    # The kernel's messages are this machine's.
    "systemd/journald.conf": "[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n",
}


@dataclass
class Systemd:
    """One that has started all it was given."""

    home: Path
    child: Child
    pid: int
    """Of its first process, as this machine counts."""

    @property
    def root(self) -> Path:
        """Its root directory, seen from here."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def programs(self) -> Path:
        """The folder of its ``systemctl``, ``journalctl`` and ``systemd-run``, which run inside it."""
        return self.home / "bin"

    @property
    def url(self) -> str:
        """The address of a source that asks it."""
        return f"systemd://localhost{self.programs}"

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A program inside, ended; with ``XDG_RUNTIME_DIR``, for ``systemctl --user``."""
        env = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C", "XDG_RUNTIME_DIR": RUNTIME}
        inside = [*_enter(self.pid), *argv]
        return subprocess.run(inside, env=env, capture_output=True, text=True, check=False, timeout=30)

    def processes(self, name: str) -> list[int]:
        """Those inside that run this program, as this machine counts."""
        there = Path(f"/proc/{self.pid}/ns/user").readlink()
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdecimal() and (folder / "comm").read_text().strip() == name:
                    found += [int(folder.name)] * ((folder / "ns/user").readlink() == there)
        return found

    def stop(self) -> None:
        """End it and all it started."""
        self.child.stop()
        drop_home(self.home)


def start_systemd(
    units: Mapping[str, str],
    user_units: Mapping[str, str] | None = None,
    begin: Sequence[str] = (),
    shown: Sequence[Path] = (),
    shared: Sequence[Path] = (),
) -> Systemd:
    """Start it with unit files by name; those of the user's own systemd, if there shall be one.

    ``begin`` names what is started of ``units``. ``shown`` are folders it sees where they are here, read-only
    as all of /usr; ``shared`` those it may also write to. UnavailableError where it cannot run.
    """
    _need()
    home = make_home("systemd")
    (home / "root").mkdir()
    _write_etc(home / "etc", units, user_units, begin)
    folders = [("ro", Path("/usr")), *(("ro", each) for each in shown), *(("rw", each) for each in shared)]
    (home / "shown").write_text("".join(f"{mode} {folder}\n" for mode, folder in folders))
    script = Path(__file__).with_suffix(".sh")
    # SIGKILL: asked to end it would end its units first, of which some never do; with it all of them end.
    argv = ["unshare", "--mount", "--propagation", "private", "sh", script, home]
    child = Child(argv, home / "log", stop_signal=signal.SIGKILL)
    server = Systemd(home, child, 0)
    try:
        child.wait_ready(lambda: _begun(server), 30.0)
    except BaseException:
        server.stop()
        raise
    _write_programs(server)
    return server


def _need() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UnavailableError("a systemd of our own needs Linux and root")
    if not _SYSTEMD.exists() or not all(map(shutil.which, _PROGRAMS)):
        raise UnavailableError("systemd is not installed")
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        raise UnavailableError("util-linux is not installed")


def _write_etc(
    etc: Path, units: Mapping[str, str], user_units: Mapping[str, str] | None, begin: Sequence[str]
) -> None:
    user = [] if user_units is None else ["user@0.service"]
    wants = " ".join((*_JOURNAL, *user, *begin))
    files = dict(_ETC)
    for scope, given in (("system", {"user@.service": _USER, **units}), ("user", user_units or {})):
        targets = dict.fromkeys(_TARGETS, "[Unit]\nDefaultDependencies=no\n")
        ours = {"begin.target": _BEGIN.format(wants=wants if scope == "system" else ""), **targets, **given}
        files |= {f"systemd/{scope}/{name}": text for name, text in ours.items()}
    for name, text in files.items():
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in _JOURNAL:
        shutil.copy(_SYSTEMD.parent / "system" / name, etc / "systemd/system")


def _begun(server: Systemd) -> bool:
    """Whether its target is reached; its first process is known from then on."""
    if not server.pid and (pid := _first_process(server.child.pid)):
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{kind}").write_text("0 0 65536\n")
        server.pid = pid
    if not server.pid or not (server.root / "run/systemd/private").exists():
        return False
    return server.run("systemctl", "is-active", "begin.target").stdout == "active\n"


def _first_process(parent: int) -> int:
    """The child that is number 1 where it lives; 0 while there is none."""
    for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        try:
            status = Path(f"/proc/{word}/status").read_text()
        except OSError:
            continue
        if "\nNSpid:\t" in status and status.partition("\nNSpid:\t")[2].splitlines()[0].endswith("\t1"):
            return int(word)
    return 0


def _write_programs(server: Systemd) -> None:
    server.programs.mkdir()
    for name in _PROGRAMS:
        enter = " ".join(_enter(server.pid))
        if name == "journalctl":
            # Whoever follows kills its program. In a session of its own journalctl is not hit: it sees that
            # nobody reads and ends, and nsenter can clear it away. Killed, it would be left in its namespace.
            enter = f"setsid --wait {enter}"
        path = server.programs / name
        path.write_text(f'#!/bin/sh\nexec {enter} {shutil.which(name)} "$@"\n')
        path.chmod(0o755)


def _enter(pid: int) -> list[str]:
    return [str(shutil.which("nsenter")), "--target", str(pid), "--all", "--"]
