"""Whatever goes wrong with following a journal, it is followed again, and what was lost is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from backends.model.logline import Marker
from backends.readers.journal import JournalFollower
from tests.clock import FakeClock
from tests.unit.test_log_follow import Sink


class Hasty(JournalFollower):
    """Each of its attempts does the next of what it is told, without a pause; after the last it is over."""

    def __init__(self, sink: Sink, ends: Sequence[str | Exception]) -> None:
        super().__init__(("journalctl", "--unit"), {}, {"bot.service": "bot"}, sink, FakeClock())
        self.ends = list(ends)
        self.pauses: list[float] = []
        self._is_over.wait = self._paused  # type: ignore[method-assign]  # nobody waits here

    def follow(self) -> None:
        self._run()

    def _paused(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        return False

    def _follow(self) -> str:
        end = self.ends.pop(0)
        if not self.ends:
            self._is_over.set()
        if isinstance(end, Exception):
            raise end
        return end


def test_a_journal_that_could_not_be_read_all_night_is_tried_again_in_the_morning() -> None:
    follower = Hasty(Sink(), ["journalctl ended with 1"] * 1500)
    follower.follow()
    assert follower.ends == []
    assert (follower.pauses[:3], max(follower.pauses)) == ([0.5, 1.0, 2.0], 30.0)


@pytest.mark.parametrize("fault", [OSError(24, "too many open files"), RuntimeError("of the log")])
def test_a_fault_of_our_own_ends_no_following_and_is_told(fault: Exception) -> None:
    sink = Sink()
    follower = Hasty(sink, [fault, "journalctl ended with 1", "over"])
    follower.follow()
    assert follower.ends == []
    why = f"the journal cannot be read: a fault in this program: {type(fault).__name__}"
    assert sink.got == [(Marker.EVENT, why)]
