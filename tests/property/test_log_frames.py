"""Docker's log bodies, cut anywhere: the same lines come out, and memory stays bounded."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model.stamp import is_stamped, to_ns, to_stamp
from backends.readers.docker_answer import Answer
from backends.readers.docker_frames import LINE_LIMIT, Frames

NOW = 1_790_000_000_123_456_789
PART = 16_384

texts = st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" "))
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=200)
times = st.integers(0, 4_000_000_000_000_000_000)


def frame(body: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


def new() -> Frames:
    return Frames(lambda: NOW)


def pieces(body: bytes, sizes: list[int]) -> list[bytes]:
    out: list[bytes] = []
    while body:
        size = sizes[len(out) % len(sizes)]
        out.append(body[:size])
        body = body[size:]
    return out


@given(times)
def test_a_time_survives_as_text_and_sorts_as_itself(ns: int) -> None:
    assert to_ns(to_stamp(ns)) == ns
    assert is_stamped(to_stamp(ns) + b" ")
    assert (to_stamp(ns) < to_stamp(NOW)) == (ns < NOW)


@given(
    st.tuples(
        st.sampled_from(["1969", "1970", "2000", "2024", "2026", "2900", "3000", "0000", "20x6"]),
        st.sampled_from(["-00-", "-01-", "-02-", "-04-", "-12-", "-13-", "/02/"]),
        st.sampled_from(["00", "28", "29", "30", "31", "32"]),
        st.sampled_from(["T00:", "T23:", "T24:", " 23:", "Tzz:"]),
        st.sampled_from(["00:00", "59:59", "60:00", "00:60"]),
        st.sampled_from([".000000000Z ", ".99999999_Z ", ".999999999z ", "+999999999Z "]),
    )
)
def test_what_passes_for_a_time_is_one_that_can_be_counted_and_written(fields: tuple[str, ...]) -> None:
    line = "".join(fields).encode()
    if is_stamped(line):
        assert to_stamp(to_ns(line[:30])) == line[:30]


@pytest.mark.parametrize("day", ["2024-02-29", "2000-02-29", "2026-02-28", "2026-12-31", "2026-11-30"])
def test_the_last_days_of_a_month_are_days(day: str) -> None:
    assert is_stamped(f"{day}T23:59:59.999999999Z x".encode())


@pytest.mark.parametrize(
    "zone", ["zz.000000000Z", "99.000000000Z", "00.000000000Z", "00.1Z", "99Z", "00+99:99", "00Z"]
)
@pytest.mark.parametrize("day", ["2026-99-99", "2026-02-30", "0001-01-01", "9999-12-31"])
def test_an_impossible_time_is_text_and_the_line_is_dated_when_it_came(day: str, zone: str) -> None:
    said = f"{day}T23:59:{zone} boo".encode()
    assert new().feed(frame(said + b"\n")) == [to_stamp(NOW) + b" " + said]


@given(st.lists(st.tuples(times, texts, st.integers(1, 2)), max_size=8), cuts)
def test_lines_are_the_same_wherever_the_body_is_cut(
    said: list[tuple[int, bytes, int]], sizes: list[int]
) -> None:
    lines = [to_stamp(ns) + b" " + text for ns, text, _ in said]
    body = b"".join(frame(line + b"\n", stream) for line, (_, _, stream) in zip(lines, said, strict=True))
    reader = new()
    assert [line for piece in pieces(body, sizes) for line in reader.feed(piece)] == lines


@given(st.lists(st.tuples(times, texts), min_size=1, max_size=8), cuts)
def test_a_terminal_has_no_frames_and_the_same_lines(said: list[tuple[int, bytes]], sizes: list[int]) -> None:
    lines = [to_stamp(ns) + b" " + text for ns, text in said]
    reader = new()
    body = b"".join(line + b"\n" for line in lines)
    assert [line for piece in pieces(body, sizes) for line in reader.feed(piece)] == lines


@given(st.lists(st.binary(max_size=80), max_size=6), cuts)
def test_an_http_body_in_chunks_is_put_together_wherever_it_is_cut(
    parts: list[bytes], sizes: list[int]
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    answer = Answer()
    body = b"".join(answer.feed(piece) for piece in pieces(head + chunks + b"0\r\n\r\n", sizes))
    assert (body, answer.status, answer.is_done) == (b"".join(parts), 200, True)


@given(st.binary(max_size=400), cuts)
def test_garbage_is_refused_or_shown_never_a_crash(garbage: bytes, sizes: list[int]) -> None:
    for reader in (new(), Answer()):
        try:
            for piece in pieces(garbage, sizes):
                reader.feed(piece)
        except ValueError:
            continue


def test_a_long_line_in_several_messages_is_one_line_with_one_time() -> None:
    time = to_stamp(NOW)
    first, last = frame(time + b" " + b"a" * PART), frame(time + b" bbb\n")
    other = frame(time + b" from stderr\n", stream=2)
    lines = new().feed(first + other + last)
    assert lines == [time + b" from stderr", time + b" " + b"a" * PART + b"bbb"]


def test_times_in_other_forms_are_brought_into_one() -> None:
    said = [b"2026-11-21T04:02:59Z x", b"2026-11-21T06:02:59.5+02:00 y", b"no time", b""]
    lines = new().feed(b"".join(frame(line + b"\n") for line in said))
    now = to_stamp(NOW)
    assert lines == [
        b"2026-11-21T04:02:59.000000000Z x",
        b"2026-11-21T04:02:59.500000000Z y",
        now + b" no time",
        now + b" ",
    ]


def test_several_lines_in_one_message_have_its_time() -> None:
    time = to_stamp(NOW - 1)
    assert new().feed(frame(time + b" a\nb\n")) == [time + b" a", time + b" b"]


@pytest.mark.parametrize("is_one_frame", [True, False])
def test_a_line_of_a_hundred_megabytes_takes_little_memory_and_says_how_long_it_was(
    is_one_frame: bool,
) -> None:
    mega, count = b"x" * 1_000_000, 100
    reader, lines = new(), []
    time = to_stamp(NOW) + b" "
    tracemalloc.start()
    if is_one_frame:
        size = len(time) + count * len(mega) + 1
        lines += reader.feed(bytes([1, 0, 0, 0]) + size.to_bytes(4, "big") + time)
        for _ in range(count):
            lines += reader.feed(mega)
        lines += reader.feed(b"\n")
    else:
        for _ in range(count):
            lines += reader.feed(frame(time + mega))
        lines += reader.feed(frame(time + b"\n"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    over = count * len(mega) - LINE_LIMIT
    assert lines == [time + b"x" * LINE_LIMIT + b" ... +%d bytes" % over]
    assert peak < 10_000_000
