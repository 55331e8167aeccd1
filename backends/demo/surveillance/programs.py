"""Programs that can be run inside the containers: the loader, a try of the network, and PostgreSQL's own."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from backends.demo.dockerd.spec import Executed, no_program
from backends.demo.postgres_server import PostgresServer
from backends.demo.surveillance.settings import RefusedError, load


class WorkerPrograms:
    """What python does in a worker's container."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unreached: set[str] = set()
        """Addresses nothing comes back from: ``futures``, ``spot``, ``okx``."""

    async def execute(self, argv: Sequence[str]) -> Executed:
        script = argv[2] if len(argv) > 2 and argv[:2] == ("python", "-c") else ""
        at = {"at": datetime.now(UTC).isoformat()}
        if "load_config" in script:
            try:
                said = at | {"config": load(self._folder)}
            except RefusedError as error:
                return Executed(1, err=f"pydantic_core._pydantic_core.ValidationError: {error}\n".encode())
            return Executed(0, json.dumps(said).encode())
        if "fstream.binance.com" in script:
            reached = {name: name not in self.unreached for name in ("futures", "spot", "okx")}
            return Executed(0, json.dumps(at | reached).encode() + b"\n")
        return await no_program(argv)


class DatabasePrograms:
    """``pg_dump`` and ``psql`` of the server's own wheel, against the demo's server."""

    def __init__(self, server: PostgresServer, user: str) -> None:
        """``user`` is asked for no password there, as in a container whose socket is trusted."""
        self._server = server
        self._user = user

    async def execute(self, argv: Sequence[str]) -> Executed:
        if argv[0] not in ("pg_dump", "psql"):
            return await no_program(argv)
        given = [word for word in argv[1:] if not word.startswith("--username=")]
        where = ("--host=127.0.0.1", f"--port={self._server.port}", f"--username={self._user}")
        program = self._server.program(argv[0])
        process = await asyncio.create_subprocess_exec(
            program, *where, "--no-password", *given,
            env={**os.environ, "PGPASSWORD": self._server.passwords[self._user]},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return Executed(process.returncode or 0, out, err)
