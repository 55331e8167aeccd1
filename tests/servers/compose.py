"""Projects of the real ``docker compose`` on the tests' own engine, as an operator's host has them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path

from tests.servers.docker import IMAGE, DockerEngine
from tests.servers.process import UnavailableError, wait_until

SLEEP = ["sh", "-c", "while :; do sleep 1; done"]
"""What a service does that only has to be there."""

_LABEL = "com.docker.compose.project"


@dataclass
class Project:
    """One compose project: its folder, and what the engine has of it."""

    name: str
    folder: Path
    engine: DockerEngine
    options: tuple[str, ...] = ()
    """What goes before the command: files, profiles."""
    env: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str) -> str:
        """What ``docker compose`` prints; RuntimeError with its words when it fails."""
        argv = ["docker", "--host", self.engine.url, "compose", "-p", self.name, *self.options, *arguments]
        done = subprocess.run(
            argv, cwd=self.folder, env=dict(self.env) or None, capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
        return done.stdout

    def containers(self) -> dict[str, str]:
        """The id of each service's container, running or not, as ``docker ps --all`` lists them."""
        return dict(line.split() for line in self._list("ps", "--all", _NAME_AND_ID).splitlines())

    def running(self) -> set[str]:
        return set(self._list("ps", '{{.Label "com.docker.compose.service"}}').split())

    def volumes(self) -> set[str]:
        return set(self._list("volume", "ls", "{{.Name}}").split())

    def networks(self) -> set[str]:
        return set(self._list("network", "ls", "{{.Name}}").split())

    def remove(self, services: Iterable[str]) -> None:
        """None of these has a container any more."""
        for name in services:
            labels = [self._label, f"{_LABEL.rpartition('.')[0]}.service={name}"]
            for container in self.engine.client.containers.list(all=True, filters={"label": labels}):
                container.remove(force=True)

    def clear(self) -> None:
        """Nothing of it is left on the engine, nor on the host's network."""
        for container in self.engine.client.containers.list(all=True, filters={"label": self._label}):
            container.remove(force=True, v=True)
        for name in self.volumes():
            self.engine.client.volumes.get(name).remove(force=True)
        for name in self.networks():
            wait_until(partial(self._without, name), 20, f"the end of network {name}", every=0.5)

    def _without(self, network: str) -> bool:
        """Whether the network is gone: the engine may take a while to let go of a container's end in it."""
        from docker import errors

        with suppress(errors.NotFound):
            try:
                self.engine.client.networks.get(network).remove()
            except errors.APIError as error:
                if error.status_code != HTTPStatus.FORBIDDEN:
                    raise
                return False
        return True

    @property
    def _label(self) -> str:
        return f"{_LABEL}={self.name}"

    def _list(self, *words: str) -> str:
        *verb, shown = words
        argv = ["docker", "--host", self.engine.url, *verb, "--filter", f"label={self._label}"]
        return subprocess.run(
            [*argv, "--format", shown], capture_output=True, text=True, timeout=20, check=True
        ).stdout


_NAME_AND_ID = '{{.Label "com.docker.compose.service"}} {{.ID}}'


def need_compose() -> str:
    """The version of ``docker compose``; UnavailableError where it is not installed."""
    if shutil.which("docker") is None:
        raise UnavailableError("the docker command is not installed")
    asked = subprocess.run(
        ["docker", "compose", "version", "--short"], capture_output=True, text=True, timeout=20, check=False
    )
    if asked.returncode:
        raise UnavailableError("docker compose is not installed: tests/servers/install.sh brings it")
    return asked.stdout.strip()


def service(
    *,
    check: str | None = None,
    profile: str | None = None,
    name: str | None = None,
    build: str | None = None,
    networks: bool = False,
) -> dict[str, object]:
    """A service of a compose file: ``check`` is its health check, ``build`` the folder of its Dockerfile."""
    it: dict[str, object] = {"command": SLEEP, "stop_signal": "SIGKILL"}
    it |= {"build": build} if build else {"image": IMAGE}
    if name is not None:
        it["container_name"] = name
    if profile is not None:
        it["profiles"] = [profile]
    if check is not None:
        it["healthcheck"] = {"test": ["CMD-SHELL", check], "interval": "1s", "timeout": "5s", "retries": 30}
    if not networks:
        it["network_mode"] = "none"
    return it
