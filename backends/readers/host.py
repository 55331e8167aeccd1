"""The host the room runs on: disk, memory, load, ports, processes, and what it reaches over the network."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from backends.model.clock import Clock
from backends.model.fact import Fact, Finding, SourceError
from backends.model.query import HostQuery
from backends.model.stack import Source
from backends.process_table import HIDES_SOME, Process, ProcessTable, holding
from backends.readers.coerce import MisfitError
from backends.readers.extract import Rows, broken, extract
from backends.readers.failure import network_reason, silence
from backends.readers.host_port import listeners
from backends.readers.lane import Lane

_SHARE: Final = 0.9
_AT_ONCE: Final = 8
"""Questions to the network at the same time."""
_OF_DISKS: Final = ("disk", "disk_free")


class HostFactReader:
    """A FactReader over ``/proc`` and the network. What this system does not tell is Broken, and why."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self._clock = clock
        self._seconds = source.deadline * _SHARE
        self._lane = Lane(source.title)
        self._disk_lane = Lane("The disk")
        self._table = ProcessTable(source.url)
        self._seen: list[Process] | None = None
        self._listening: list[dict[str, Any]] | None = None
        self._local: dict[str, Callable[[HostQuery], Any]] = {
            "disk": _disk_used,
            "disk_free": _disk_free,
            "memory": self._memory,
            "load": lambda _: os.getloadavg()[0] / (os.cpu_count() or 1),
            "uptime": lambda _: float(self._text("uptime").split()[0]),
            "port": self._port,
            "ports": lambda _: _rows(self._listeners()),
            "process": self._processes,
            "env_is": self._env_is,
            "env_has": self._env_has,
            "interfaces": self._interfaces,
            "net_errors": self._net_errors,
        }

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        """One finding a fact; this host always answers."""
        asked = dict.fromkeys(fact.query for fact in facts if isinstance(fact.query, HostQuery))
        distant = [query for query in asked if query.what in ("tcp", "dns")]
        disks = [query for query in asked if query.what in _OF_DISKS]
        near = [query for query in asked if query.what not in ("tcp", "dns", *_OF_DISKS)]
        gate = asyncio.Semaphore(_AT_ONCE)
        told, used, *answers = await asyncio.gather(
            self._near(self._lane, self._ask_all, near),
            # A disk that hangs keeps nothing else back: processes tell whether orders are live.
            self._near(self._disk_lane, self._ask_disks, disks),
            *(self._distant(query, gate) for query in distant),
        )
        told |= used | dict(zip(distant, answers, strict=True))
        return {fact.id: _finding(fact, told) for fact in facts}

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _near(
        self, lane: Lane, ask: Callable[[Sequence[HostQuery]], dict[HostQuery, Any]], queries: list[HostQuery]
    ) -> dict[HostQuery, Any]:
        """In a thread: a disk that hangs is waited for by one, not by one more a poll."""
        if not queries:
            return {}
        try:
            return await lane.call(lambda: ask(queries), self._seconds)
        except SourceError as error:
            return dict.fromkeys(queries, MisfitError(str(error)))

    def _ask_all(self, queries: Sequence[HostQuery]) -> dict[HostQuery, Any]:
        self._seen = self._listening = None
        return {query: self._ask(query) for query in queries}

    def _ask_disks(self, queries: Sequence[HostQuery]) -> dict[HostQuery, Any]:
        return {query: self._ask(query) for query in queries}

    def _holding(self, texts: str) -> list[Process]:
        """Looked for among the processes of this poll, which are listed once."""
        if not self._table.is_there:
            raise MisfitError("processes cannot be listed on this system")
        if self._seen is None:
            self._seen = self._table.all()
        found = holding(self._seen, texts)
        if not found and self._table.hides_some:
            raise MisfitError(HIDES_SOME)
        return found

    def _ask(self, query: HostQuery) -> Any:
        """The answer, or the MisfitError that says why there is none."""
        try:
            return self._local[query.what](query)
        except KeyError:
            return MisfitError(f"nothing here tells of {query.what}")
        except MisfitError as misfit:
            return misfit
        except PermissionError:
            return MisfitError("this user may not look at it")
        except (OSError, ValueError, IndexError, ArithmeticError):
            return MisfitError(f"this system does not tell its {query.what}")

    def _text(self, name: str) -> str:
        return (self._table.root / name).read_text()

    def _memory(self, _query: HostQuery) -> float:
        kibibytes = {
            name: int(rest.split()[0])
            for name, sign, rest in (line.partition(":") for line in self._text("meminfo").splitlines())
            if sign and rest.split()
        }
        total, free = kibibytes.get("MemTotal"), kibibytes.get("MemAvailable")
        if not total or free is None:
            raise MisfitError("this system does not tell its memory")
        return 100.0 * (total - free) / total

    def _listeners(self) -> list[dict[str, Any]]:
        """Looked for once a poll: each look goes through the open files of all processes."""
        if self._listening is None:
            self._listening = listeners(self._table)
        return self._listening

    def _port(self, query: HostQuery) -> Any:
        """Who listens; None when nobody does."""
        number = int(query.target)
        rows = [row for row in self._listeners() if row["port"] == number]
        if not rows:
            return None
        names = dict.fromkeys(str(row["process"]) for row in rows)
        return ", ".join(names).encode()

    def _processes(self, query: HostQuery) -> Rows:
        return _rows(
            [
                {
                    "pid": process.pid,
                    "command": process.shown,
                    "started": self._table.started_wall(process),
                    "parent": process.parent,
                }
                for process in self._holding(query.target)
            ]
        )

    def _env_is(self, query: HostQuery) -> bool | None:
        """Whether any process has the variable so; only the comparison leaves here."""
        wanted = f"{query.name}={query.value}".encode()
        return self._in_any(query, lambda pair: pair == wanted)

    def _env_has(self, query: HostQuery) -> bool | None:
        """Whether any process has the variable, with anything in it; what that is stays where it is."""
        wanted = f"{query.name}=".encode()
        return self._in_any(query, lambda pair: pair.startswith(wanted) and pair != wanted)

    def _in_any(self, query: HostQuery, is_it: Callable[[bytes], bool]) -> bool | None:
        """None where no process may be asked."""
        found = map(self._environ, self._holding(query.target))
        told = [any(map(is_it, pairs)) for pairs in found if pairs is not None]
        return any(told) if told else None

    def _environ(self, process: Process) -> list[bytes] | None:
        """None of a process that has ended meanwhile."""
        try:
            return (self._table.root / str(process.pid) / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return None

    def _interfaces(self, _query: HostQuery) -> Rows:
        rows = []
        first, *lines = self._text("net/dev").splitlines()
        if not first.startswith("Inter-"):
            raise MisfitError("this system does not tell its interfaces")
        for line in lines[1:]:
            name, _, rest = line.partition(":")
            numbers = [int(word) for word in rest.split()]
            # Received: bytes, packets, errors, drops, four more; then the same of what was sent.
            rows.append(
                {
                    "interface": name.strip(),
                    "rx_errors": numbers[2],
                    "rx_drops": numbers[3],
                    "tx_errors": numbers[10],
                    "tx_drops": numbers[11],
                }
            )
        return _rows(rows)

    def _net_errors(self, query: HostQuery) -> int:
        """Errors and drops of all interfaces, both ways, since the host started."""
        return sum(int(number) for row in self._interfaces(query).rows for number in list(row.values())[1:])

    async def _distant(self, query: HostQuery, gate: asyncio.Semaphore) -> Any:
        try:
            async with gate, asyncio.timeout(self._seconds):
                return await (self._connect(query) if query.what == "tcp" else _addresses(query))
        except TimeoutError:
            return MisfitError(silence(self._seconds))
        except (OSError, ValueError, OverflowError) as error:
            return MisfitError(network_reason(error, query.target) or f"{query.target} cannot be reached")

    async def _connect(self, query: HostQuery) -> float:
        """Milliseconds until it took the connection."""
        host, _, port = query.target.rpartition(":")
        began = self._clock.now()
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        took = self._clock.now().since(began)
        writer.close()
        return took * 1000


async def _addresses(query: HostQuery) -> Rows | None:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(query.target, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            return None
        raise
    return _rows([{"address": address} for address in dict.fromkeys(str(info[4][0]) for info in found)])


def _disk_used(query: HostQuery) -> float | None:
    space = _disk(query.target)
    return None if space is None else 100.0 * space[0] / sum(space)


def _disk_free(query: HostQuery) -> float | None:
    space = _disk(query.target)
    return None if space is None else space[1] / 1e9


def _disk(path: str) -> tuple[int, int] | None:
    """Bytes used and free as df counts them: what only root may still use is neither."""
    try:
        usage = shutil.disk_usage(path)
    except FileNotFoundError:
        return None
    if not usage.used + usage.free:
        raise MisfitError(f"{path} has no space of its own: no disk is mounted there")
    return usage.used, usage.free


def _rows(rows: Sequence[Mapping[str, Any]]) -> Rows:
    return Rows(rows, len(rows))


def _finding(fact: Fact, told: Mapping[HostQuery, Any]) -> Finding:
    if not isinstance(fact.query, HostQuery):
        return broken("asks the host something it does not tell")
    answer = told[fact.query]
    return broken(str(answer)) if isinstance(answer, MisfitError) else extract(fact, answer)
