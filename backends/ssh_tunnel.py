"""A unix socket here that leads to a unix socket on another machine, through the system's own ssh.

OpenSSH is used rather than the SDK's transport: it honours ``~/.ssh/config``, agents, jump hosts and known
hosts, its connect is bounded in time, and a stack without ssh loads nothing for it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Final
from urllib.parse import urlsplit

from backends.whereabouts import address_of

REMOTE: Final = "/var/run/docker.sock"
_REFUSED: Final = "open failed:"
"""Sign of what ssh says when the socket over there cannot be opened."""
_FAR: Final = "Docker's socket on the other machine is not there, or this user may not open it"
_AFTERMATH: Final = (
    "kex_exchange_identification:",
    "stdio forwarding failed",
    "Connection closed by UNKNOWN",
    "Connection to UNKNOWN",
)
"""How ssh goes on when the way to the machine before broke, which has said why."""
_STEP: Final = 0.02
"""Seconds between two looks whether the tunnel stands."""

_UNDER_WAY: Final[dict[str, list[str | None]]] = {}
"""Hosts whose address is being asked for."""


class TunnelError(Exception):
    """The tunnel does not stand. The message is ssh's own last word, or that there was none."""


class Tunnel:
    """One ssh process, ended by ``close`` or with this process: it lives on a pipe that ends with us."""

    def __init__(self, url: str, seconds: float) -> None:
        """``ssh://[user@]host[:port][/remote/socket]``. Raises TunnelError when it does not stand in time."""
        self.host = _host(urlsplit(url).netloc)
        """As ssh was told it; its configuration alone may know it."""
        # Beside ssh: without a name server that still finds what its own configuration knows.
        self._addresses = _look_up(self.host)
        program = shutil.which("ssh")
        if program is None:
            raise TunnelError("there is no ssh program on this machine")
        # For this user alone; short, because paths of unix sockets may have 100 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="controlroom-ssh-", dir="/tmp"))
        self.socket = self._folder / "docker.sock"
        self._said = self._folder / "said"
        with self._said.open("wb") as said:
            self._ssh = subprocess.Popen(  # noqa: S603 # the address was checked, and nothing of it can be an option
                [program, *_options(url, self.socket, seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
        try:
            self._wait(monotonic() + seconds, seconds)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str | None:
        """One that the host had when the way was made; None while it is not known, which may be for ever."""
        return self._addresses[0] if self._addresses else None

    def _wait(self, ends: float, seconds: float) -> None:
        while not self.socket.exists():
            if self._ssh.poll() is not None:
                raise TunnelError(self._last_word())
            if monotonic() > ends:
                raise TunnelError(f"ssh did not connect within {seconds:g} s")
            sleep(_STEP)

    def _last_word(self) -> str:
        lines = self._lines()
        reasons = [line for line in lines if not line.startswith(_AFTERMATH)] or lines
        return f"ssh: {reasons[-1][:200]}" if lines else "ssh ended without a word"

    def trouble(self) -> str | None:
        """Why nothing comes through: what ssh said of it. None when it said nothing about that."""
        if self._ssh.poll() is not None:
            return self._last_word()
        refused = [line.partition(_REFUSED)[2].strip() for line in self._lines() if _REFUSED in line]
        return f"{_FAR} (ssh: {refused[-1][:100]})" if refused else None

    def _lines(self) -> list[str]:
        """All that ssh said; nothing is left of it once the tunnel was closed."""
        try:
            return self._said.read_text("utf-8", "backslashreplace").strip().splitlines()
        except FileNotFoundError:
            return []

    def close(self) -> None:
        """End the tunnel and remove what it left behind."""
        if self._ssh.stdin is not None:
            with suppress(OSError):
                self._ssh.stdin.close()
        self._ssh.terminate()
        try:
            self._ssh.wait(1.0)
        except subprocess.TimeoutExpired:
            self._ssh.kill()
            self._ssh.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _look_up(host: str) -> Sequence[str | None]:
    """Where an address of the host will be. Asked for once at a time: a dead name server keeps each who asks
    for half a minute, and a way that does not stand is tried anew much sooner."""
    mine: list[str | None] = []
    found = _UNDER_WAY.setdefault(host, mine)

    def ask() -> None:
        address = address_of(host)
        del _UNDER_WAY[host]
        mine.append(address)

    if found is mine:
        try:
            Thread(target=ask, name="ssh-name", daemon=True).start()
        except RuntimeError:  # no thread to be had
            del _UNDER_WAY[host]
    return found


def _options(url: str, local: Path, seconds: float) -> list[str]:
    parts = urlsplit(url)
    words = {
        "BatchMode": "yes",
        "ExitOnForwardFailure": "yes",
        "ConnectTimeout": str(max(1, ceil(seconds))),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "2",
        "ControlPath": "none",
    }
    options = [text for key, value in words.items() for text in ("-o", f"{key}={value}")]
    options += ["-T", "-L", f"{local}:{parts.path or REMOTE}"]
    if parts.port is not None:
        options += ["-p", str(parts.port)]
    if parts.username:
        options += ["-l", parts.username]
    # It reads our end of the pipe: when we are gone, however we went, it ends and ssh with it.
    return [*options, "--", _host(parts.netloc), "cat"]


def _host(netloc: str) -> str:
    """The host as it is written: ssh's own configuration tells capitals from small letters."""
    bare = netloc.rpartition("@")[2]
    return bare[1:].partition("]")[0] if bare.startswith("[") else bare.partition(":")[0]
