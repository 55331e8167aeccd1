"""The wall screen left alone: does it grow? Prints a line a minute and the slopes at the end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench.usage import tree, watch
from tests.servers.demo import start_demo
from tests.servers.process import sweep
from tests.terminal.program import panes_are_filled, room

WARM = 2
"""Minutes at the start that do not count: caches and rings fill."""

GROWTH = 1.0
"""Megabytes an hour that may come from noise."""


def main() -> int:
    """0 when memory, threads and descriptors stay level after the first minutes."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    minutes = parser.parse_args().minutes
    sweep()
    world = start_demo()
    terminal = room(world.config, world.env, "watch")
    rows: list[tuple[float, int, int]] = []
    try:
        terminal.wait_for(panes_are_filled, 30)
        for minute in range(1, minutes + 1):
            usage = watch(terminal, 60.0)
            pids = tree(terminal.popen.pid)
            files = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
            threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)
            rows.append((usage.rss, files, threads))
            sys.stdout.write(
                f"minute {minute}: {usage.rss:.1f} MB, {usage.cpu:.2f} % of a core, "
                f"{usage.bytes_per_second / 1000:.1f} KB/s, {files} descriptors, {threads} threads\n"
            )
            sys.stdout.flush()
    finally:
        terminal.close()
        world.stop()
    return _judge(rows[WARM:])


def _judge(rows: list[tuple[float, int, int]]) -> int:
    if len(rows) < 3:
        sys.stdout.write("too short to judge growth\n")
        return 0
    slope = _slope([row[0] for row in rows]) * 60
    files, threads = (max(row[i] for row in rows[-2:]) - max(row[i] for row in rows[:2]) for i in (1, 2))
    sys.stdout.write(f"growth: {slope:+.2f} MB/h, {files:+d} descriptors, {threads:+d} threads\n")
    return int(slope > GROWTH * max(1.0, 60 / len(rows)) or files > 2 or threads > 2)


def _slope(values: list[float]) -> float:
    """Least squares, per step."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    return sum((i - middle) * (v - mean) for i, v in enumerate(values)) / sum(
        (i - middle) ** 2 for i in range(len(values))
    )


if __name__ == "__main__":
    sys.exit(main())
