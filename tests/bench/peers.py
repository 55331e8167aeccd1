"""Programs an operator would use otherwise, measured under the same terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.usage import watch
from tests.terminal.screen import Terminal

HOME = Path(".bench")
LINES = 100_000


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    package: str
    """What apt, or pip with ``pip:``, calls it."""
    argv: tuple[str, ...]
    key: bytes
    """A key that changes the picture."""
    is_viewer: bool = False
    """Shows a log file, named by ``LOG`` in ``argv``."""


LOG = "{log}"
PEERS = (
    Peer("glances", "pip:glances", ("glances", "--time", "1", "--disable-check-update"), b"1"),
    Peer("btop", "btop", ("btop", "--utf-force"), b"\x1b[B"),
    Peer("htop", "htop", ("htop", "--delay=10"), b"\x1b[B"),
    Peer("toolong", "pip:toolong", ("tl", LOG), b"\x1b[A", is_viewer=True),
    Peer("lnav", "lnav", ("lnav", LOG), b"\x1b[A", is_viewer=True),
)


def install() -> list[Peer]:
    """The peers that are here or can be added: by apt as root, by pip into ``.bench/venv``."""
    apt = [p.package for p in PEERS if not p.package.startswith("pip:") and shutil.which(p.argv[0]) is None]
    if apt and os.geteuid() == 0 and shutil.which("apt-get"):
        for package in apt:
            _quiet("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)
    venv = HOME / "venv"
    for package in (p.package.removeprefix("pip:") for p in PEERS if p.package.startswith("pip:")):
        if not venv.exists():
            _quiet(sys.executable, "-m", "venv", str(venv))
        if not any(_command(p) for p in PEERS if p.package == f"pip:{package}"):
            _quiet(str(venv / "bin/pip"), "install", "-qq", "--disable-pip-version-check", package)
    return [peer for peer in PEERS if _command(peer)]


def start(peer: Peer, log: Path) -> Terminal:
    """The peer under a terminal of the bench's size."""
    argv = [str(_command(peer)), *(part.replace(LOG, str(log.absolute())) for part in peer.argv[1:])]
    return Terminal(argv, columns=200, rows=50)


def first_frame(terminal: Terminal, seconds: float = 20.0) -> float:
    """Milliseconds from start until what makes three lines of the picture hold something had come."""
    terminal.wait_for(lambda text: sum(bool(line.strip()) for line in text.split("\n")) >= 3, seconds)
    return 1000 * (terminal.came - terminal.started)


def key_to_output(terminal: Terminal, key: bytes, presses: int = 15) -> list[float]:
    """Milliseconds from a key to the first bytes that follow it, while nothing else goes on."""
    took = []
    for _ in range(presses):
        terminal.settle(0.15)
        begun = time.monotonic()
        terminal.send(key)
        if terminal.read(1.0):
            took.append(1000 * (time.monotonic() - begun))
    return took


def write_log(path: Path, lines: int = LINES) -> None:
    """A log as services write it: a time, a level, a message of ordinary length."""
    levels = ("INFO", "INFO", "INFO", "WARNING", "ERROR")
    with path.open("w") as out:
        for i in range(lines):
            out.write(
                f"2026-11-21 03:{i // 6000 % 60:02d}:{i // 100 % 60:02d},{i % 1000:03d} {_line(i, levels)}\n"
            )


def tail_cost(peer: Peer, log: Path, seconds: float, rate: int = 10_000) -> tuple[float, float]:
    """Percent of a core and bytes a second while ``rate`` lines a second are appended to the file."""
    write_log(log, 1000)
    is_over = threading.Event()
    writer = threading.Thread(target=_append, args=(log, rate, is_over.is_set), daemon=True)
    terminal = start(peer, log)
    try:
        first_frame(terminal)
        terminal.send(b"\x1b[F" if peer.name == "toolong" else b"G")
        writer.start()
        terminal.settle(0.5)
        usage = watch(terminal, seconds)
        return usage.cpu, usage.bytes_per_second
    finally:
        is_over.set()
        terminal.close()


def _append(log: Path, rate: int, is_over: Callable[[], bool]) -> None:
    levels = ("INFO", "WARNING", "ERROR")
    number = 0
    with log.open("a") as out:
        while not is_over():
            for _ in range(rate // 20):
                number += 1
                out.write(f"2026-11-21 04:00:00,000 {_line(number, levels)}\n")
            out.flush()
            time.sleep(0.05)


def _line(number: int, levels: tuple[str, ...]) -> str:
    level = levels[number % len(levels)]
    price = f"187.{number % 100:02d}"
    return f"{level} execution-gateway order={number:08d} symbol=AAPL side=buy qty=100 px={price} accepted"


def _command(peer: Peer) -> str | None:
    return shutil.which(str(HOME / "venv/bin" / peer.argv[0])) or shutil.which(peer.argv[0])


def _quiet(*argv: str) -> None:
    subprocess.run(argv, check=False, capture_output=True, timeout=600)
