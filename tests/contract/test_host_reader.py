"""This host, as it is: its disk, ports and processes, and what is not there."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.clock import SystemClock
from backends.model.fact import Absent, Broken, Fact, Finding, Found, SourceError, Table, ValueType
from backends.model.query import HostQuery
from backends.model.service import RunState
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.process_table import ProcessTable
from backends.readers import host
from backends.readers.host import HostFactReader
from backends.readers.host_port import listeners
from backends.readers.process import ProcessServiceReader

pytestmark = pytest.mark.linux

FLOAT, INT, TEXT, TABLE, COUNT, BOOL = (
    ValueType.FLOAT, ValueType.INT, ValueType.TEXT, ValueType.TABLE, ValueType.COUNT, ValueType.BOOL,
)  # fmt: skip
HERE = Source("host", SourceKind.HOST, "Host", "host://localhost", 1.0, 5.0)
TRADER = f"full_trading_bot_{os.getpid()}.py"


async def read(what: str, kind: ValueType, source: Source = HERE, **more: str) -> Finding:
    fact = Fact("f", "F", "g", "host", HostQuery(what, **more), kind)
    return (await HostFactReader(source, SystemClock()).read([fact]))["f"]


async def value(what: str, kind: ValueType, **more: str) -> Any:
    found = await read(what, kind, **more)
    assert isinstance(found, Found), found
    return found.value


@pytest.fixture
def trader() -> Iterator[int]:
    """A process with a name to look for."""
    code = "import sys; print(1, flush=True); sys.stdin.read()"
    program = subprocess.Popen(
        [sys.executable, "-c", code, TRADER, "--api-key=canary-4711", "--password", "canary-4712"],
        env={"DRY_RUN": "0", "EMPTY": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    program.stdout.readline()
    yield program.pid
    program.kill()
    program.communicate()


async def test_the_hosts_own_figures_are_within_their_bounds() -> None:
    assert 0 < await value("disk", FLOAT, target="/") <= 100
    assert 0 < await value("disk_free", FLOAT, target="/") < shutil.disk_usage("/").total / 1e9
    assert 0 < await value("memory", FLOAT) < 100
    assert await value("load", FLOAT) >= 0
    assert await value("uptime", FLOAT) > 0
    interfaces = await value("interfaces", TABLE)
    assert "interface" in interfaces.columns


async def test_errors_and_drops_of_all_interfaces_are_added_up_both_ways(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    counted = " lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0", "eth0: 9 9 1 2 0 0 0 0 9 9 3 4 0 0 0 0"
    (tmp_path / "net" / "dev").write_text("\n".join(("Inter-|", " face |", *counted, "")))
    there = replace(HERE, url=f"host://localhost{tmp_path}")
    assert await read("net_errors", INT, there) == Found(10)


async def test_who_listens_is_found_by_port_and_nobody_is_missing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"({os.getpid()})" in await value("port", TEXT, target=str(port))
        ports = await value("ports", TABLE)
        assert str(port) in {str(row[0]) for row in ports.rows}
        assert 0 <= await value("tcp", FLOAT, target=f"127.0.0.1:{port}") < 5000
    assert await read("port", TEXT, target=str(port)) == Absent()
    refused = await read("tcp", FLOAT, target=f"127.0.0.1:{port}")
    assert isinstance(refused, Broken)
    assert "nothing listens" in refused.why


async def test_who_listens_is_looked_for_once_a_poll_and_again_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each look goes through the open files of all processes."""
    looks: list[ProcessTable] = []
    monkeypatch.setattr(host, "listeners", lambda table: looks.append(table) or listeners(table))
    reader = HostFactReader(HERE, SystemClock())
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports = [str(server.getsockname()[1]), "1", "2"]
        facts = [Fact(port, port, "g", "host", HostQuery("port", target=port), TEXT) for port in ports]
        assert isinstance((await reader.read(facts))[ports[0]], Found)
        assert len(looks) == 1
    assert (await reader.read(facts))[ports[0]] == Absent()
    assert len(looks) == 2


async def test_a_process_is_found_by_its_command_line_and_its_secrets_stay_with_it(trader: int) -> None:
    table = await value("process", TABLE, target=TRADER)
    assert isinstance(table, Table)
    ((pid, command, *_),) = table.rows
    assert str(pid) == str(trader)
    assert "--api-key=…" in command
    assert "canary" not in command
    assert await value("process", COUNT, target=TRADER) == 1
    assert await value("env_is", BOOL, target=TRADER, name="DRY_RUN", value="0") is True
    assert await value("env_is", BOOL, target=TRADER, name="DRY_RUN", value="1") is False


@pytest.mark.parametrize(("name", "is_set"), [("DRY_RUN", True), ("DRY", False), ("EMPTY", False)])
async def test_that_a_variable_is_set_is_told_without_its_value(
    trader: int,
    name: str,
    is_set: bool,
) -> None:
    assert await value("env_has", BOOL, target=TRADER, name=name) is is_set


