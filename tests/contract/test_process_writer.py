"""Ending real processes: the right one, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from backends.model.action import HttpCall, ProcessSignal
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.stack import Source, SourceKind
from backends.process_table import ProcessTable
from backends.writers.process import ProcessEffector

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


def start(programs: list[subprocess.Popen[bytes]], code: str = OBEYS) -> tuple[int, str]:
    """Its number, and its command line as the room shows it."""
    argv = [sys.executable, "-c", code, "momentum_trader.py", "--api-secret", "canary-4711"]
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
    programs.pop().kill()
    assert (await act("", shown)).kind is ReceiptKind.DONE
    assert (await act("", shown)).kind is ReceiptKind.ALREADY


@pytest.mark.parametrize("pid", ["1", "0", "-1", "x", str(os.getpid())], ids=["1", "0", "-1", "x", "itself"])
async def test_what_is_no_process_to_end_is_not_signalled(pid: str) -> None:
    assert (await act(pid, "x")).kind is ReceiptKind.FAILED


async def test_a_step_of_another_kind_is_refused() -> None:
    call = HttpCall("host", "POST", "/")
    assert (await ProcessEffector(HERE).act(call, {}, Step("s", "s", call, ()))).kind is ReceiptKind.FAILED
