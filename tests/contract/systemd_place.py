"""The same units on a real systemd and on the demo's stand-in for it, for tests that run against both."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from backends.demo.systemd.units import Units, stamp
from backends.model.stack import Source, SourceKind
from tests.conftest import started
from tests.servers.process import drop_home, make_home, wait_until
from tests.servers.systemd import Systemd, start_systemd

KINDS: Final = ("stand-in", "real")
DUE: Final = 4_102_444_800.0
"""When the timer is due: with the next century."""

_SAY: Final = '''
"""Tells the journal what is written into its pipe: on its output, or in one piece when it has several lines.
At first it fails as often as it is told to."""
import json, os, pathlib, socket, struct, sys
unit, failures = sys.argv[1], int(sys.argv[2])
tried = pathlib.Path("/run", unit)
if failures and (n := int(tried.read_text()) if tried.exists() else 0) < failures:
    tried.write_text(str(n + 1))
    sys.exit(1)
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.connect("/run/systemd/journal/socket")
pipe = f"{os.environ['RUNTIME_DIRECTORY']}/pipe"
os.mkfifo(pipe)
# Opened for writing too, so that it never ends.
for line in os.fdopen(os.open(pipe, os.O_RDWR)):
    told = json.loads(line)
    message, priority = bytes(told["message"]), told["priority"]
    if b"\\n" in message:
        field = b"MESSAGE\\n" + struct.pack("<Q", len(message)) + message
        journal.send(field + b"\\nPRIORITY=%d\\n" % priority)
    else:
        os.write(1, b"<%d>" % priority + message + b"\\n")
'''
_SLEEPS: Final = "[Service]\nExecStart=sleep infinity\n"
_TALKS: Final = "[Service]\nRuntimeDirectory=%N\nExecStart={python} -IS {script} %n {failures}\n"

_UNITS: Final = {
    "bot.service": "{talks_after_3}Restart=always\nRestartSec=0\nEnvironment=DRY_RUN=1\n",
    "user.service": "{talks}User=trader\n",
    "once.service": "[Service]\nExecStart=true\n",
    "never.service": _SLEEPS,
    "watch.timer": "[Timer]\nOnActiveSec=1us\nAccuracySec=1us\nOnCalendar=2100-01-01 00:00:00 UTC\n"
    "Unit=once.service\n",
    "bad.service": "[Service]\nExecStart=sh -c 'exit 7'\n",
    "killed.service": "[Service]\nExecStart=sh -c 'kill -9 $$$$'\n",
    "loop.service": "[Service]\nRestart=always\nRestartSec=1h\nExecStart=false\n",
    "starting.service": "[Service]\nType=oneshot\nExecStart=sleep infinity\n",
    "slow.service": f"{_SLEEPS}ExecStop=sleep infinity\nTimeoutStopSec=infinity\n",
    "masked.service": "",
    "wrong.service": "[Service]\n",
    "desk.service": _SLEEPS,
    "desk@.service": _SLEEPS,
    "tough.service": f"{_SLEEPS}ExecStop=sleep 60\n",
    "broken.service": "[Service]\nType=oneshot\nExecStart=false\n",
    "locked.service": f"[Unit]\nRefuseManualStart=yes\nRefuseManualStop=yes\n{_SLEEPS}",
}
_USERS: Final = {"blue.service": "{talks}", "green.service": _SLEEPS}

_STARTED: Final = ("bot", "user", "bad", "killed", "loop", "starting", "slow", "desk", "desk@eu", "tough")
_LOCKED: Final = (
    "Operation refused, unit locked.service may be requested by dependency only"
    " (it is configured to refuse manual start/stop)."
)
_FAILED: Final = {"ActiveState": "failed", "SubState": "failed"}
_ENDED: Final = {"ExecMainCode": "1", "ExecMainStatus": "0"}
_AGAIN: Final = {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}
_STATES: Final[dict[str, dict[str, str]]] = {
    "once.service": _ENDED,
    "never.service": {},
    "bad.service": _FAILED | {"Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "7"},
    "killed.service": _FAILED | {"Result": "signal", "ExecMainCode": "2", "ExecMainStatus": "9"},
    "loop.service": _AGAIN | {"ExecMainCode": "1", "ExecMainStatus": "1"},
    "starting.service": {"ActiveState": "activating", "SubState": "start"},
    "slow.service": {"ActiveState": "deactivating", "SubState": "stop"},
    "masked.service": {"LoadState": "masked"},
    "wrong.service": {"LoadState": "bad-setting"},
    "broken.service": {"breaks": "yes"},
    "locked.service": {"refuses": _LOCKED},
}
"""Of those that are not simply running, as the stand-in is told and as the real one has to come to be."""


class Place(Protocol):
    """A systemd whose ``bot.service`` has been up since a moment between ``began`` and ``ready``."""

    began: float
    ready: float

    @property
    def programs(self) -> Path:
        """The folder of its ``systemctl`` and ``journalctl``."""

    def url(self, scope: str = "") -> str:
        """The address of a source that asks it, or the user's own."""

    def say(self, unit: str, message: str | bytes, priority: int = 6, scope: str = "") -> None:
        """Have a unit write one entry in the journal."""

    def state(self, unit: str, scope: str = "") -> str:
        """Its ``ActiveState``."""

    def followers(self) -> list[int]:
        """The processes of its ``journalctl``."""