@pytest.fixture
def wordy() -> Iterator[str]:
    """What names a process, behind five thousand other characters."""
    last = f"LiveTrader{os.getpid()}"
    words = ["-c", "import sys; print(1, flush=True); sys.stdin.read()", *["/lib/one.jar:" * 100] * 8, last]
    with subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        yield last
        program.kill()


async def test_a_process_is_found_by_what_stands_at_the_end_of_a_long_command_line(wordy: str) -> None:
    assert await value("process", COUNT, target=wordy) == 1


async def test_no_process_is_a_count_of_zero_and_has_no_environment() -> None:
    assert await value("process", COUNT, target=f"{TRADER}-not-there") == 0
    assert await read("env_is", BOOL, target=f"{TRADER}-not-there", name="X", value="1") == Absent()
    assert await read("env_has", BOOL, target=f"{TRADER}-not-there", name="X") == Absent()


async def test_names_are_looked_up_and_an_unknown_one_is_missing_or_says_why() -> None:
    assert await value("dns", COUNT, target="localhost") >= 1
    assert not isinstance(await read("dns", COUNT, target="no-such-name.invalid"), Found)


async def test_what_is_not_there_is_missing_and_what_cannot_be_told_is_broken(tmp_path: Path) -> None:
    for what in ("disk", "disk_free"):
        assert await read(what, FLOAT, target="/no/such/folder") == Absent()
    bare = replace(HERE, url=f"host://localhost{tmp_path}")
    for what in ("memory", "uptime", "ports", "process", "interfaces"):
        assert isinstance(await read(what, TABLE, bare, target="x"), Broken), what
    with pytest.raises(SourceError, match="cannot be listed"):
        await ProcessServiceReader(bare, []).services()


async def test_a_kernel_that_hangs_is_waited_for_by_one_thread_and_hides_no_network(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "meminfo")
    hung = replace(HERE, url=f"host://localhost{tmp_path}", deadline=2.0)
    reader = HostFactReader(hung, SystemClock())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        facts = [Fact(what, "F", "g", "host", HostQuery(what, address), FLOAT) for what in ("memory", "tcp")]
        for words in ("did not answer within", "has not answered for"):
            found = await reader.read(facts)
            assert isinstance(found["memory"], Broken)
            assert words in found["memory"].why
            assert isinstance(found["tcp"], Found)
    os.close(os.open(tmp_path / "meminfo", os.O_RDWR | os.O_NONBLOCK))


async def test_where_processes_of_others_are_hidden_one_that_is_not_seen_may_run(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("btime 1700000000\n")
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cmdline").write_text("bot.py")
    (tmp_path / "7/stat").write_text(f"7 (python) S 0{' 0' * 17} 5 0 0\n")
    hidden = replace(HERE, url=f"host://localhost{tmp_path}")
    assert await read("process", COUNT, hidden, target="bot.py") == Found(1)
    for what, kind in (("process", COUNT), ("process", TABLE), ("env_is", BOOL)):
        found = await read(what, kind, hidden, target="panic.py", name="X", value="1")
        assert isinstance(found, Broken)
        assert "hidepid" in found.why
    with pytest.raises(SourceError, match="hidepid"):
        await ProcessServiceReader(hidden, [ServiceSpec("panic", ("panic.py",), "a part", "host")]).services()


async def test_where_no_disk_is_mounted_nothing_is_used_of_it() -> None:
    for what in ("disk", "disk_free"):
        found = await read(what, FLOAT, target="/proc")
        assert isinstance(found, Broken)
        assert "no space of its own" in found.why


async def test_a_disk_that_hangs_keeps_nothing_else_from_being_known(
    trader: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(host.shutil, "disk_usage", lambda _: over.wait(60))
    reader = HostFactReader(replace(HERE, deadline=4.0), SystemClock())
    disk, room = (
        Fact(what, "Disk", "g", "host", HostQuery(what, target="/"), FLOAT) for what in ("disk", "disk_free")
    )
    bots = Fact("bots", "Bots", "g", "host", HostQuery("process", target=TRADER), COUNT)
    for words in ("did not answer within", "has not answered for"):
        found = await reader.read([disk, room, bots])
        assert found["bots"] == Found(1)
        for hung in (found["disk"], found["disk_free"]):
            assert isinstance(hung, Broken) and words in hung.why
    over.set()


async def test_two_looks_at_the_same_time_both_see_the_processes(trader: int) -> None:
    reader = ProcessServiceReader(HERE, [ServiceSpec("bot", (TRADER,), "a part", "host")])
    for found in await asyncio.gather(reader.services(), reader.services()):
        assert found["bot"] is not None


async def test_a_process_is_a_service_while_it_lives(trader: int) -> None:
    specs = [ServiceSpec(name, (text,), "a part", "host") for name, text in (("bot", TRADER), ("no", "§§"))]
    found = await ProcessServiceReader(HERE, specs).services()
    bot = found["bot"]
    assert bot is not None
    assert (bot.ident, bot.state) == (str(trader), RunState.RUNNING)
    assert (bot.usage.memory or 0) > 0
    assert (bot.started_wall or 0) > 1.7e9
    assert found["no"] is None
