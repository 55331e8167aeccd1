"""The room's many threads share what memory the C library has."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

_HEAPS: Final = """
import ctypes, threading
from tui.commands.room import share_heap
if {is_shared}:
    share_heap()
together = threading.Barrier(6)
def work():
    kept = bytearray(100_000)
    together.wait()
workers = [threading.Thread(target=work) for _ in range(6)]
for each in workers: each.start()
for each in workers: each.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
"""


def heaps(is_shared: bool) -> int:
    code = _HEAPS.format(is_shared=is_shared)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.count("<heap ")


@pytest.mark.linux
def test_threads_that_begin_after_it_was_asked_for_share_one_heap() -> None:
    assert heaps(is_shared=False) > 1, "they do so by themselves: the request can go"
    assert heaps(is_shared=True) == 1
