"""A look through everything waits until nobody is at the keys, but not for ever."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from backends.model.clock import Instant
from tui.tidy import EVERY, LATEST, QUIET, START, Tidy

FIRST = 1 + START
"""When it looks for the first time, with the first beat at one second."""


@pytest.fixture
def looks() -> Iterator[list[int]]:
    """The generations that were looked through since, other than the newest."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            seen.append(2)

    before = gc.get_threshold()
    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    gc.set_threshold(*before)
    gc.unfreeze()


def beaten(tidy: Tidy, looks: list[int], until: float, keys: float | None = None) -> list[float]:
    """The seconds at which it looked, with a beat each second and a key every ``keys`` seconds."""
    found = []
    for second in range(1, int(until) + 1):
        if keys is not None and second % keys == 0:
            tidy.keyed(float(second))
        looks.clear()
        tidy.beat(float(second))
        found += [float(second)] * bool(looks)
    return found


def test_with_nobody_there_it_looks_after_the_start_and_then_every_minute(looks: list[int]) -> None:
    assert beaten(Tidy(), looks, 200) == [FIRST, FIRST + EVERY, FIRST + 2 * EVERY, FIRST + 3 * EVERY]


def test_while_keys_are_pressed_it_waits_but_not_for_ever(looks: list[int]) -> None:
    assert beaten(Tidy(), looks, LATEST + 50, keys=QUIET / 2) == [FIRST, FIRST + LATEST]


def test_what_many_dialogs_left_behind_is_dropped_beside_somebody_at_the_keys(looks: list[int]) -> None:
    tidy = Tidy()
    tidy.beat(-START)
    tidy.beat(0.0)
    dropped = [_in_a_circle() for _ in range(30_000)]
    gone = weakref.ref(dropped[0])
    del dropped
    tidy.keyed(1.0)
    tidy.beat(1.0)
    assert gone() is None
    looks.clear()
    tidy.beat(2.0)
    assert not looks, "little is new: it waits"


def test_panes_wait_for_one_beat_and_never_for_two_though_one_comes_early() -> None:
    tidy = Tidy()
    tidy.beat(0.0)
    assert tidy.lets_wait(Instant(21.03, 21.03), drawn=20.1)
    assert not tidy.lets_wait(Instant(21.99, 21.99), drawn=20.06)


class _Thing:
    itself: _Thing


def _in_a_circle() -> _Thing:
    thing = _Thing()
    thing.itself = thing
    return thing


def test_it_comes_as_soon_as_the_keys_are_left_alone(looks: list[int]) -> None:
    tidy = Tidy()
    tidy.beat(-START)
    tidy.beat(0.0)
    tidy.keyed(EVERY)
    looks.clear()
    tidy.beat(EVERY + QUIET - 1)
    assert not looks
    tidy.beat(EVERY + QUIET)
    assert looks


def test_python_takes_none_by_itself_however_much_is_made(looks: list[int]) -> None:
    tidy = Tidy()
    tidy.beat(-START)
    tidy.beat(0.0)
    looks.clear()
    kept = []
    for _ in range(200_000):
        own: list[object] = []
        own.append(own)
        kept.append(own)
    assert not looks
