"""Measure the room and its peers; print the table, write ``.bench/results.json``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench import peers, room
from tests.bench.peers import HOME, Peer
from tests.bench.table import ROOM, Results, median
from tests.bench.usage import watch
from tests.servers.demo import start_demo
from tests.servers.process import UnavailableError, sweep


def main() -> int:
    """0 when all was measured and every budget holds at this machine's pace."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--no-peers", action="store_true", help="measure the room only")
    wants = parser.parse_args()
    # The thread that notes when bytes arrive must not wait for the emulator that draws them.
    sys.setswitchinterval(0.0005)
    sweep()
    HOME.mkdir(exist_ok=True)
    results = Results(told=_tell)
    try:
        world = start_demo()
    except UnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder:
            room.measure(results, world, Path(folder))
    except AssertionError as error:  # what was measured until then counts, and so do the peers
        sys.stderr.write(f"{error}\n")
        results.notes.append(f"the room: not measured to the end: {str(error).splitlines()[0]}")
    finally:
        world.stop()
    for peer in [] if wants.no_peers else peers.install():
        sys.stderr.write(f"measuring {peer.name}\n")
        try:
            _peer(results, peer)
        except (AssertionError, OSError) as error:
            results.notes.append(f"{peer.name}: not measured: {str(error).splitlines()[0]}")
    sys.stdout.write(results.text() + "\n")
    results.write(HOME / "results.json")
    over = results.over()
    missing = [it.title for it in room.MEASURES if (it.id, ROOM) not in results.numbers]
    if missing:
        sys.stdout.write(f"not measured: {', '.join(missing)}\n")
    sys.stdout.write(f"over budget: {', '.join(over)}\n" if over else "no budget is exceeded\n")
    return 1 if over or missing else 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _peer(results: Results, peer: Peer) -> None:
    log = HOME / "lines.log"
    if peer.is_viewer and not log.exists():
        peers.write_log(log)
    frames = []
    for _ in range(5):
        terminal = peers.start(peer, log)
        frames.append(peers.first_frame(terminal))
        terminal.close()
    results.put(room.START, peer.name, median(frames))
    terminal = peers.start(peer, log)
    try:
        peers.first_frame(terminal)
        terminal.look(room.SETTLED)
        usage = watch(terminal, room.REST)
        results.put(room.CPU_IDLE, peer.name, usage.cpu)
        results.put(room.BYTES_IDLE, peer.name, usage.bytes_per_second / 1000)
        results.put(room.PAINT_IDLE, peer.name, median(peers.key_to_output(terminal, peer.key)))
        results.put(room.RSS, peer.name, usage.rss)
    finally:
        terminal.close()
    if peer.is_viewer:
        cpu, written = peers.tail_cost(peer, HOME / "tail.log", room.REST / 2)
        results.put(room.CPU_BUSY, peer.name, cpu)
        results.put(room.BYTES_BUSY, peer.name, written / 1000)


if __name__ == "__main__":
    sys.exit(main())
