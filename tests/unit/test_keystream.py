"""Keys survive every way in which a line can cut them into pieces."""

from __future__ import annotations

import pytest
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.message import Message

from tui.compat import Keys
from tui.keystream import PASTE_LIMIT, PASTE_PATIENCE, RESUME_PATIENCE, SEQUENCE_PATIENCE

F9 = b"\x1b[20~"


def typed(*reads: bytes | float) -> list[str]:
    """Key names, and pastes as ``<text>``, of what was read with these pauses between."""
    keys, now, found = Keys(), 100.0, list[Message]()
    for it in (*reads, 10.0):
        if isinstance(it, float):
            for _ in range(20):
                now += it / 20
                found += keys.silent(now)
        else:
            found += keys.read(it, now)
    return [_name(event) for event in found]


def _name(event: Message) -> str:
    if isinstance(event, events.Key):
        return event.key
    return f"<{event.text}>" if isinstance(event, events.Paste) else type(event).__name__


@pytest.mark.parametrize("pause", [0.0, 0.09, 0.2, 0.9])
@pytest.mark.parametrize("cut", range(1, len(F9)))
def test_a_function_key_in_two_reads_is_that_key(cut: int, pause: float) -> None:
    found = typed(b"1", F9[:cut], pause, F9[cut:], b"h")
    # Nothing tells an Escape that is followed by nothing for a tenth of a second from the key of that name.
    escape = ["escape"] if cut == 1 and pause > 0.1 else []
    assert found == ["1", *escape, "f9", "h"]


def test_a_function_key_byte_by_byte_is_that_key() -> None:
    found = typed(*(it for byte in F9 for it in (bytes([byte]), 0.3)))
    assert found == ["escape", "f9"]


@pytest.mark.parametrize("pause", [0.0, 0.05, 1.0])
def test_escape_is_a_key_before_and_after_anything(pause: float) -> None:
    assert typed(b"\x1b", 0.2, b"h") == ["escape", "h"]
    assert typed(b"\x1b", pause, F9) == ["escape", "f9"]
    assert typed(b"\x1b\x1b", 0.2) == ["escape", "escape"]
    assert typed(F9 + F9 + b"h" + F9) == ["f9", "f9", "h", "f9"]


def test_what_only_looks_like_the_rest_of_a_sequence_is_typed() -> None:
    assert typed(b"\x1b", 0.2, b"[", 2.0, b"h") == ["escape", "left_square_bracket", "h"]
    assert typed(b"\x1b", 0.2, b"[", b"h") == ["escape", "left_square_bracket", "h"]
    assert typed(b"\x1b", RESUME_PATIENCE + 0.3, b"[2") == ["escape", "left_square_bracket", "2"]
    assert typed(b"\x1b", 0.2, b"O", b"K") == ["escape", "O", "K"]


def test_an_unknown_or_unfinished_sequence_is_dropped_and_takes_no_key_along() -> None:
    assert typed(b"\x1b[>9qh") == ["h"]
    assert typed(b"\x1b[20", SEQUENCE_PATIENCE + 0.1, b"h") == ["h"]
    assert typed(b"\x1b[20" + F9 + b"h") == ["f9", "h"]
    assert typed(b"\x1b[20\rh") == ["enter", "h"]
    assert typed(b"\x1b[?2026;2$yh") == ["TerminalSupportsSynchronizedOutput", "h"]


def test_bytes_that_are_no_text_end_nothing() -> None:
    assert typed(b"\xffh\xc3", 0.1, b"\xa4" + F9)[-2:] == ["ä", "f9"]


def test_pasted_text_is_never_keys() -> None:
    nasty = b"h\x1b[20~\x1bhhh\x1b[31mhh\x1b[" + b"h" * 40
    for pause in (0.0, 0.5):
        found = typed(b"\x1b[200~" + nasty, pause, b"h\x1b[2", pause, b"01~", b"z")
        assert found == [f"<{(nasty + b'h').decode()}>", "z"]
    (one, key) = typed(b"\x1b[200~" + b"x" * (3 * PASTE_LIMIT) + b"\x1b[201~z")
    assert (len(one), key) == (PASTE_LIMIT + 2, "z")


def test_a_paste_whose_end_is_lost_does_not_swallow_keys_for_ever() -> None:
    assert typed(b"\x1b[200~text", PASTE_PATIENCE + 0.1, F9) == ["<text>", "f9"]


def test_every_key_the_toolkit_knows_comes_through() -> None:
    for sequence in ANSI_SEQUENCES_KEYS:
        if sequence in ("\x1b[200~", "\x1b[201~"):
            continue
        theirs = typed(sequence.encode())
        for cut in range(2, len(sequence)):
            assert typed(sequence[:cut].encode(), sequence[cut:].encode()) == theirs, repr(sequence)
    assert typed(b"\x1bOP\x1b[Z\x1b[A\x1bh\x1b[104;1;104u\x1b[<0;3;4M") == [
        *("f1", "shift+tab", "up", "alt+h", "h", "MouseDown"),
    ]
