"""Programs that the room runs inside containers: PostgreSQL's own, against the demo's server."""

from __future__ import annotations

import asyncio
import io
import os
import pwd
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from backends.demo.dockerd.spec import Executed, no_program

_POSTGRES: Final = ("pg_dump", "psql", "pg_isready")
_USER: Final = "claire_user"
_TMP: Final = "/tmp/"  # noqa: S108 # a folder inside a simulated container


class PostgresPrograms:
    """``pg_dump`` and ``psql`` of the bundled PostgreSQL, and ``tail``. The role has another name here."""

    def __init__(self, folder: Path, port: int, role: str, kept: Path, user: str = _USER) -> None:
        """``folder`` is where the programs are, ``kept`` stands for the container's ``/tmp``, ``user`` is
        what the room calls ``role``."""
        self._user = user
        self._kept = kept
        self._folder = folder
        self._port = port
        self._role = role

    async def run(self, argv: Sequence[str]) -> Executed:
        words = [re.sub(rf"\b{self._user}\b", self._role, word) for word in argv[1:]]
        words = [str(self._kept / word[len(_TMP) :]) if word.startswith(_TMP) else word for word in words]
        program: list[str | Path]
        if argv[0] in _POSTGRES:
            program = [self._folder / argv[0], "-h", "127.0.0.1", "-p", str(self._port)]
        elif argv[0] == "tail":
            program = ["tail"]
        else:
            return await no_program(argv)
        process = await asyncio.create_subprocess_exec(
            *program, *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", ""), "HOME": pwd.getpwuid(os.geteuid()).pw_dir},
        )  # fmt: skip
        out, err = await process.communicate()
        return Executed(process.returncode or 0, out, err)

    def unpack(self, path: str, archive: bytes) -> bool:
        """Files copied into the container: into its ``/tmp``, and nowhere else."""
        if path.rstrip("/") + "/" != _TMP:
            return False
        self._kept.mkdir(exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(self._kept, filter="data")
        return True


async def grafana_cli(argv: Sequence[str]) -> Executed:
    """``grafana cli``: it says that it did it."""
    if argv[0] != "grafana":
        return await no_program(argv)
    return Executed(0, b"Admin password changed successfully\n")


class VolumePrograms:
    """``chown``, and what looks whether it did anything, in one container's folder."""

    def __init__(self) -> None:
        self.is_stuck = False
        """A file stays root's whatever ``chown`` says, as on a share that does not take owners."""

    async def run(self, argv: Sequence[str]) -> Executed:
        if argv[0] == "find":
            return Executed(0, f"{argv[1]}/validation.json\n".encode() if self.is_stuck else b"")
        return Executed(0) if argv[0] in ("chown", "touch", "rm") else await no_program(argv)


def archive_of(files: Mapping[str, Callable[[], bytes]]) -> Callable[[str], bytes | None]:
    """A container's files by path: a tar of each as the engine would give it."""

    def archive(path: str) -> bytes | None:
        return _tar(path, files[path]()) if path in files else None

    return archive


def _tar(path: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(Path(path).name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
