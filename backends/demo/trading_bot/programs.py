"""Programs without a unit: real processes that do nothing but wait to be ended, and a view of them alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backends.demo.process import Child

PRETENCE: Final = """# Stands for a program of the bots: what it would do, the demo does while this lives.
import signal
signal.pause()
"""
_OF_THE_HOST: Final = ("stat", "meminfo", "loadavg", "uptime", "net", "1")
"""The first process too: whoever is not shown that is kept from those of others."""


class Programs:
    """Starts and ends them by their file's name. ``url`` shows the room these and the first of all."""

    def __init__(self, folder: Path, scripts: Path) -> None:
        self._proc = folder / "proc"
        self._scripts = scripts
        self._children: dict[str, Child] = {}
        self._proc.mkdir()
        for name in _OF_THE_HOST:
            (self._proc / name).symlink_to(f"/proc/{name}")

    @property
    def url(self) -> str:
        """The address of a host source."""
        return f"host://localhost{self._proc}"

    async def start(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Run it, with ``env`` and nothing else in its environment."""
        if self.is_alive(name):
            return
        script = self._scripts / name
        script.write_text(PRETENCE)
        child = await Child.start([sys.executable, "-IS", script], lambda _: None, env=dict(env or {}))
        self._children[name] = child
        link = self._proc / str(child.pid)
        link.unlink(missing_ok=True)
        link.symlink_to(f"/proc/{child.pid}")

    def is_alive(self, name: str) -> bool:
        child = self._children.get(name)
        return child is not None and child.is_running

    async def stop(self, *names: str) -> None:
        """End these, or all."""
        for name in names or tuple(self._children):
            child = self._children.pop(name, None)
            if child is not None:
                (self._proc / str(child.pid)).unlink(missing_ok=True)
                await child.stop(1.0)
