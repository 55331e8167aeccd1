"""A program run inside a container: no shell, no terminal, no input; its output bounded, or into a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from time import monotonic
from typing import IO, Any, Final

from backends.model.procedure import Receipt
from backends.writers.answer import done, failed, unknown
from backends.writers.docker_api import Answer, DockerApi, NothingSentError
from backends.writers.docker_order import ExecOrder
from backends.writers.shown import shown
from backends.writers.whole_file import LIMIT, TooLongError, into_file

KEPT: Final = 65_536
"""Bytes of what it prints that are kept: the last ones."""
_HEAD: Final = 8
_READ: Final = 65_536
_STDOUT: Final = 1
_ANSWER_LIMIT: Final = 4096


class _Output:
    """Standard output into a file when there is one; else both outputs, of which the end is kept."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self._kept = bytearray()
        self.printed = 0
        self.written = 0

    def take(self, stream: int, part: bytes) -> None:
        if stream == _STDOUT and self._file is not None:
            self.written += self._file.write(part)
            if self.written > LIMIT:
                raise TooLongError
            return
        self.printed += len(part)
        self._kept += part
        del self._kept[: -2 * KEPT]

    def end(self) -> tuple[str, bool]:
        """The end of what was printed, in whole lines, and whether something came before."""
        kept = bytes(self._kept[-KEPT:])
        is_cut = len(kept) < self.printed
        return (kept.partition(b"\n")[2] if is_cut else kept).decode("utf-8", "backslashreplace"), is_cut


class _OverdueError(Exception):
    """It still ran when its time was over."""


def run_inside(api: DockerApi, order: ExecOrder, begin: Callable[[], None]) -> Receipt:
    """Run it once. Exit 0 is an acknowledgement, no proof. A file appears whole or not at all."""
    found = api.find(order.names)
    if not found.is_running:
        return failed(f"{found.name} does not run; nothing was run")
    if order.output is None:
        return _run(api, order, found.ident, begin, _Output(None))
    return into_file(order.output, lambda file: _run(api, order, found.ident, begin, _Output(file)))


def _run(api: DockerApi, order: ExecOrder, ident: str, begin: Callable[[], None], output: _Output) -> Receipt:
    ends = monotonic() + order.patience.deadline
    asked: dict[str, Any] = {"Cmd": list(order.argv), "AttachStdout": True, "AttachStderr": True}
    asked |= {"AttachStdin": False, "Tty": False} | ({"User": order.user} if order.user else {})
    begin()
    made = api.send("POST", f"/containers/{ident}/exec", order.patience.deadline, body=asked)
    if made.status != 201:
        return failed(f"refused: answered {made.status}{made.said}; nothing was run")
    path = f"/exec/{json.loads(made.body)['Id']}"
    start = {"Detach": False, "Tty": False}
    try:
        with api.stream("POST", f"{path}/start", max(0.1, ends - monotonic()), body=start) as answer:
            if answer.status_code != 200:
                said = Answer(answer.status_code, answer.raw.read(_ANSWER_LIMIT)).said
                return failed(f"refused: answered {answer.status_code}{said}; nothing was run")
            for stream, part in _parts(answer.raw, ends):
                output.take(stream, part)
        ended = api.ask(f"{path}/json") or {}
    except _OverdueError:
        return unknown(f"did not end within {order.patience.deadline:g} s, and still runs")
    except NothingSentError as error:
        # It ran; only how it ended could not be asked.
        return unknown(f"how it ended is not known: {error}")
    return _receipt(order, ended.get("ExitCode"), output)


def _receipt(order: ExecOrder, code: object, output: _Output) -> Receipt:
    text, is_cut = output.end()
    lines = [line.rstrip() for line in order.redact(text).splitlines() if line.strip()]
    after = shown(lines, is_cut=is_cut) if lines else None
    if code != 0:
        return unknown(f"exit {code}" + (f": {lines[-1][:200]}" if lines else ""), after=after)
    into = f", {output.written:,} bytes in {order.output}" if order.output else ""
    return done(f"exit 0{into}", after=after)


def _parts(raw: Any, ends: float) -> Iterator[tuple[int, bytes]]:
    """Pieces of its outputs by number, as the engine frames them, until it ends."""
    rest = b""
    while True:
        if monotonic() > ends:
            raise _OverdueError
        piece = raw.read1(_READ)
        if not piece and not rest:
            return
        rest += piece
        while len(rest) >= _HEAD:
            size = int.from_bytes(rest[4:_HEAD], "big")
            if len(rest) < _HEAD + size:
                break
            yield rest[0], rest[_HEAD : _HEAD + size]
            rest = rest[_HEAD + size :]
        if not piece:
            return
