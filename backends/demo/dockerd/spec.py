"""What one container is made of, and what the work inside it can do."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from backends.demo.dockerd.log_store import LogStore


class Workload(Protocol):
    """The process a container stands for."""

    async def start(self) -> None: ...

    async def stop(self, how: signal.Signals) -> None:
        """End it, with the signal the engine sends first. Ending twice is no error."""

    def freeze(self, is_on: bool) -> None:
        """The container is paused, or goes on."""

    async def check(self) -> tuple[bool, str]:
        """What the health check finds: whether it is well, and what the check prints."""


class Idle:
    """A process nobody talks to."""

    async def start(self) -> None:
        return

    async def stop(self, how: signal.Signals) -> None:  # noqa: ARG002 # nothing runs, nothing ends
        return

    def freeze(self, is_on: bool) -> None:  # noqa: ARG002 # nothing runs, nothing freezes
        return

    async def check(self) -> tuple[bool, str]:
        return True, ""


class Check(Struct, frozen=True):
    """A health check: seconds, and how many failures in a row make it unhealthy."""

    command: tuple[str, ...]
    interval: float = 5.0
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 3.0


class Load(Struct, frozen=True):
    """What it uses, roughly: percent of one core, bytes of memory, bytes a second on the network."""

    cpu: float
    memory: int
    network: int = 2_000


class Mount(Struct, frozen=True):
    """A volume by its ``name``, or a path of the host by its ``source``."""

    destination: str
    name: str = ""
    source: str = ""
    is_writable: bool = True


class Executed(Struct, frozen=True):
    """How a program ended that was run inside a container."""

    code: int
    out: bytes = b""
    err: bytes = b""


Execute = Callable[[Sequence[str]], Awaitable[Executed]]


async def no_program(argv: Sequence[str]) -> Executed:
    """What an engine says of a program that the image does not hold."""
    said = f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{argv[0]}": '
    return Executed(127, f"{said}executable file not found in $PATH: unknown\r\n".encode())


class ContainerSpec(Struct, frozen=True):
    """A container as compose describes it. Its id follows from its name."""

    service: str
    name: str
    image: str
    command: str
    load: Load
    workload: Workload
    check: Check | None = None
    restart: str = "no"
    """Docker's word: ``no`` or ``unless-stopped``."""
    ports: tuple[tuple[str, int, int], ...] = ()
    """(host address, host port, container port)."""
    project: str = "trading_platform"
    environment: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    """Compose's name of it; the engine's is ``<project>_<network>``."""
    processes: tuple[str, ...] = ()
    """Names of the programs that run in it; empty for the first word of the command."""
    execute: Execute = no_program
    archive: Callable[[str], bytes | None] = lambda _path: None
    """A tar of what is at a path inside; None where nothing is."""
    unpack: Callable[[str, bytes], bool] = lambda _path, _tar: False
    """Takes a tar that is put into a folder inside; False where no such folder is."""
    on_signal: Callable[[signal.Signals], object] = lambda _how: None
    """A signal reached it that does not end it."""
    log: LogStore = field(default_factory=LogStore)

    @property
    def id(self) -> str:
        return digest(f"container {self.project} {self.name}")

    @property
    def network_name(self) -> str:
        return f"{self.project}_{self.network}"

    @property
    def image_id(self) -> str:
        return f"sha256:{digest(f'image {self.image}')}"

    def all_labels(self) -> dict[str, str]:
        """Compose's labels, and the container's own."""
        return {
            "com.docker.compose.config-hash": digest(f"config {self.name}"),
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project": self.project,
            "com.docker.compose.project.config_files": "docker-compose.yml",
            "com.docker.compose.project.working_dir": f"/srv/{self.project}",
            "com.docker.compose.service": self.service,
            "com.docker.compose.version": "2.24.5",
            **self.labels,
        }


def digest(text: str) -> str:
    """64 hexadecimal digits that follow from ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()
