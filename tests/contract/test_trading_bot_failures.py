"""The checks, checklists and known failures of the trading bots on one demo: what is answered in health, and
what the doctor finds of each failure that is brought about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.examination import Answer
from tests.contract.ward import Ward, ward

ID = "trading-bot"

AS_SHIPPED = {
    "watchdog": "unit.watchdog_status reads 2",
    "halted-fully": "mode reads auto",
    "switched-green": "color reads blue",
}
"""What a calm desk does not meet, and why: its watchdog never worked, and nothing was halted or switched."""
OF_THE_MACHINE = {"resources", "snapshots-kept"}
"""The disk, memory and load of whoever runs this."""
ALWAYS = {"hours-guard-idle", "watchdog-never-worked"}
"""What is wrong with the bots as they are shipped."""
OF_THE_NETWORK = {"binance-slow", "coinbase-slow", "binance-no-name", "interface-errors", "port-8000"}
"""Told of the host on which this runs."""


@pytest.fixture(scope="module")
def bots() -> Iterator[Ward]:
    with ward(ID) as made:
        yield made


def test_every_check_is_answered_in_health_and_only_these_fail(bots: Ward) -> None:
    assert bots.failing(AS_SHIPPED, OF_THE_MACHINE) == AS_SHIPPED.keys()


def test_every_checklist_is_done_but_that_of_a_halt(bots: Ward) -> None:
    lists = bots.lists(OF_THE_MACHINE)
    assert {name for name, answer in lists.items() if answer is not Answer.YES} == {"close-positions"}
    assert lists.keys() == {"morning", "evening", "weekly", "close-positions"}


def test_in_health_the_doctor_finds_only_what_is_wrong_as_shipped(bots: Ward) -> None:
    found = {name for name, each in bots.diagnosed().items() if each.answer is Answer.YES}
    assert found - OF_THE_NETWORK == ALWAYS
