"""Outside text is inert once it is SafeText."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model.safetext import LINE_LIMIT, SafeText

HOSTILE = [
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J",
    "\x9b2J",
    "a\rb\nc",
    "\u202egnp.exe",
    "\u200b\u2066x",
    "\ue000\U000f0000",
    "a" + "\u0301" * 1000,
]


def is_inert(text: str) -> bool:
    return not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for char in text)


@pytest.mark.parametrize("text", HOSTILE)
def test_known_attacks_become_visible_text(text):
    assert not is_inert(text) or len(text) > 900
    assert is_inert(SafeText(text))


@given(st.text())
def test_any_text_is_inert_and_cleaning_it_again_changes_nothing(text):
    safe = SafeText(text)
    assert is_inert(safe)
    assert SafeText(str(safe)) == safe


@given(st.binary())
def test_any_bytes_are_inert_and_invalid_ones_are_visible(raw):
    assert is_inert(SafeText.from_bytes(raw))


def test_every_single_byte_can_be_shown():
    for byte in range(256):
        assert SafeText.from_bytes(bytes([byte])) or byte == 0


def test_plain_text_is_not_touched():
    for text in ("hello [/] [@click=app.kill] 'x [/'", "Zoë → 東京 ✓"):
        assert SafeText(text) == text


def test_long_text_is_cut_and_says_by_how_much():
    assert SafeText("x" * (LINE_LIMIT + 5)).endswith("… +5 chars")
    huge = SafeText.from_bytes(b"x" * 100_000_000)
    assert len(huge) < LINE_LIMIT + 40
    assert "bytes" in huge


def test_at_most_four_marks_stay_on_one_character():
    assert SafeText("a" + "\u0301" * 1000).count("\u0301") == 4
