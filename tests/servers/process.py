"""Child processes that cannot outlive the tests, and the small waits around them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PREFIX = "controlroom-test-"
_OWNER = "owner.pid"
_PR_SET_PDEATHSIG = 1


class UnavailableError(Exception):
    """A server cannot run here; the message says why."""


def wait_until(is_so: Callable[[], T], seconds: float = 10.0, what: str = "it", every: float = 0.02) -> T:
    """The first true answer of ``is_so``; TimeoutError, naming ``what``, when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := is_so():
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(every)


def listens(port: int) -> bool:
    """Whether somebody accepts on that loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_home(name: str) -> Path:
    """A directory for one server, short enough for unix sockets, marked with this process's id."""
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir="/tmp"))
    (home / _OWNER).write_text(str(os.getpid()))
    return home


def drop_home(home: Path) -> None:
    """Unmount whatever is mounted below ``home``, and remove it and the control groups of its name."""
    for point in _mounts_below(home):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)
    _drop_groups(home.name)
    shutil.rmtree(home, ignore_errors=True)


def sweep() -> None:
    """Remove what a killed test run left behind: homes whose owner is gone."""
    for mark in Path("/tmp").glob(f"{PREFIX}*/{_OWNER}"):
        with contextlib.suppress(OSError, ValueError):
            if not _is_alive(int(mark.read_text())):
                drop_home(mark.parent)


class Child:
    """One server process in its own group. It gets ``stop_signal`` when the tests die (Linux)."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        log: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stdout: int | None = None,
    ) -> None:
        self.log = log
        self._name = Path(argv[0]).name
        self._stop_signal = stop_signal
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=out,
                env=None if env is None else dict(env),
                user=user,
                start_new_session=True,
                # One prepared system call, no lock taken: harmless even beside threads.
                preexec_fn=_die_with_parent(stop_signal) if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def pause(self) -> None:
        """Freeze it: it keeps its sockets and answers nothing, once all its threads stand."""
        os.kill(self.pid, signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        if tasks.is_dir():
            wait_until(lambda: all(_stands(task) for task in tasks.iterdir()), 5.0, "it to stand still")

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait_ready(self, is_ready: Callable[[], object], seconds: float = 15.0) -> None:
        """Return when ``is_ready``; UnavailableError, with the end of its log, when it never is."""
        has_answered = False

        def settled() -> bool:
            nonlocal has_answered
            has_answered = bool(is_ready())
            return has_answered or not self.is_running

        with contextlib.suppress(TimeoutError):
            wait_until(settled, seconds)
        if not self.is_running or not has_answered:
            tail = self.log.read_text(errors="replace")[-600:] if self.log.exists() else ""
            raise UnavailableError(f"{self._name} did not start: {tail}")

    def stop(self, seconds: float = 8.0) -> None:
        """Ask it to end, then end its whole group."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
                os.kill(self.pid, self._stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(5.0)
        if self.popen.stdout is not None:
            self.popen.stdout.close()


def _die_with_parent(how: signal.Signals) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)

    return ask_kernel


def _stands(task: Path) -> bool:
    """Whether a thread is stopped, or gone."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0] in ("T", "t", "Z", "X")
    except OSError:
        return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _drop_groups(name: str) -> None:
    """They are there until the last process of them has ended, which takes a moment after it was killed."""
    groups = [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]

    def are_gone() -> bool:
        for group in groups:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        return not any(group.exists() for group in groups)

    with contextlib.suppress(TimeoutError):
        wait_until(are_gone, 5.0)


def _mounts_below(home: Path) -> list[str]:
    table = Path("/proc/self/mounts")
    if not table.exists():
        return []
    points = (line.split(" ")[1] for line in table.read_text().splitlines())
    return sorted((point for point in points if point.startswith(f"{home}/")), key=len, reverse=True)
