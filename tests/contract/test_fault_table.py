"""Every fact and every service of every stack × every fault of its source: never green, never zero, never
blank.

What comes out is judged the way the board judges it. Nobody falls out of the table in silence: whom a fault
does not concern is named there with the reason, and has a value.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.model.board import SERVICE
from backends.model.stack import SourceKind
from tests.contract.fault_table import docker, files, host, room, stores, systemd, web
from tests.contract.fault_table.subject import every_stack, ident, of_each_kind
from tests.contract.fault_table.trial import FAULTS, Door, Ground, Trial, run

DOORS = (
    docker.FACTS, docker.SERVICES, docker.SWARM, files.FILES, host.HOST, host.PROCESSES, room.ROOM,
    stores.POSTGRES, stores.REDIS, stores.SQLITE, systemd.FACTS, systemd.UNITS, web.CLICKHOUSE, web.HTTP,
    web.LOKI, web.PROMETHEUS,
)  # fmt: skip
CELLS = [
    pytest.param(door, trial, id=f"{door.title}-{fault}-{how}")
    for door in DOORS
    for fault, trials in door.trials.items()
    if not isinstance(trials, str)
    for how, trial in trials.items()
]


@pytest.mark.parametrize(("door", "trial"), CELLS)
async def test_a_source_with_a_fault_gives_no_value(
    door: Door, trial: Trial, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await run(trial, door.subjects, Ground(tmp_path, request))


def test_every_fact_and_every_service_of_every_stack_is_in_the_table_once() -> None:
    watched = []
    for name, stack in every_stack():
        watched += [f"{name} {fact}" for fact in stack.facts]
        watched += [f"{SERVICE}{name} {spec.name}" for spec in stack.services]
    beside = {fact.id for kind in SourceKind for fact in of_each_kind(kind)} | set(
        map(ident, docker.SWARM.own)
    )
    tried = [ident(each) for door in DOORS for each in door.subjects]
    assert sorted(each for each in tried if each not in beside) == sorted(watched)
    assert len({name.split()[0] for name, _ in every_stack()}) == 5


def test_every_kind_of_source_has_every_fault_or_a_reason_why_it_cannot() -> None:
    assert {door.kind for door in DOORS} == set(SourceKind)
    for door in DOORS:
        assert set(door.trials) == set(FAULTS), door.title
        assert all(door.trials.values()), door.title
        assert door.subjects, door.title
