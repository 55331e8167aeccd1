"""The checks, checklists and known failures of surveillance on one demo: what is answered in health, and what
the doctor finds of each failure that is brought about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.examination import Answer
from tests.contract.ward import Ward, ward

ID = "surveillance"

_NEVER_LOADED = "load.at missing"
NOT_YET = {
    "zscores-eth": "db.zscore_eth missing",
    "exchanges-reached": "reach.spot missing",
    "instruments-file": _NEVER_LOADED,
    "limits-file": _NEVER_LOADED,
    "pairs-file": _NEVER_LOADED,
    "symbol-mapping": _NEVER_LOADED,
    "exchange-entry": "load.exchanges missing",
    "eth-captured": "config.eth reads false",
}
"""What a calm system does not meet, and why: ETH is off, and nothing was tried from the container."""


@pytest.fixture(scope="module")
def system() -> Iterator[Ward]:
    with ward(ID) as made:
        yield made


def test_every_check_is_answered_in_health_and_only_what_was_never_tried_fails(system: Ward) -> None:
    assert system.failing(NOT_YET) == NOT_YET.keys()


def test_every_checklist_is_done_but_those_of_what_was_never_tried(system: Ward) -> None:
    lists = system.lists()
    undone = {"new-instrument", "new-exchange"}
    assert {name for name, answer in lists.items() if answer is Answer.NO} == undone
    assert {name for name, answer in lists.items() if answer is Answer.YES} == {"quick-start", "fresh-start"}


def test_in_health_the_doctor_finds_nothing(system: Ward) -> None:
    assert [name for name, each in system.diagnosed().items() if each.answer is Answer.YES] == []
