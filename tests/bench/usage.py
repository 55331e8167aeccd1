"""What a running program costs: processor, memory, bytes to its terminal. Linux."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.terminal.screen import Terminal

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    cpu: float
    """Percent of one core, of the process and its children."""
    bytes_per_second: float
    rss: float
    """Megabytes at the end, of the process and its children."""


def watch(terminal: Terminal, seconds: float) -> Usage:
    """Read the terminal for ``seconds`` and say what that took."""
    pids = tree(terminal.popen.pid)
    cpu, written, begun = _cpu(pids), len(terminal.raw), time.monotonic()
    terminal.look(seconds)
    took = time.monotonic() - begun
    return Usage(
        cpu=100 * (_cpu(pids) - cpu) / took,
        bytes_per_second=(len(terminal.raw) - written) / took,
        rss=sum(_rss(pid) for pid in tree(terminal.popen.pid)) / 1e6,
    )


def tree(root: int) -> list[int]:
    """The process and everything below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _cpu(pids: list[int]) -> float:
    """Seconds used so far, ended threads included."""
    return sum((int(f[11]) + int(f[12])) / _TICK for pid in pids if (f := _stat(pid)))


def _rss(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[21]) * _PAGE if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name; empty when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rfind(")") + 2 :].split()
