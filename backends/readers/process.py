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
from backends.process_table import HIDES_SOME, Process, ProcessTable, holding
from backends.readers.lane import Lane


class ProcessServiceReader:
    """The processes a stack expects. Of several that match, the oldest is told of, and how many there are."""

    def __init__(self, source: Source, services: Sequence[ServiceSpec]) -> None:
        self._specs = services
        self._deadline = source.deadline
        self._lane = Lane(source.title)
        self._turn = asyncio.Lock()
        self._table = ProcessTable(source.url)

    async def services(self) -> Mapping[str, Service | None]:
        """As ``ServiceReader.services``. Raises SourceError where processes cannot be listed, and
        where one that is not seen may be one that is hidden."""
        if not self._table.is_there:
            raise SourceError("processes cannot be listed on this system")
        async with self._turn:
            return await self._lane.call(self._look, self._deadline)

    async def clock(self) -> float:
        """As ``ServiceReader.clock``: it runs on this host, whose clock is the room's."""
        return time.time()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _look(self) -> dict[str, Service | None]:
        processes = self._table.all()
        found = {spec.name: self._service(spec, processes) for spec in self._specs}
        if None in found.values() and self._table.hides_some:
            raise SourceError(HIDES_SOME)
        return found

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
