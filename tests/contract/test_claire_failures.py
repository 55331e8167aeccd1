"""The checks, checklists and known failures of Claire de Binare on one demo: what is answered in health, and
what the doctor finds of each failure that is brought about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.examination import Answer
from tests.contract.ward import Ward, ward

ID = "claire-de-binare"

NOT_YET = {
    "backup": "backup.trailer missing",
    "replay-hash": "replay.a missing",
    "replay-determinism": "replay.same missing",
    "replay-format": "replay.lines missing",
    "halt-armed": "halt.stream reads false",
    "halt-exercised": "halt.exercised reads false",
}
"""What a calm stack does not meet, and why: nothing was backed up, replayed or halted."""
OF_THE_MACHINE = {"clear-logs"}
"""The disk of whoever runs this."""


@pytest.fixture(scope="module")
def claire() -> Iterator[Ward]:
    with ward(ID) as made:
        yield made


def test_every_check_is_answered_in_health_and_only_what_was_never_done_fails(claire: Ward) -> None:
    assert claire.failing(NOT_YET, OF_THE_MACHINE) == NOT_YET.keys()


def test_every_checklist_is_done_but_for_what_was_never_done(claire: Ward) -> None:
    lists = claire.lists(OF_THE_MACHINE)
    assert {name for name, answer in lists.items() if answer is Answer.NO} == {"monthly", "secret-file"}
    assert {name for name, answer in lists.items() if answer is Answer.YES} == {"weekly", "quarterly"}


def test_in_health_the_doctor_finds_nothing(claire: Ward) -> None:
    assert [name for name, each in claire.diagnosed().items() if each.answer is Answer.YES] == []
