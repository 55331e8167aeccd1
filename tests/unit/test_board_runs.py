"""The board tells of the newest runs, and of every one of this room that is under way."""

from __future__ import annotations

from msgspec.structs import replace

from backends.alarms.book import AlarmBook
from backends.board.store import RUNS, Store
from backends.model.procedure import Run, Verdict
from backends.model.safetext import SafeText
from tests.building import stack
from tests.clock import FakeClock


def test_a_run_under_way_is_not_pushed_off_the_board_by_many_that_came_after_it() -> None:
    """A restart that waits for a person, while a lost halt is put back every few seconds."""
    clock, made = FakeClock(), stack()
    store = Store(made, clock, AlarmBook(made, clock.now()), lambda: None)
    long = Run("long", made.id, "restart", "Restart", clock.now(), ())
    store.show_run(long)
    for number in range(2 * RUNS):
        clock.advance(1.0)
        now = clock.now()
        said = SafeText("HALTED")
        store.show_run(
            Run(f"op-{number}", made.id, "halt", "Halt", now, (), Verdict.VERIFIED, said, ended=now)
        )
    assert [run.operation for run in store.board.runs][-1] == "long"
    store.show_run(replace(long, verdict=Verdict.VERIFIED))
    assert len(store.board.runs) == RUNS
