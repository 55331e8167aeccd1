"""Services that are plain processes: found by a text their command line holds."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence

from backends.model.fact import SourceError
from backends.model.safetext import NAME_LIMIT, SafeText
from backends.model.service import Health, RunState, Runtime, Service, Usage
from backends.model.stack import ServiceSpec, Source
from backends.process_table import Process, ProcessTable, holding


class ProcessServiceReader:
    """The processes a stack expects. Of several that match, the oldest is told of, and how many there are."""

    def __init__(self, source: Source, services: Sequence[ServiceSpec]) -> None:
        self._specs = services
        self._table = ProcessTable(source.url)

    async def services(self) -> Mapping[str, Service | None]:
        """As ``ServiceReader.services``. Raises SourceError where processes cannot be listed."""
        if not self._table.is_there:
            raise SourceError("processes cannot be listed on this system")
        return await asyncio.to_thread(self._look)

    async def clock(self) -> float:
        """As ``ServiceReader.clock``: it runs on this host, whose clock is the room's."""
        return time.time()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _look(self) -> dict[str, Service | None]:
        processes = self._table.all()
        return {spec.name: self._service(spec, processes) for spec in self._specs}

    def _service(self, spec: ServiceSpec, processes: Sequence[Process]) -> Service | None:
        found = holding(processes, spec.match[0])
        if not found:
            return None
        oldest = found[0]
        many = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return Service(
            name=spec.name,
            runtime=Runtime.PROCESS,
            ident=str(oldest.pid),
            title=SafeText(f"{oldest.pid}{many}: {oldest.shown}", NAME_LIMIT),
            state=RunState.RUNNING,
            health=Health.NO_CHECK,
            started_wall=self._table.started_wall(oldest),
            usage=Usage(memory=self._memory(oldest)),
        )

    def _memory(self, process: Process) -> int | None:
        try:
            pages = (self._table.root / str(process.pid) / "statm").read_text().split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return None
