"""The room measured under a terminal, on the demo: at rest, and under a flood of logs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.procedures.stop_runner import QUIET
from tests.bench.pace import floor
from tests.bench.peers import first_frame, key_to_output
from tests.bench.table import REFERENCE, ROOM, Measure, Results, median, percentile
from tests.bench.usage import watch
from tests.servers.between import Between, between
from tests.servers.demo import DemoWorld, resume, switch
from tests.terminal.program import CONTROLROOM, panes_are_filled
from tests.terminal.screen import Terminal

STARTS = 11
TRIALS = 60
PRESSES = 1000
"""Of the emergency key under a flood of logs: what is asked of the slowest hundredth and of the slowest."""
CONFIRMS = 40
SETTLED = 12.0
"""Seconds after which a program that was started is at rest: it has tidied up behind its start, and nobody
has been at the keys for so long that the room draws its panes at every other beat."""
HAND = 5.0
"""Seconds between two keys of somebody who looks on."""
REST = 20.0
"""Seconds over which processor and bytes are taken."""
RING = 100_000
DIALOG_WORDS = "Know that"
"""On the screen while the stop dialog is, from question to verdict, and at no other time."""

START = Measure("start", "start to first frame", "ms")
START_RATIO = Measure("start-ratio", "start to first frame", "x pass", 30)
FILLED = Measure("filled", "start to data in every pane", "ms", 800)
DIALOG = Measure("dialog", "key to dialog, p99", "ms", 100)
DIALOG_BUSY = Measure("dialog-busy", "key to dialog at 10k lines/s, p99", "ms", 100)
DIALOG_WORST = Measure("dialog-worst", "key to dialog at 10k lines/s, worst", "ms", 250)
WRITE = Measure("write", "confirm to Redis write at 10k lines/s, p99", "ms", 25)
PAINT = Measure("paint", "key to paint at 10k lines/s, p95", "ms", 30)
PAINT_IDLE = Measure("paint-idle", "key to paint at rest, median", "ms")
CPU_IDLE = Measure("cpu-idle", "processor at rest", "% core", 1.5)
CPU_ATTENDED = Measure("cpu-attended", "processor with a key every 5 s", "% core")
CPU_BUSY = Measure("cpu-busy", "processor at 10k lines/s", "% core", 10)
BYTES_IDLE = Measure("bytes-idle", "to the terminal at rest", "KB/s", 3)
BYTES_BUSY = Measure("bytes-busy", "to the terminal at 10k lines/s", "KB/s", 25)
RSS = Measure("rss", "memory with 100,000 lines", "MB", 120)
RSS_LATER = Measure("rss-later", "memory after 1,000 dialogs more", "MB", 120)
MEASURES = (
    START, START_RATIO, FILLED, DIALOG, DIALOG_BUSY, DIALOG_WORST, WRITE, PAINT, PAINT_IDLE,
    CPU_IDLE, CPU_ATTENDED, CPU_BUSY, BYTES_IDLE, BYTES_BUSY, RSS, RSS_LATER,
)  # fmt: skip


def measure(results: Results, world: DemoWorld, folder: Path) -> None:
    """Everything about the room, into ``results``."""
    _starts(results, world)
    _at_rest(results, world)
    with between(world, folder) as wire, _flood(world):
        _under_flood(results, world, wire)


@contextmanager
def _room(config: Path, world: DemoWorld) -> Iterator[Terminal]:
    terminal = Terminal([*CONTROLROOM, "--config", str(config)], world.env, columns=200, rows=50)
    try:
        yield terminal
    finally:
        terminal.close()


def _starts(results: Results, world: DemoWorld) -> None:
    floors, frames, filled = [], [], []
    for _ in range(STARTS):
        floors.append(floor())  # side by side: a machine's pace changes from minute to minute
        with _room(world.config, world) as terminal:
            frames.append(first_frame(terminal))
            terminal.wait_for(panes_are_filled, 30)
            filled.append(1000 * (terminal.came - terminal.started))
    base = median(floors)
    results.put(START, ROOM, median(frames))
    results.put(START, "python -c pass", base)
    results.pace = base / REFERENCE
    results.put(START_RATIO, ROOM, median(frames) / base)
    results.put(FILLED, ROOM, median(filled))


def _at_rest(results: Results, world: DemoWorld) -> None:
    with _room(world.config, world) as terminal:
        terminal.wait_for(panes_are_filled, 30)
        terminal.press("4", "l", "l", "l")  # without a busy log: errors only, of which there are none
        terminal.look(SETTLED)
        usage = watch(terminal, REST)
        results.put(CPU_IDLE, ROOM, usage.cpu)
        results.put(BYTES_IDLE, ROOM, usage.bytes_per_second / 1000)
        results.put(CPU_ATTENDED, ROOM, _attended(terminal))
        results.put(PAINT_IDLE, ROOM, median(key_to_output(terminal, b"\t")))
        results.put(DIALOG, ROOM, percentile([key_to_dialog(terminal) for _ in range(TRIALS)], 99))


def _attended(terminal: Terminal) -> float:
    used = []
    for _ in range(4):
        terminal.send(b"\t")
        used.append(watch(terminal, HAND).cpu)
    return statistics.mean(used)


def _under_flood(results: Results, world: DemoWorld, wire: Between) -> None:
    with _room(wire.config, world) as terminal:
        terminal.wait_for(panes_are_filled, 30)
        terminal.look(RING / 10_000 + 2)
        usage = watch(terminal, REST)
        results.put(CPU_BUSY, ROOM, usage.cpu)
        results.put(BYTES_BUSY, ROOM, usage.bytes_per_second / 1000)
        results.put(RSS, ROOM, usage.rss)
        results.put(PAINT, ROOM, percentile([key_to_paint(terminal, i) for i in range(TRIALS)], 95))
        dialogs = [key_to_dialog(terminal) for _ in range(PRESSES)]
        results.put(DIALOG_BUSY, ROOM, percentile(dialogs, 99))
        results.put(DIALOG_WORST, ROOM, max(dialogs))
        results.put(RSS_LATER, ROOM, watch(terminal, 1.0).rss)
        took = [_confirm(terminal, wire, world) for _ in range(CONFIRMS)]
        results.put(WRITE, ROOM, percentile(took, 99))
        results.notes.append(
            f"confirm to Redis write: median {statistics.median(took):.1f} ms, n={len(took)}"
        )


def key_to_dialog(terminal: Terminal) -> float:
    """Milliseconds from the emergency key to the dialog on the screen."""
    begun = time.monotonic()
    terminal.press("f9")
    terminal.wait_for(DIALOG_WORDS, 5)
    took = 1000 * (terminal.came - begun)
    terminal.press("escape")
    terminal.wait_for(lambda text: DIALOG_WORDS not in text, 5)
    return took


def key_to_paint(terminal: Terminal, number: int) -> float:
    """Milliseconds from a key that moves the focus to the title that changes colour."""
    key, title = (("2", "2 Risk keys"), ("1", "1 Containers"))[number % 2]
    before = terminal.style(title)
    return _until(terminal, key, lambda: terminal.style(title) != before)


def _confirm(terminal: Terminal, wire: Between, world: DemoWorld) -> float:
    """Milliseconds from the confirm key to the first write seen in front of Redis."""
    terminal.press("f9")
    terminal.wait_for(DIALOG_WORDS, 5)
    terminal.look(0.4)
    begun = time.monotonic()
    terminal.press("h")
    deadline = begun + 5
    while not (found := [one for one in wire.redis.writes if one.at >= begun]):
        terminal.read(0.01)
        if time.monotonic() > deadline:
            raise AssertionError(f"no write within 5 s\n{terminal.text}")
    terminal.wait_for(lambda text: "VERIFIED" in text or "ALREADY" in text, 5)
    terminal.press("escape")
    terminal.wait_for(lambda text: DIALOG_WORDS not in text, 5)
    terminal.look(2 * QUIET)  # a proved stop undone while the room still looks would go the next way
    resume(world)
    terminal.wait_for("► TRADING", 10)
    terminal.look(0.5)
    wire.redis.asked.clear()
    return 1000 * (found[0].at - begun)


def _until(terminal: Terminal, key: str, is_so: Callable[[], bool]) -> float:
    """Milliseconds from the key to the bytes that made it so; then a short rest."""
    begun = time.monotonic()
    terminal.press(key)
    while not is_so():
        if time.monotonic() > begun + 5:
            raise AssertionError(f"{key} changed nothing within 5 s\n{terminal.text}")
        terminal.read(0.05)
    took = 1000 * (terminal.came - begun)
    terminal.look(0.137)  # out of step with the log's frames
    return took


@contextmanager
def _flood(world: DemoWorld) -> Iterator[None]:
    """The demo's containers write 10,000 lines a second together."""
    switch(world, "log-flood", is_on=True)
    try:
        yield
    finally:
        switch(world, "log-flood", is_on=False)
