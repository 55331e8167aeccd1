"""What hangs under a program, a disk or a process, holds up nothing else on the engine's loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.model.action import Command, ProcessSignal
from backends.model.procedure import ReceiptKind, Step
from backends.process_table import ProcessTable
from backends.program import run
from backends.writers.command import CommandEffector
from backends.writers.process import ProcessEffector
from tests.contract.test_process_writer import HERE

HANGS = 10.0
"""Seconds until the disk answers after all, when nothing else could be done."""


class Disk:
    """It hangs until much else was done on the engine's loop: how fast that goes is the machine's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.has_answered = False
        self.held_up = False
        """Nothing else could be done meanwhile."""

    def slowly(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*args: Any, **kwargs: Any) -> Any:
            try:
                asyncio.run_coroutine_threadsafe(_much_else(), self._loop).result(HANGS)
            except TimeoutError:
                self.held_up = True
            self.has_answered = True
            return work(*args, **kwargs)

        return wait


async def _much_else() -> None:
    for _ in range(50):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", ["fsync", "fstat", "open"])
async def test_output_is_put_away_without_holding_up_a_stop(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command("", (sys.executable, "-c", "print('x')"), output=str(tmp_path / "dump"), folder="/")
    effector = CommandEffector([command], str)
    disk = Disk()
    monkeypatch.setattr(os, name, disk.slowly(getattr(os, name)))
    receipt = await effector.act(command, {}, Step("s", "Run it", command, ()))
    assert (disk.has_answered, disk.held_up) == (True, False)
    assert receipt.kind is ReceiptKind.DONE
    assert (tmp_path / "dump").read_text() == "x\n"


async def test_a_program_is_started_without_holding_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder or itself is on a disk that hangs: whoever starts it waits until it runs."""
    disk = Disk()
    monkeypatch.setattr(subprocess.Popen, "_execute_child", disk.slowly(subprocess.Popen._execute_child))
    ended = await run([sys.executable, "-c", "print('x')"], 30.0, "/", {})
    assert (disk.has_answered, disk.held_up) == (True, False)
    assert (ended.code, ended.output) == (0, "x\n")


async def test_what_has_not_begun_in_its_time_is_ended_whenever_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    monkeypatch.setattr(subprocess.Popen, "_execute_child", disk.slowly(subprocess.Popen._execute_child))
    program = f"import time; time.sleep(0.5); open({str(tmp_path / 'ran')!r}, 'w')"
    ended = await run([sys.executable, "-c", program], 0.2, "/", {})
    assert ended.code is None and not disk.has_answered
    while not disk.has_answered:  # noqa: ASYNC110 (a thread tells)
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.linux
async def test_a_process_is_looked_for_without_holding_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them hangs in the kernel, and whoever reads its command line waits with it."""
    meant = await asyncio.create_subprocess_exec("sleep", "60")
    action = ProcessSignal("host", "sleep 60", str(meant.pid))
    disk = Disk()
    monkeypatch.setattr(ProcessTable, "at", disk.slowly(ProcessTable.at))
    effector = ProcessEffector(HERE)
    receipt = await effector.act(action, {}, Step("s", "End it", action, (), deadline=HANGS))
    assert (disk.has_answered, disk.held_up) == (True, False)
    assert receipt.kind is ReceiptKind.DONE, receipt.text
    await meant.wait()
