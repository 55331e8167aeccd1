"""What hangs under a program, a disk or a process, holds up nothing else on the engine's loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
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

HANGS = 1.5
"""Seconds until the disk answers after all."""


def slowly(work: Callable[..., Any]) -> Callable[..., Any]:
    def wait(*args: Any, **kwargs: Any) -> Any:
        time.sleep(HANGS)
        return work(*args, **kwargs)

    return wait


async def longest_pause(work: asyncio.Future[Any]) -> float:
    """Seconds in which nothing else could run until ``work`` was done."""
    longest, last = 0.0, time.monotonic()
    while not work.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


@pytest.mark.parametrize("name", ["fsync", "fstat", "open"])
async def test_output_is_put_away_without_holding_up_a_stop(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command("", (sys.executable, "-c", "print('x')"), output=str(tmp_path / "dump"), folder="/")
    effector = CommandEffector([command], str)
    monkeypatch.setattr(os, name, slowly(getattr(os, name)))
    acting = asyncio.create_task(effector.act(command, {}, Step("s", "Run it", command, ())))
    assert await longest_pause(acting) < HANGS / 2
    assert acting.result().kind is ReceiptKind.DONE
    assert (tmp_path / "dump").read_text() == "x\n"


async def test_a_program_is_started_without_holding_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder or itself is on a disk that hangs: whoever starts it waits until it runs."""
    monkeypatch.setattr(subprocess.Popen, "_execute_child", slowly(subprocess.Popen._execute_child))
    running = asyncio.create_task(run([sys.executable, "-c", "print('x')"], 9.0, "/", {}))
    assert await longest_pause(running) < HANGS / 2
    assert (running.result().code, running.result().output) == (0, "x\n")


async def test_what_has_not_begun_in_its_time_is_ended_whenever_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess.Popen, "_execute_child", slowly(subprocess.Popen._execute_child))
    program = f"import time; time.sleep(0.5); open({str(tmp_path / 'ran')!r}, 'w')"
    began = time.monotonic()
    ended = await run([sys.executable, "-c", program], 0.2, "/", {})
    assert ended.code is None and time.monotonic() - began < HANGS / 2
    await asyncio.sleep(HANGS + 1.0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.linux
async def test_a_process_is_looked_for_without_holding_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them hangs in the kernel, and whoever reads its command line waits with it."""
    meant = await asyncio.create_subprocess_exec("sleep", "60")
    action = ProcessSignal("host", "sleep 60", str(meant.pid))
    monkeypatch.setattr(ProcessTable, "at", slowly(ProcessTable.at))
    effector = ProcessEffector(HERE)
    acting = asyncio.create_task(effector.act(action, {}, Step("s", "End it", action, (), deadline=2.0)))
    assert await longest_pause(acting) < HANGS / 2
    assert acting.result().kind is ReceiptKind.DONE, acting.result().text
    await meant.wait()
