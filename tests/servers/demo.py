"""The demo stack as scripts use it: ``controlroom demo --headless`` in a process of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.servers.process import Child, UnavailableError, drop_home, make_home
from tests.servers.records import misfits

_CACHE: Final = Path(__file__).parents[2] / ".pytest_cache" / "programs"
"""Of all tests, as a user's cache is of all demos."""


@dataclass
class DemoWorld:
    """A running demo: the parsed line it printed, and the process."""

    line: Mapping[str, Any]
    home: Path
    child: Child

    def __getitem__(self, name: str) -> Any:
        return self.line[name]

    @property
    def config(self) -> Path:
        """The config file that points at everything."""
        return Path(self.line["config"])

    @property
    def state(self) -> Path:
        """The folder of its journal, plans and approvals."""
        return Path(tomllib.loads(self.config.read_text())["room"]["state_dir"])

    @property
    def env(self) -> dict[str, str]:
        """An environment with no configuration or state of the machine's own."""
        return isolated_env(self.home)

    def stop(self) -> None:
        """End it and remove what it left; its journal must hold nothing but records."""
        wrong = [*misfits(self.config.parent), *misfits(self.home)]
        self.child.stop(15.0)
        drop_home(self.home)
        if wrong:
            raise AssertionError("\n".join(wrong))


def isolated_env(home: Path) -> dict[str, str]:
    """The environment with every XDG folder below ``home``, but for the cache, where each demo looks for a
    new database cluster before it makes one."""
    env = dict(os.environ)
    for name in ("CONFIG", "STATE", "DATA"):
        env[f"XDG_{name}_HOME"] = str(home / name.lower())
    env["XDG_CACHE_HOME"] = str(_CACHE)
    return env


def start_demo(*options: str, seconds: float = 40.0) -> DemoWorld:
    """Start the demo with extra command-line ``options`` and wait for its line.

    A port the demo chose may be taken before it listens there; then it is started again.
    """
    for _ in range(2):
        try:
            return _start(options, seconds)
        except UnavailableError as error:
            if "already in use" not in str(error):
                raise
    return _start(options, seconds)


def _start(options: Sequence[str], seconds: float) -> DemoWorld:
    home = make_home("demo")
    child = Child(
        [sys.executable, "-m", "tui.cli", "demo", "--headless", *options],
        home / "log",
        env=isolated_env(home),
        stdout=subprocess.PIPE,
    )
    try:
        line = _first_line(child, seconds)
        # Its standard error is the operator's screen.
        assert "Warning: " not in child.log.read_text(errors="replace")
    except (UnavailableError, AssertionError):
        child.stop()
        drop_home(home)
        raise
    return DemoWorld(json.loads(line), home, child)


def switch(world: DemoWorld, fault: str, *, is_on: bool) -> None:
    """Turn a fault of a running demo on or off."""
    _post(f"{world['control']}/faults/{fault}", {"on": is_on})


def resume(world: DemoWorld) -> None:
    """Let the demo trade again, by the platform's own endpoint; the room has no such thing yet."""
    url = f"{world['http']['orchestrator']}/api/v1/kill-switch/disengage"
    _post(url, {"operator": "test", "notes": "next trial"})


def _post(url: str, body: Mapping[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def _first_line(child: Child, seconds: float) -> bytes:
    stdout = child.popen.stdout
    if stdout is None:
        raise UnavailableError("the demo has no standard output")
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([stdout], [], [], left)
        if ready and (line := stdout.readline()):
            return line
        if ready:
            break
    tail = child.log.read_text(errors="replace")[-1500:]
    raise UnavailableError(f"the demo printed no line: {tail}")