def source(place: Place, scope: str = "") -> Source:
    """Of its units, or of the user's."""
    options = {"scope": scope} if scope else {}
    return Source("systemd", SourceKind.SYSTEMD, "systemd", place.url(scope), 1.0, 20.0, options=options)


@contextmanager
def place(kind: str) -> Iterator[Place]:
    """One of either kind, with all its units as they shall be."""
    home = make_home("units")
    real: Systemd | None = None
    try:
        if kind == "real":
            real = started("systemd", lambda: _start(home))
            yield RealPlace(real)
        else:
            yield StandIn(home)
    finally:
        if real is not None:
            real.stop()
        drop_home(home)


class StandIn:
    """The demo's programs."""

    def __init__(self, home: Path) -> None:
        self.began = self.ready = 1_700_000_000.0
        self.units = Units(home / "system")
        self._users = Units(home / "user", are_users=True)
        running = {"MemoryCurrent": "1048576"}
        self.units.started("bot.service", self.began, NRestarts="3", Environment="DRY_RUN=1", **running)
        for name in ("user", "desk", "desk@eu"):
            self.units.started(f"{name}.service", self.began, **running)
        self.units.started("tough.service", self.began, takes="60")
        at = stamp(self.began)
        timer = {"LastTriggerUSec": at, "NextElapseUSecRealtime": stamp(DUE)}
        self.units.started("watch.timer", self.began, SubState="waiting", **timer)
        for name, state in _STATES.items():
            ended = {"ExecMainExitTimestamp": at} if state.get("ExecMainCode") else {}
            self.units.add(name, **state, **ended)
        self._users.started("blue.service", self.began)
        self._users.add("green.service")

    @property
    def programs(self) -> Path:
        return self.units.programs

    def url(self, scope: str = "") -> str:
        return self._of(scope).url

    def say(self, unit: str, message: str | bytes, priority: int = 6, scope: str = "") -> None:
        self._of(scope).say(unit, message, priority)

    def state(self, unit: str, scope: str = "") -> str:
        return (self._of(scope).read(unit) or {}).get("ActiveState", "inactive")

    def followers(self) -> list[int]:
        ours = [str(each / "journalctl").encode() for each in (self.programs, self._users.programs)]
        return [pid for pid in _processes() if any(each in _command(pid) for each in ours)]

    def _of(self, scope: str) -> Units:
        return self._users if scope else self.units


class RealPlace:
    """A real systemd."""

    def __init__(self, real: Systemd) -> None:
        self.began = float(int(time.time()))
        self._real = real
        real.run("journalctl", "--flush")  # lines of regular users go into files of their own from now on
        real.run("systemctl", "start", "--no-block", "watch.timer", *(f"{each}.service" for each in _STARTED))
        real.run("systemctl", "--user", "start", "blue.service")
        wait_until(lambda: self.state("slow.service") == "active", 20, "slow.service")
        real.run("systemctl", "stop", "--no-block", "slow.service")
        wait_until(self._is_as_it_shall_be, 20, "the state of its units")
        for unit, scope in (("bot", ""), ("user", ""), ("blue", "user")):
            wait_until(self._pipe(unit, scope).exists, 20, f"{unit}.service")
        self.ready = time.time()

    @property
    def programs(self) -> Path:
        return self._real.programs

    def url(self, scope: str = "") -> str:
        return self._real.url

    def say(self, unit: str, message: str | bytes, priority: int = 6, scope: str = "") -> None:
        raw = message if isinstance(message, bytes) else message.encode()
        with self._pipe(unit.removesuffix(".service"), scope).open("w") as pipe:
            pipe.write(json.dumps({"message": list(raw), "priority": priority}) + "\n")

    def state(self, unit: str, scope: str = "") -> str:
        words = ("systemctl", *(["--user"] if scope else []), "show", "--property=ActiveState", "--value")
        return self._real.run(*words, unit).stdout.strip()

    def followers(self) -> list[int]:
        return self._real.processes("journalctl")

    def _is_as_it_shall_be(self) -> bool:
        wanted = [
            {"Id": unit, "ActiveState": "inactive"}
            | {name: each for name, each in state.items() if name[0].isupper()}
            for unit, state in [("watch.timer", {"ActiveState": "active"}), *_STATES.items()]
        ]
        names = {name for each in wanted for name in each}
        argv = ("systemctl", "show", f"--property={','.join(names)}", *(each["Id"] for each in wanted))
        shown = [set(block.splitlines()) for block in self._real.run(*argv).stdout.split("\n\n")]
        return all(
            {f"{name}={each}" for name, each in one.items()} <= lines
            for one, lines in zip(wanted, shown, strict=True)
        )

    def _pipe(self, unit: str, scope: str) -> Path:
        return self._real.root / ("run/user/0" if scope else "run") / unit / "pipe"


def _start(home: Path) -> Systemd:
    python = Path(sys.executable).resolve()
    script = home / "say.py"
    script.write_text(_SAY)
    talks, after_3 = (_TALKS.format(python=python, script=script, failures=failures) for failures in (0, 3))
    system, users = (
        {
            name: text.replace("{talks}", talks).replace("{talks_after_3}", after_3)
            for name, text in units.items()
        }
        for units in (_UNITS, _USERS)
    )
    # A regular user shall read the program too.
    home.chmod(0o755)
    # One that nothing refers to would be forgotten, with what is known of its last run, when it ends.
    return start_systemd(system, users, begin=["desk.service"], shown=[home, Path(sys.base_prefix)])


def _processes() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
