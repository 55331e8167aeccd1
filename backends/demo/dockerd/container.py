"""One container: its states and what moves it between them, as a Docker Engine does it."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

from backends.demo.course import end
from backends.demo.dockerd.events import Events
from backends.demo.dockerd.log_store import STDERR
from backends.demo.dockerd.meter import Meter
from backends.demo.dockerd.spec import ContainerSpec, digest
from backends.demo.dockerd.stamps import SECOND

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 60.0
SETTLED: Final = 10.0
"""Seconds a container must run for its restart pauses to start over."""
KILLED: Final = 137
"""Exit code after SIGKILL."""
LAST_BREATH: Final = 0.2
"""Seconds a process takes to end when it is asked to."""
HURRIED: Final = 1.0
"""Seconds between checks while health is not settled; Docker itself would keep to the interval."""

_PIDS = itertools.count(2_100)


class ConflictError(Exception):
    """The container's state does not allow it; the message is Docker's."""


class UnexpectedError(Exception):
    """What Docker's own handlers do not expect and answer with 500; the message is Docker's."""


class Container:
    """Changes one at a time. ``state`` is Docker's word: created, running, paused, restarting, exited."""

    def __init__(self, spec: ContainerSpec, events: Events, meter: Meter, created: int) -> None:
        self.spec = spec
        self.log = spec.log
        self.meter = meter
        self.created = created
        """Nanoseconds since the epoch, as the others."""
        self.started = 0
        self.finished = 0
        self.state = "created"
        self.exit_code = 0
        self.restarts = 0
        self.pid = 0
        self.health = "starting" if spec.check else "none"
        self.streak = 0
        self.checks: deque[dict[str, Any]] = deque(maxlen=5)
        self.crashes_after: float | None = None
        """Seconds of life at each start while something makes it crash."""
        self.last_words: tuple[str, ...] = ()
        """What it prints when it crashes."""
        self.networks: dict[str, str] = {}
        """Its address in each network it is connected to."""
        self._events = events
        self._pause = FIRST_PAUSE
        self._moving = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_check = 0.0

    @property
    def is_running(self) -> bool:
        """As Docker counts it: paused and restarting containers run too."""
        return self.state in ("running", "paused", "restarting")

    async def boot(self, started: int, restarts: int = 0) -> None:
        """Run since ``started``, checked and well: how the demo's containers begin."""
        await self.spec.workload.start()
        self.log.begin(started)
        self._runs(started)
        self.restarts = restarts
        if self.spec.check:
            self.health = "healthy"
            self._note_check(0, "")

    async def start(self) -> bool:
        """False when it runs already. Raises ConflictError when paused."""
        async with self._moving:
            if self.state == "paused":
                raise ConflictError("cannot start a paused container, try unpause instead")
            if self.state == "running":
                return False
            self._pause = FIRST_PAUSE
            await self._launch()
            return True

    async def stop(self, *, is_patient: bool = True) -> bool:
        """End it and keep it down; at once by SIGKILL without patience. False when it is down already."""
        async with self._moving:
            if not self.is_running:
                return False
            how, code = (signal.SIGTERM, 0) if is_patient else (signal.SIGKILL, KILLED)
            if self.state != "restarting":
                self._events.tell(self.spec, "kill", signal=str(int(how)))
            await self._end(how, code)
            self._events.tell(self.spec, "stop")
            return True

    async def restart(self, *, is_patient: bool = True) -> None:
        """Stop it when it runs, and start it."""
        await self.stop(is_patient=is_patient)
        async with self._moving:
            await self._launch()
            self._events.tell(self.spec, "restart")

    async def kill(self, how: signal.Signals, called: str = "") -> None:
        """Send a signal to what the caller calls ``called``. Raises ConflictError unless it runs."""
        async with self._moving:
            if self.state not in ("running", "paused"):
                name = called or self.spec.name
                raise ConflictError(f"Cannot kill container: {name}: Container {self.spec.id} is not running")
            self._events.tell(self.spec, "kill", signal=str(int(how)))
            if how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                await self._end(how, KILLED if how == signal.SIGKILL else 0)
            else:
                self.spec.on_signal(how)

    async def pause(self) -> None:
        """Freeze it. Raises ConflictError when it is frozen or does not run."""
        async with self._moving:
            if self.state == "paused":
                raise ConflictError(f"Container {self.spec.id} is already paused")
            if self.state != "running":
                raise ConflictError(f"Container {self.spec.id} is not running")
            self.spec.workload.freeze(True)
            self.state = "paused"
            self._events.tell(self.spec, "pause")

    async def unpause(self) -> None:
        """Let it go on. Raises UnexpectedError when it is not frozen."""
        async with self._moving:
            if self.state != "paused":
                raise UnexpectedError(f"Container {self.spec.id} is not paused")
            self._thaw()
            self._events.tell(self.spec, "unpause")

    async def crash(self, code: int) -> None:
        """It ends by itself; its restart policy decides what follows."""
        async with self._moving:
            if self.state != "running":
                return
            lived = (time.time_ns() - self.started) / SECOND
            self.log.write([line.encode() for line in self.last_words], STDERR)
            await self._end(signal.SIGKILL, code)
            if self.spec.restart == "no":
                return
            self._pause = FIRST_PAUSE if lived > SETTLED else min(self._pause * 2, LONGEST_PAUSE)
            self.state = "restarting"
            self._spawn(self._come_back(self._pause))

    async def look_after(self, now: float) -> None:
        """Run the health check if it is due; ``now`` is monotonic seconds."""
        check = self.spec.check
        if check is None or self.state != "running" or now < self._next_check:
            return
        exec_id = digest(f"{self.spec.name} {now}")
        words = " ".join(("/bin/sh", "-c") if check.command[0] == "CMD-SHELL" else ())
        words = f"{words} {' '.join(check.command[1:])}".strip()
        self._events.tell(self.spec, f"exec_create: {words}", execID=exec_id)
        self._events.tell(self.spec, f"exec_start: {words}", execID=exec_id)
        is_well, output = await self.spec.workload.check()
        self._events.tell(self.spec, "exec_die", execID=exec_id, exitCode="0" if is_well else "1")
        if self.state == "running":
            self._judge(is_well, output, (time.time_ns() - self.started) / SECOND)
        is_settled = is_well and self.health == "healthy"
        self._next_check = now + (check.interval if is_settled else min(HURRIED, check.interval))

    def hurry(self) -> None:
        """Let the next health check be due at once."""
        self._next_check = 0.0

    async def close(self) -> None:
        """End whatever still runs for it."""
        await end(*self._tasks)
        await self.spec.workload.stop(signal.SIGTERM)

    def _judge(self, is_well: bool, output: str, lived: float) -> None:
        check = self.spec.check
        if check is None:
            return
        self._note_check(0 if is_well else 1, output)
        before = self.health
        if is_well:
            self.streak, self.health = 0, "healthy"
        elif before != "starting" or lived > check.start_period:
            self.streak += 1
            if self.streak >= check.retries:
                self.health = "unhealthy"
        if self.health != before:
            self._events.tell(self.spec, f"health_status: {self.health}")

    def _note_check(self, code: int, output: str) -> None:
        end = time.time_ns()
        self.checks.append({"Start": end - SECOND // 20, "End": end, "ExitCode": code, "Output": output})

    async def _launch(self) -> None:
        self._runs(time.time_ns())
        self._events.tell(self.spec, "start")
        await self.spec.workload.start()
        if self.crashes_after is not None:
            self._spawn(self._crash_soon(self.crashes_after, self.started))

    def _runs(self, since: int) -> None:
        self.state, self.started, self.pid = "running", since, next(_PIDS)
        self.streak = 0
        self.checks.clear()
        self.health = "starting" if self.spec.check else "none"
        self._next_check = time.monotonic() + (self.spec.check.start_period if self.spec.check else 0.0)
        self.meter.reset()

    async def _end(self, how: signal.Signals, code: int) -> None:
        was_alive = self.state != "restarting"
        if self.state == "paused":
            self._thaw()
        if was_alive:
            await asyncio.sleep(0.0 if how == signal.SIGKILL else LAST_BREATH)
            await self.spec.workload.stop(how)
            self.exit_code, self.finished, self.pid = code, time.time_ns(), 0
            self._events.tell(self.spec, "die", exitCode=str(code))
            if self.spec.check:
                self.health = "unhealthy"  # Docker's word for a check that has ended
        self.state = "exited"
        self.log.wake()

    def _thaw(self) -> None:
        self.spec.workload.freeze(False)
        self.state = "running"

    async def _come_back(self, pause: float) -> None:
        await asyncio.sleep(pause)
        async with self._moving:
            if self.state == "restarting":
                self.restarts += 1
                await self._launch()

    async def _crash_soon(self, seconds: float, started: int) -> None:
        await asyncio.sleep(seconds)
        if self.started == started and self.crashes_after is not None:
            await self.crash(1)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
