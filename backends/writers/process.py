"""Ending processes of this host: only while one is still exactly the program that was shown."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from io import FileIO
from typing import Any, Final

from backends.model.action import Action, ProcessSignal
from backends.model.procedure import Receipt, Step
from backends.model.stack import Source
from backends.model.substitution import fill
from backends.process_table import ProcessTable
from backends.writers.answer import already, done, failed, unknown

SIGNALS: Final = {"TERM": signal.SIGTERM, "INT": signal.SIGINT}


class ProcessEffector:
    """Asks one process to end and waits for that, as long as the step may take. Never SIGKILL."""

    def __init__(self, source: Source, shown: Callable[[str], str] = str) -> None:
        """``shown`` makes of a command line what the room shows of it, by which the one meant is known."""
        self._table = ProcessTable(source.url)
        self._shown = shown

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Send once. FAILED means that nothing was sent; UNKNOWN that the process has not ended yet."""
        if not isinstance(action, ProcessSignal) or action.signal not in SIGNALS:
            return failed("does not take this kind of step")
        try:
            return await self._end(action, values, step.deadline)
        except ProcessLookupError:
            return already("it has ended already")
        except (ValueError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            return failed(f"{why}; nothing was sent")

    async def warm(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _end(self, action: ProcessSignal, values: Mapping[str, Any], within: float) -> Receipt:
        """Raises ProcessLookupError when there is none any more, ValueError when it is not the one meant."""
        command, number = str(fill(action.command, values)), SIGNALS[action.signal]
        # In a thread: what is told of a process that hangs is told only once that goes on.
        pid, file = await asyncio.to_thread(self._found, str(fill(action.pid, values)), command)
        with file:
            handle = file.fileno()
            signal.pidfd_send_signal(handle, number)
            if await _is_over(handle, within):
                return done(f"{number.name} sent to process {pid}, which ended")
        return unknown(f"{number.name} sent to process {pid}, which has not ended within {within:g} s")

    def _found(self, given: str, command: str) -> tuple[int, FileIO]:
        """The number of the process meant, and a handle that means it and no later one of the same number."""
        pid = self._pid(given, command)
        file = FileIO(os.pidfd_open(pid))
        try:
            found = self._table.at(pid)
            if found is None:
                raise ProcessLookupError
            if self._shown(found.shown) != command:
                raise ValueError(f"process {pid} is another program now")
        except BaseException:
            file.close()
            raise
        return pid, file

    def _pid(self, given: str, command: str) -> int:
        if not self._table.is_there:
            raise ValueError("processes cannot be listed on this system")
        if not given:
            alike = [process for process in self._table.all() if self._shown(process.shown) == command]
            if not alike:
                raise ProcessLookupError
            if len(alike) > 1:
                raise ValueError(f"{len(alike)} processes have this command line")
            return alike[0].pid
        if not given.isdecimal() or int(given) <= 1 or int(given) == os.getpid():
            raise ValueError(f"{given!r} is no process to end")
        return int(given)


async def _is_over(handle: int, within: float) -> bool:
    """Whether the process ends in that time: then its handle becomes readable."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(within):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
    return True
