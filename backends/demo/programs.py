"""Programs that the room runs inside containers: PostgreSQL's own, against the demo's server."""

from __future__ import annotations

import asyncio
import io
import os
import pwd
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from backends.demo.dockerd.spec import Executed, no_program

_POSTGRES: Final = ("pg_dump", "psql", "pg_isready")
_USER: Final = "claire_user"


class PostgresPrograms:
    """``pg_dump`` and ``psql`` of the bundled PostgreSQL. The role has another name here."""

    def __init__(self, folder: Path, port: int, role: str, user: str = _USER) -> None:
        """``folder`` is where the programs are; ``user`` is what the room calls ``role``."""
        self._user = user
        self._folder = folder
        self._port = port
        self._role = role

    async def run(self, argv: Sequence[str]) -> Executed:
        if argv[0] not in _POSTGRES:
            return await no_program(argv)
        words = [self._role if word == self._user else word for word in argv[1:]]
        process = await asyncio.create_subprocess_exec(
            self._folder / argv[0], "-h", "127.0.0.1", "-p", str(self._port), *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", ""), "HOME": pwd.getpwuid(os.geteuid()).pw_dir},
        )  # fmt: skip
        out, err = await process.communicate()
        return Executed(process.returncode or 0, out, err)


async def grafana_cli(argv: Sequence[str]) -> Executed:
    """``grafana cli``: it says that it did it."""
    if argv[0] != "grafana":
        return await no_program(argv)
    return Executed(0, b"Admin password changed successfully\n")


async def chown(argv: Sequence[str]) -> Executed:
    """``chown``: nothing to say."""
    return Executed(0) if argv[0] == "chown" else await no_program(argv)


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
