"""The host: a ``/proc`` of the test's own, and a network that goes nowhere."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backends.model.fact import Fact
from backends.model.query import HostQuery
from backends.model.stack import SourceKind
from tests.contract.fault_table.subject import Subject
from tests.contract.fault_table.trial import (
    FAILED,
    IMPATIENCE,
    MISSING,
    PATIENCE,
    Door,
    Ground,
    Stage,
    Staged,
    Trial,
    reading,
)
from tests.contract.faulty import NOISE

_SOCKETS = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
)
_STAT = f"1 (init) S 0{' 0' * 17} 5 0 0\n"
_GOOD = {
    "stat": "cpu 1 2 3\nbtime 1700000000\n",
    "meminfo": "MemTotal: 1000 kB\nMemAvailable: 500 kB\n",
    "uptime": "5000.00 4000.00\n",
    "net/tcp": _SOCKETS,
    "net/dev": "Inter-| Receive | Transmit\n face | bytes | bytes\n",
    "1/stat": _STAT,
    "1/cmdline": "init",
}
"""Of a host where nothing runs and nobody listens."""

_LONG = "9" * 400
_HUGE = {
    **_GOOD,
    "meminfo": f"MemTotal: {_LONG} kB\nMemAvailable: {_LONG}0 kB\n",
    "uptime": f"{_LONG} 1\n",
    "net/tcp": f"{_SOCKETS} 0: 00000000:{'F' * 300} 00000000:0000 0A 0 0 0 0 0 {_LONG}\n",
    "net/dev": f"{_GOOD['net/dev']} eth0: {' '.join([_LONG] * 16)}\n",
    "1/stat": _STAT.replace(" 5 ", f" {'9' * 5000} "),
}

_HANG = 2.0
"""Seconds the host may take where one thing hangs and another answers, on a busy machine too."""

_Answer = Callable[..., Any]


def _fails(number: int) -> _Answer:
    def answer(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(number, "said by the resolver")

    return answer


def _hangs(*_: Any, **__: Any) -> Any:
    time.sleep(_HANG + 0.5)
    raise socket.gaierror(socket.EAI_AGAIN, "nobody answered")


@contextmanager
def _nobody_takes() -> Iterator[str]:
    """The address of a port that listens, and whose queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for each in waiting:
            each.close()


@contextmanager
def _takes() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def _at(address: str) -> Iterator[str]:
    yield address


def _files(contents: Mapping[str, str | bytes]) -> Callable[[Path], Callable[[], None] | None]:
    def make(root: Path) -> None:
        for name, content in contents.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def _pipes(root: Path) -> Callable[[], None]:
    """Whoever reads one waits for a writer, as on a kernel that hangs."""
    paths = [root / name for name in _GOOD]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)

    def end() -> None:
        for path in paths:
            pipe = path.rename(path.with_name(f"{path.name}.pipe"))
            path.touch()
            os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    return end


def _stage(
    make: Callable[[Path], Callable[[], None] | None],
    *,
    disk: str = "/",
    tcp: Callable[[], Any] = lambda: _at("127.0.0.1:1"),
    dns: _Answer | None = None,
    load: _Answer | None = None,
    deadline: float = PATIENCE,
) -> Stage:
    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
        patch = ground.request.getfixturevalue("monkeypatch")
        patch.setattr(socket, "getaddrinfo", dns or _fails(socket.EAI_FAIL))
        if load is not None:
            patch.setattr(os, "getloadavg", load)
        root = ground.folder / "proc"
        end = make(root)
        with tcp() as address:
            targets = {"disk": disk, "disk_free": disk, "tcp": address, "dns": "desk.example"}
            asked = [_asked(each, targets) for each in subjects]
            try:
                async with reading(SourceKind.HOST, f"host://localhost{root}", asked, deadline) as staged:
                    yield staged
            finally:
                if end is not None:
                    end()

    return stage


def _asked(subject: Subject, targets: Mapping[str, str]) -> Subject:
    if not isinstance(subject, Fact) or not isinstance(subject.query, HostQuery):
        return subject
    target = targets.get(subject.query.what, subject.query.target)
    return replace(subject, query=replace(subject.query, target=target))


def _no_load() -> Any:
    raise OSError


def _what(*names: str) -> Callable[[Fact], bool]:
    return lambda fact: isinstance(fact.query, HostQuery) and fact.query.what in names


_CALLED = {"the kernel is called, and gives a number or an error": _what("load", "disk", "disk_free")}
_CONNECTS = {"that it takes the connection is all that is asked": _what("tcp")}

HOST = Door(
    SourceKind.HOST,
    {
        "refused": {"nothing there": Trial(_stage(lambda _: None, disk="/dev/null/x", load=_no_load))},
        "hang": {
            "pipes": Trial(
                _stage(_pipes, tcp=_nobody_takes, dns=_hangs, deadline=_HANG),
                but={"disks are asked by a thread of their own": _what("disk", "disk_free")},
                deadline=PATIENCE,
            )
        },
        "garbage": {
            "noise": Trial(_stage(_files(dict.fromkeys(_GOOD, NOISE)), tcp=_takes), but=_CALLED | _CONNECTS)
        },
        "wrong type": {
            "words": Trial(
                _stage(_files(dict.fromkeys(_GOOD, "one two three\n" * 4)), disk="/proc", load=_no_load)
            ),
            "nothing": Trial(_stage(_files(dict.fromkeys(_GOOD, "")), disk="/proc", load=_no_load)),
        },
        "huge": {
            "numbers": Trial(
                _stage(_files(_HUGE), tcp=lambda: _at("127.0.0.1:99999999")),
                but=_CALLED | {"a table shows what its cells say": _what("ports", "interfaces")},
            )
        },
        "missing": {
            "no such thing": Trial(
                _stage(_files(_GOOD), disk="/no/such/place", dns=_fails(socket.EAI_NONAME)),
                MISSING | FAILED,
                but={
                    "the host tells of itself": _what("load", "memory", "uptime", "net_errors"),
                    "a search that finds none says so": _what("ports", "process", "interfaces"),
                },
            ),
            "no such file": Trial(_stage(_files({"stat": "x"}), disk="/dev/null/x", load=_no_load)),
        },
    },
)

PROCESSES = Door(
    SourceKind.HOST,
    {
        "refused": {"nothing there": Trial(_stage(lambda _: None))},
        "hang": {"pipes": Trial(_stage(_pipes, deadline=IMPATIENCE))},
        "garbage": {"noise": Trial(_stage(_files(dict.fromkeys(_GOOD, NOISE))))},
        "wrong type": {"words": Trial(_stage(_files(dict.fromkeys(_GOOD, "one two three\n"))))},
        "huge": {"numbers": Trial(_stage(_files(_HUGE)))},
        "missing": {"no such process": Trial(_stage(_files(_GOOD)), MISSING)},
    },
    of_services=True,
)
