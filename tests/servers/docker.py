"""A real Docker Engine of our own: private socket, private data, no network, images made from busybox."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import Child, UnavailableError, drop_home, make_home, wait_until

IMAGE = "controlroom-test:1"
PROJECT = "cr"
_APPLETS = (
    "sh", "sleep", "echo", "cat", "yes", "head", "tail", "printf", "date", "true", "false", "tr", "chown",
    "grep",
)  # fmt: skip
_SECOND = 1_000_000_000
_SLEEP = "while :; do sleep 1; done"
_CHATTER = 'i=0; while :; do i=$((i+1)); echo "INFO line $i"; echo "ERROR line $i" >&2; sleep 0.2; done'


@dataclass
class DockerEngine:
    """The running engine. Its containers share the compose project label ``cr``."""

    socket: str
    home: Path
    child: Child
    client: Any
    """A ``docker.DockerClient`` for the tests' own use."""

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def pause(self) -> None:
        """Freeze the engine, not its containers."""
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def run(self, name: str, script: str, **options: Any) -> Any:
        """Start one more container running ``sh -c script``; options are docker-py's own.

        Remove it with ``.remove(force=True)`` when the test ends.
        """
        labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.service": name}
        options.setdefault("labels", labels)
        options.setdefault("stop_signal", "SIGKILL")  # a shell as pid 1 ignores SIGTERM
        return self.client.containers.run(
            IMAGE, ["sh", "-c", script], name=name, detach=True, network_mode="none", **options
        )

    def health(self, name: str) -> str:
        """``healthy``, ``unhealthy``, ``starting``, or ``none`` without a check."""
        state = self.client.api.inspect_container(name)["State"]
        return str(state.get("Health", {}).get("Status", "none"))

    def file(self, container: str, path: str) -> str:
        """What a container has in a file. Not by a program in it: one that ends at once may be heard saying
        nothing."""
        parts, _ = self.client.containers.get(container).get_archive(path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
            held = tar.extractfile(tar.getmembers()[0])
            assert held is not None
            return held.read().decode()

    def end_daemon(self) -> None:
        """The daemon ends as a service manager has it end: its containers with it, and not their data."""
        self.child.stop(60.0)

    def begin_daemon(self) -> None:
        """It begins on the same data, and answers: what was not stopped by hand comes up again."""
        self.child = _daemon(self.child.popen.args[0], self.home, self.socket)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until it answers; UnavailableError when it never does."""

        def is_ready() -> bool:
            with contextlib.suppress(Exception):  # whatever it says, it is not ready
                return bool(self.client.ping())
            return False

        self.child.wait_ready(is_ready, 30.0)

    def stop(self) -> None:
        with contextlib.suppress(Exception):  # a broken engine is ended below all the same
            self.child.resume()
            for container in self.client.containers.list(all=True, sparse=True):
                container.remove(force=True)
        self.client.close()
        self.child.stop(20.0)
        drop_home(self.home)


def start_docker() -> DockerEngine:
    """Start ``dockerd`` and its five containers; UnavailableError when this machine cannot."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UnavailableError("a private dockerd needs Linux and root")
    dockerd = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin")
    if dockerd is None:
        raise UnavailableError("dockerd is not installed")
    busybox = _static_busybox()
    try:
        import docker
    except ImportError as error:
        raise UnavailableError(f"the docker package is not installed: {error}") from error
    home = make_home("docker")
    socket = f"{home}/docker.sock"
    client = docker.DockerClient(base_url=f"unix://{socket}", version="1.41", timeout=20)
    engine = DockerEngine(socket, home, _daemon(dockerd, home, socket), client)
    try:
        engine.wait_ready()
        client.api.import_image_from_data(_rootfs(busybox), repository="controlroom-test", tag="1")
        _start_containers(engine)
    except Exception as error:
        tail = engine.child.log.read_text(errors="replace")[-600:]
        engine.stop()
        raise UnavailableError(f"{error}; dockerd said: {tail}") from error
    return engine


def _daemon(dockerd: str, home: Path, socket: str) -> Child:
    return Child(
        [dockerd, "--host", f"unix://{socket}", "--data-root", home / "data", "--exec-root", home / "exec",
         "--pidfile", home / "pid", "--iptables=false", "--ip6tables=false", "--bridge=none",
         "--config-file", _empty_config(home), "--log-level", "warn"],
        home / "log",
        env={**os.environ, "DOCKER_HOST": "", "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )  # fmt: skip


class SharedDocker:
    """One engine for many tests, started when it is first wanted and again after a ``stop``."""

    def __init__(self) -> None:
        self._engine: DockerEngine | None = None
        self._why_not: UnavailableError | None = None

    def running(self) -> DockerEngine:
        """The engine. Raises UnavailableError; where it did not start once, it is not tried again."""
        if self._why_not is not None:
            raise self._why_not
        if self._engine is None:
            try:
                self._engine = start_docker()
            except UnavailableError as error:
                self._why_not = error
                raise
        return self._engine

    def stop(self) -> None:
        """End the engine, if there is one."""
        if self._engine is not None:
            self._engine.stop()
            self._engine = None


def _start_containers(engine: DockerEngine) -> None:
    engine.run("cr-healthy", _SLEEP, healthcheck=_check("exit 0", retries=30))
    engine.run("cr-unhealthy", _SLEEP, healthcheck=_check("echo down; exit 1"))
    engine.run("cr-nocheck", _SLEEP)
    engine.run("cr-crashloop", "echo CRITICAL boom; exit 3", restart_policy={"Name": "always"})
    engine.run("cr-chatty", _CHATTER)
    wait_until(lambda: engine.health("cr-healthy") == "healthy", 20, "cr-healthy healthy")
    wait_until(lambda: engine.health("cr-unhealthy") == "unhealthy", 20, "cr-unhealthy unhealthy")

    def restarts() -> int:
        return int(engine.client.api.inspect_container("cr-crashloop")["RestartCount"])

    wait_until(lambda: restarts() >= 2, 20, "cr-crashloop restarting")


def _check(script: str, retries: int = 1) -> dict[str, Any]:
    """``retries`` failures in a row make it unhealthy: many, where only a busy machine could cause them."""
    test = ["CMD", "sh", "-c", script]
    return {"test": test, "interval": _SECOND, "timeout": 5 * _SECOND, "retries": retries}


def _static_busybox() -> Path:
    """The busybox binary of the busybox-static package; any other needs libraries the image lacks."""
    found = shutil.which("busybox")
    if found is None:
        raise UnavailableError("busybox-static is not installed")
    binary = Path(found).resolve()
    # The name of the dynamic loader stands right after the ELF headers, in dynamic binaries only.
    if b"/ld-" in binary.read_bytes()[:4096]:
        raise UnavailableError("busybox is not the static one (package busybox-static)")
    return binary


def _rootfs(busybox: Path) -> bytes:
    """A root file system of one binary under the names the scripts use."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "tmp", "proc", "dev", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        binary = busybox.read_bytes()
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(binary), 0o755
        tar.addfile(entry, io.BytesIO(binary))
        for name in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return out.getvalue()


def _empty_config(home: Path) -> Path:
    """So that the machine's own /etc/docker/daemon.json has no say."""
    path = home / "daemon.json"
    path.write_text("{}")
    return path
