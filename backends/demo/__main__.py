"""The demo without a screen: serves a simulated stack, prints one line of JSON, runs until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backends.demo.faults import UnknownFaultError
from backends.demo.process import StartError
from backends.demo.world import STACKS, NoSuchStackError, serve

PREFIX: Final = "controlroom-demo-"
_OWNER: Final = "owner.pid"
_ENDS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it was asked to end, 2 for a wrong argument, 1 when a server did not start."""
    options = _options(arguments)
    # A simulated database that is down is no news; psycopg would tell standard error about it.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    _sweep()
    # A signal that comes before it is listened for waits until then: nothing is left behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    # For this user alone; short, because unix sockets live in it and their paths may have 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    (folder / _OWNER).write_text(str(os.getpid()))
    try:
        asyncio.run(_run(options, folder))
    except (NoSuchStackError, UnknownFaultError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (StartError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _run(options: argparse.Namespace, folder: Path) -> None:
    stop = asyncio.Event()
    is_ready = False

    def ready(about: dict[str, Any]) -> None:
        nonlocal is_ready
        is_ready = True
        sys.stdout.write(json.dumps(about) + "\n")
        sys.stdout.flush()

    def end() -> None:
        stop.set()
        if not is_ready:
            serving.cancel()

    work = serve(options.stack, options.variant, options.fault, options.seed, folder, ready, stop.wait)
    serving = asyncio.create_task(work)
    for number in _ENDS:
        asyncio.get_running_loop().add_signal_handler(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backends.demo", description=__doc__)
    parser.add_argument("stack", nargs="?", default="trading-platform", help=f"one of: {', '.join(STACKS)}")
    parser.add_argument("--variant", metavar="NAME", help="the generation, of a stack that has several")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME", help="switched on from the start"
    )
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same world")
    return parser.parse_args(arguments)


def _sweep() -> None:
    """Remove what a killed demo left behind: folders whose owner is gone."""
    for mark in Path("/tmp").glob(f"{PREFIX}*/{_OWNER}"):  # noqa: S108 # only folders this module made
        with contextlib.suppress(OSError, ValueError):
            if not _is_alive(int(mark.read_text())):
                shutil.rmtree(mark.parent, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main())
