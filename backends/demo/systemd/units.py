"""The folder in which simulated units live, and the programs that tell of them and change them."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from time import gmtime, strftime, time_ns
from typing import Any

_HERE = Path(__file__).parent
_LONGEST = 4096
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Units:
    """Makes the folder; reads and writes what the programs in it read and write."""

    def __init__(self, home: Path, *, are_users: bool = False) -> None:
        """``are_users`` says that they are of the user's own systemd."""
        self.home = home
        self._fields = {"_SYSTEMD_UNIT": "user@1000.service"} if are_users else {}
        self._named = "_SYSTEMD_USER_UNIT" if are_users else "_SYSTEMD_UNIT"
        self.programs = home / "bin"
        for folder in (home / "units", self.programs):
            folder.mkdir(parents=True, exist_ok=True)
        (home / "journal").touch()
        for name in ("systemctl", "journalctl"):
            program = self.programs / name
            # Isolated and without site packages: it starts in a twentieth of a second.
            program.write_text(f"#!{sys.executable} -IS\n" + (_HERE / f"{name}.py").read_text())
            program.chmod(0o755)

    @property
    def url(self) -> str:
        """The address of a systemd source that asks these programs."""
        return f"systemd://localhost{self.programs}"

    def add(self, unit: str, **state: str) -> None:
        """A unit that is loaded, with properties as ``systemctl show`` prints them.

        ``refuses``, ``takes`` (seconds), ``breaks`` and ``runs`` (its sub-state) say how it answers orders.
        """
        beside = self.home / "units" / f".{unit}.new"
        beside.write_text(json.dumps(state))
        beside.replace(self.home / "units" / unit)

    def started(self, unit: str, at: float, **state: str) -> None:
        """A unit that has been active since ``at``, with the line that systemd writes at a start."""
        since = {"ActiveState": "active", "SubState": "running", "ActiveEnterTimestamp": stamp(at)}
        self.add(unit, **since | {"MainPID": str(os.getpid())} | state)
        self.say(unit, f"Started {unit}.")

    def remove(self, unit: str) -> None:
        """As if it had never been installed."""
        (self.home / "units" / unit).unlink(missing_ok=True)

    def read(self, unit: str) -> dict[str, str] | None:
        """Its properties now; None when there is no such unit."""
        path = self.home / "units" / unit
        return json.loads(path.read_text()) if path.exists() else None

    def is_active(self, unit: str) -> bool:
        """Whether it runs."""
        return (self.read(unit) or {}).get("ActiveState") == "active"

    def change(self, unit: str, **state: str) -> None:
        """Some properties anew."""
        self.add(unit, **(self.read(unit) or {}) | state)

    def say(self, unit: str, message: str | bytes, priority: int = 6) -> None:
        """An entry in the journal."""
        entry = {
            "__REALTIME_TIMESTAMP": str(time_ns() // 1000),
            "PRIORITY": str(priority),
            **self._fields,
            self._named: unit,
            "MESSAGE": _told(message if isinstance(message, bytes) else message.encode()),
        }
        with (self.home / "journal").open("a") as journal:
            journal.write(json.dumps(entry) + "\n")

    def record_calls(self) -> None:
        """From now on."""
        (self.home / "calls").touch()

    def calls(self) -> list[Any]:
        """Arguments and environment of every recorded call of systemctl."""
        return [json.loads(line) for line in (self.home / "calls").read_text().splitlines()]


def stamp(at: float) -> str:
    """Epoch seconds as systemctl prints them in UTC."""
    return strftime("%a %Y-%m-%d %H:%M:%S UTC", gmtime(at))


def _told(message: bytes) -> str | list[int] | None:
    """As ``journalctl --output=json`` prints it: not at all, when it is too long; as numbers, what is not
    UTF-8 or would do something to a terminal.
    """
    if len("MESSAGE=") + len(message) >= _LONGEST:
        return None
    try:
        text = message.decode()
    except UnicodeDecodeError:
        return list(message)
    return list(message) if _CONTROL.search(text) else text
