"""No time that an operator or an auditor was promised is longer than promised, nor a wait shorter."""

from __future__ import annotations

import pytest

from backends import rotation
from backends.journal import anchorage, custody, drills, journal
from backends.procedures import approval, confirm, demands, dry_run, elsewhere, reassert, stop_runner
from tui.dialogs import arming

AT_MOST = {
    "a replaced credential is used": (rotation.EVERY, 60.0),
    "the journal's head is anchored": (anchorage.EVERY, 60.0),
    "the journal is checked after a start": (custody.SETTLED, 60.0),
    "the journal is checked again": (custody.DAILY, 86_400.0),
    "a stop waits for its intent": (journal.BUDGET, 0.05),
    "a consent holds": (approval.VALID, 300.0),
    "a dry run holds": (dry_run.VALID, 120.0),
    "another room's run is seen": (elsewhere.EVERY, 1.0),
    "a lost halt is ordered again": (reassert.EVERY, 5.0),
    "a dialog is left alone": (arming.IDLE_SECONDS, 30.0),
    "a way of a halt is not practised": (drills.DUE, 31 * 86_400.0),
    "clocks differ": (demands.APART, 1.0),
}
AT_LEAST = {
    "a dialog is deaf": (arming.DEAF_SECONDS, 0.25),
    "a proved stop is watched": (stop_runner.QUIET, 5.0),
    "a reason is long": (confirm.REASON, 10),
}


@pytest.mark.parametrize("what", AT_MOST)
def test_it_takes_no_longer(what: str) -> None:
    value, most = AT_MOST[what]
    assert 0 < value <= most


@pytest.mark.parametrize("what", AT_LEAST)
def test_it_is_no_less(what: str) -> None:
    value, least = AT_LEAST[what]
    assert value >= least
