"""The demo's container logs come back as Docker's json-file driver gives them."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from backends.demo.dockerd.log_store import KEPT, LONGEST, STDERR, LogStore
from backends.demo.dockerd.stamps import SECOND, fixed, parse, trimmed


def read(raw: bytes) -> list[tuple[int, bytes]]:
    """Stream and text of every frame."""
    frames = []
    while raw:
        stream, length = struct.unpack(">BxxxL", raw[:8])
        frames.append((stream, raw[8 : 8 + length]))
        raw = raw[8 + length :]
    return frames


@given(st.integers(0, 3 * LONGEST + 5))
def test_a_long_line_comes_in_pieces_that_make_it_up_again(size: int) -> None:
    store = LogStore()
    store.write([b"x" * size], STDERR)
    frames = read(b"".join(entry.frame(stamped=False) for entry in store.tail(None)))
    assert b"".join(text for _, text in frames) == b"x" * size + b"\n"
    assert all(len(text) <= LONGEST + 1 for _, text in frames)
    assert [text.endswith(b"\n") for _, text in frames] == [False] * (len(frames) - 1) + [True]
    assert {stream for stream, _ in frames} == {2}


def test_every_entry_has_a_later_moment_than_the_one_before() -> None:
    store = LogStore()
    for _ in range(50):
        store.write([b"a", b"b"])
    stamps = [entry.frame(stamped=True)[8:].split(b" ")[0] for entry in store.tail(None)]
    assert stamps == sorted(set(stamps))
    assert {len(stamp) for stamp in stamps} == {30}


def test_only_the_newest_are_kept_and_ordinals_go_on() -> None:
    store = LogStore()
    store.write([b"%d" % number for number in range(KEPT + 10)])
    assert len(store.tail(None)) == KEPT
    assert [entry.text for entry in store.tail(2)] == [b"%d\n" % (KEPT + 8), b"%d\n" % (KEPT + 9)]
    assert [entry.text for entry in store.since(store.end - 1)] == [b"%d\n" % (KEPT + 9)]
    assert len(list(store.since(0))) == KEPT


@given(st.integers(0, 2_000_000_000 * SECOND))
def test_a_moment_written_in_a_log_is_read_back_to_the_nanosecond_in_seconds(at: int) -> None:
    assert parse(f"{at // SECOND}.{at % SECOND:09d}") == at
    assert fixed(at).startswith(trimmed(at).rstrip("Z")) or at == 0
