"""Ending real processes: the right one, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.arming import make_effectors
from backends.journal.redact import Redactor
from backends.model.action import HttpCall, ProcessSignal
from backends.model.clock import SystemClock
from backends.model.fact import Fact, Found, Table, ValueType
from backends.model.procedure import Procedure, Receipt, ReceiptKind, RiskClass, Step
from backends.model.query import HostQuery
from backends.model.secret import Secret
from backends.model.stack import ServiceSpec, Source, SourceKind
from backends.procedures.permit import arm
from backends.process_table import ProcessTable
from backends.readers.host import HostFactReader
from backends.readers.process import ProcessServiceReader
from backends.veil import VeiledFacts, VeiledServices
from backends.writers.process import ProcessEffector
from tests.building import stack
from tests.sim.desk import KIM

pytestmark = pytest.mark.linux

HERE = Source("host", SourceKind.HOST, "Host", "host://localhost", 1.0, 5.0)
OBEYS = "import sys; print(1, flush=True); sys.stdin.read()"
REFUSES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEYS}"


@pytest.fixture
def programs() -> Iterator[list[subprocess.Popen[bytes]]]:
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for program in made:
        program.kill()
        program.communicate()


def start(programs: list[subprocess.Popen[bytes]], code: str = OBEYS, *words: str) -> tuple[int, str]:
    """Its number, and its command line as the room shows it."""
    secret = words or ("--api-secret", "canary-4711")
    argv = [sys.executable, "-c", code, "momentum_trader.py", *secret]
    program = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    programs.append(program)
    assert program.stdout is not None
    program.stdout.readline()
    found = ProcessTable().at(program.pid)
    assert found is not None
    return program.pid, found.shown


async def act(pid: int | str, command: str, deadline: float = 3.0) -> Receipt:
    action = ProcessSignal("host", "$command", "$pid" if pid else "")
    values = {"pid": str(pid), "command": command}
    return await ProcessEffector(HERE).act(action, values, Step("s", "s", action, (), deadline=deadline))


async def test_the_process_shown_is_ended_and_its_end_awaited(
    programs: list[subprocess.Popen[bytes]],
) -> None:
    pid, shown = start(programs)
    assert "canary" not in shown
    receipt = await act(pid, shown)
    assert (receipt.kind, receipt.text) == (ReceiptKind.DONE, f"SIGTERM sent to process {pid}, which ended")
    assert ProcessTable().at(pid) is None
    assert (await act(pid, shown)).kind is ReceiptKind.ALREADY


async def test_a_process_that_does_not_end_is_not_said_to_have_ended(
    programs: list[subprocess.Popen[bytes]],
) -> None:
    pid, shown = start(programs, REFUSES)
    receipt = await act(pid, shown, deadline=0.3)
    assert receipt.kind is ReceiptKind.UNKNOWN
    assert "has not ended within 0.3 s" in receipt.text


@pytest.mark.parametrize("command", ["python momentum_trader.py", "", "momentum_trader.py"])
async def test_a_number_that_is_another_program_is_left_alone(
    programs: list[subprocess.Popen[bytes]], command: str
) -> None:
    pid, _ = start(programs)
    receipt = await act(pid, command)
    assert receipt.kind is ReceiptKind.FAILED
    assert "another program" in receipt.text
    assert programs[0].poll() is None


async def test_without_its_number_only_one_of_a_kind_is_ended(
    programs: list[subprocess.Popen[bytes]],
) -> None:
    _, shown = start(programs)
    start(programs)
    twins = await act("", shown)
    assert (twins.kind, twins.text) == (
        ReceiptKind.FAILED,
        "2 processes have this command line; nothing was sent",
    )
    twin = programs.pop()
    twin.kill()
    twin.communicate()  # until then it is still in the list of processes
    assert (await act("", shown)).kind is ReceiptKind.DONE
    assert (await act("", shown)).kind is ReceiptKind.ALREADY


@pytest.mark.parametrize("pid", ["1", "0", "-1", "x", str(os.getpid())], ids=["1", "0", "-1", "x", "itself"])
async def test_what_is_no_process_to_end_is_not_signalled(pid: str) -> None:
    assert (await act(pid, "x")).kind is ReceiptKind.FAILED


async def test_a_step_of_another_kind_is_refused() -> None:
    call = HttpCall("host", "POST", "/")
    assert (await ProcessEffector(HERE).act(call, {}, Step("s", "s", call, ()))).kind is ReceiptKind.FAILED


@pytest.mark.parametrize(
    "secret",
    ["--api-key=canary-4711", "--db=postgresql://trader:canary-4711@db/x", "registered-4712", "x" * 600],
    ids=["of a name", "in an address", "registered", "long"],
)
async def test_a_process_is_ended_by_the_command_line_that_the_room_shows_whatever_it_keeps_from_it(
    secret: str, programs: list[subprocess.Popen[bytes]]
) -> None:
    start(programs, OBEYS, secret)
    redact = Redactor([Secret("registered-4712")]).text
    query = HostQuery("process", "momentum_trader.py")
    asked = Fact("orders", "Orders", "", "host", query, ValueType.TABLE)
    found = (await VeiledFacts(HostFactReader(HERE, SystemClock()), redact).read([asked]))["orders"]
    assert isinstance(found, Found)
    assert isinstance(found.value, Table)
    (row,) = found.value.rows
    assert "4711" not in row[1]
    assert "4712" not in row[1]
    action = ProcessSignal("host", "$command", "$pid")
    step = Step("end", "End it", action, (), deadline=3.0)
    halt = Procedure("end", "End it", RiskClass.STOP, "", (), "", (step,))
    desk = stack(sources={"host": HERE}, procedures={"end": halt})
    permit = arm(KIM, is_watch=False)
    assert permit is not None
    effector = make_effectors(permit, desk, redact)["host"]
    receipt = await effector.act(action, {"pid": str(row[0]), "command": str(row[1])}, step)
    assert receipt.kind is ReceiptKind.DONE, receipt.text


@pytest.mark.parametrize("word", ["redis://:canary-4711@db", f"redis://:{'canary-4711' * 9}@db"])
async def test_the_command_line_of_a_service_is_shown_without_secrets(word: str, tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("btime 1790000000\n")
    for pid, line in ((1, "init"), (42, f"trader\0{word}\0")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_text(line)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (it) S {'1 ' * 30}")
    source = replace(HERE, url=f"host://localhost{tmp_path}")
    reader = ProcessServiceReader(source, [ServiceSpec("trader", ("trader redis",), "orders", "host")])
    found = (await VeiledServices(reader, Redactor().text).services())["trader"]
    assert found is not None
    assert "canary" not in found.title
