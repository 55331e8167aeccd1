"""The processes of this host as ``/proc`` tells of them (Linux; or where it is mounted in a container)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

_SECRET_WORDS: Final = ("key", "secret", "pass", "token", "credential", "dsn")
_LONGEST: Final = 2 * 1024 * 1024
"""Bytes of a command line that are looked at: as many as Linux lets one have by default. What names a program
may stand behind all else, as after a class path, and one that is overlooked would count as one that is not
there.
"""

_IN_URL: Final = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")

HIDES_SOME: Final = "this user is not shown the processes of others (hidepid)"


class Process(Struct, frozen=True):
    """One process. ``started`` in clock ticks since boot tells it from a later one with the same number."""

    pid: int
    argv: tuple[str, ...]
    started: int
    parent: int

    @property
    def command(self) -> str:
        """Its command line, as it was typed as far as that is known."""
        return " ".join(self.argv)

    @property
    def shown(self) -> str:
        """Its command line without passwords in addresses, and without the values of arguments whose names
        say that they are secret."""
        words, hides = [], False
        for word in self.argv:
            name, sign, _ = word.partition("=")
            is_secret = any(part in name.lower() for part in _SECRET_WORDS)
            words.append("…" if hides else f"{name}=…" if is_secret and sign else word)
            hides = is_secret and not sign and word.startswith("-")
        return _IN_URL.sub(r"\1…", " ".join(words))


class ProcessTable:
    """Looks at the processes there are. Nothing here is cached, and every call reads the disk."""

    def __init__(self, url: str = "") -> None:
        """``url`` may name, as its path, where ``/proc`` is mounted."""
        self.root = Path(urlsplit(url).path if len(urlsplit(url).path) > 1 else "/proc")

    @property
    def is_there(self) -> bool:
        """Whether there is such a table at all: not on every system."""
        return (self.root / "stat").exists()

    @property
    def hides_some(self) -> bool:
        """Whether this user is kept from others' processes (``hidepid``): of the first one, which always
        runs, nothing is told."""
        return self.at(1) is None

    def all(self) -> list[Process]:
        """Every process but this one, oldest first."""
        numbers = [int(folder.name) for folder in self.root.iterdir() if folder.name.isdecimal()]
        found = (self.at(number) for number in numbers if number != os.getpid())
        return sorted((each for each in found if each is not None), key=lambda process: process.started)

    def at(self, pid: int) -> Process | None:
        """The process of this number now; None when there is none, or only its remains."""
        folder = self.root / str(pid)
        try:
            line = (folder / "cmdline").read_bytes()[:_LONGEST]
            if not line:
                return None  # a thread of the system's own, as most are, or remains
            # The name in brackets may hold anything, so what counts is what stands after the last one.
            words = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            started, parent, state = int(words[19]), int(words[1]), words[0]
        except (OSError, ValueError, IndexError):
            return None
        argv = tuple(word.decode("utf-8", "backslashreplace") for word in line.rstrip(b"\0").split(b"\0"))
        return Process(pid, argv, started, parent) if state not in (b"Z", b"X") else None

    def started_wall(self, process: Process) -> float | None:
        """When it started, epoch seconds."""
        try:
            lines = (self.root / "stat").read_text().splitlines()
            boot = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
        except (OSError, ValueError, IndexError, StopIteration):
            return None
        return boot + process.started / os.sysconf("SC_CLK_TCK")


def holding(processes: Sequence[Process], texts: str) -> list[Process]:
    """Those whose command line holds any of ``texts``, which ``|`` separates."""
    wanted = texts.split("|")
    return [process for process in processes if any(text in process.command for text in wanted)]
