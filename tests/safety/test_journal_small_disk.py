"""A disk that is full or read-only, or gets so, for real: only a stop goes on without a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.entry import Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.verify import read, verify
from backends.model.action import Action
from backends.model.board import CLOCK
from backends.model.clock import SystemClock
from backends.model.procedure import Receipt, RiskClass, Run, Step, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.procedures.disk import free
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from tests.conftest import started
from tests.servers.small_disk import SmallDisk
from tests.sim.world import HALT, KIM, RUNG_1, Reader, Service, World, intent, tiny_stack

PHRASES = {"degrade": "tiny", "restore": "RESUME tiny"}
NO_STOPS = [RiskClass.MARKET, RiskClass.DEGRADE, RiskClass.RESTORE]
BROKEN = ["full", "read-only"]
REFUSALS = [
    ("full", "the journal's disk has 0 KiB left, and this may need", ["refused"]),
    ("nearly full", "KiB left, and this may need 96 KiB; make room first", ["refused"]),
    ("read-only", "the journal cannot be written; nothing was sent", ["intent", "refused"]),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = started("root", lambda: SmallDisk(tmp_path / "state"))
    yield disk
    disk.stop()


class Site(Reader):
    """Its servers' clocks are those of this host."""

    async def look(self, fact: str, within: float) -> Reading[Any]:
        if fact.startswith(CLOCK):
            return Reading(fact, "redis", Outcome.OK, SystemClock().now(), 1.0, value=0.01)
        return await super().look(fact, within)


def spoil(disk: SmallDisk, how: str) -> None:
    """Nothing to a disk that is to be ``well``."""
    if how == "full":
        disk.fill()
    elif how == "nearly full":
        disk.fill(leave=32 * 1024)
    elif how == "read-only":
        disk.make_read_only()


class Spoiling(Service):
    """The disk is spoilt while it does what it is told for the first time."""

    def __init__(self, world: World, disk: SmallDisk, how: str) -> None:
        super().__init__(world, "redis")
        self._disk = disk
        self._how = how

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        spoil(self._disk, self._how)
        self._how = "well"
        return await super().act(action, values, step)


async def run_on(
    disk: SmallDisk, how: str, risk: RiskClass, *, later: str = "well", steps: Sequence[Step] = HALT.steps
) -> tuple[Run, World]:
    """One procedure of that class on a disk that is well or not, or gets so ``later``, by its first effect;
    the disk is well again at the end."""
    journal = Journal(disk.folder / "journal", Session(KIM, "0.1.0"), SystemClock(), Redactor())
    (disk.folder / "journal").mkdir()
    spoil(disk, how)
    world = World()
    services = {"redis": Spoiling(world, disk, later), "orchestrator": Service(world, "orchestrator")}
    procedure = replace(HALT, id="it", risk=risk, steps=tuple(steps))
    made = Procedures(
        tiny_stack(procedure), arm(KIM, is_watch=False), services, Site(world), journal, SystemClock(),
        lambda run: None, free=partial(free, disk.folder / "journal"),
    )  # fmt: skip
    typed = {"phrase": PHRASES.get(risk.value), "reason": SafeText("the cause was found")}
    run = await made.execute(replace(intent(procedure="it"), **typed))
    await made.close()
    disk.heal()
    assert journal.close() == 0
    return run, world


@pytest.mark.parametrize(("how", "says", "kinds"), REFUSALS, ids=[how for how, *_ in REFUSALS])
@pytest.mark.parametrize("risk", NO_STOPS, ids=lambda risk: risk.value)
async def test_what_is_no_stop_is_refused_and_its_refusal_is_on_record_later(
    disk: SmallDisk, how: str, says: str, kinds: list[str], risk: RiskClass
) -> None:
    run, world = await run_on(disk, how, risk)
    assert run.verdict is Verdict.REFUSED
    assert says in run.sentence
    assert (world.calls, world.effects) == ([], [])
    assert [each["kind"] for each in read(disk.folder / "journal")] == kinds


@pytest.mark.parametrize("later", BROKEN)
@pytest.mark.parametrize("risk", NO_STOPS, ids=lambda risk: risk.value)
async def test_what_is_under_way_sends_nothing_more_once_a_record_cannot_be_written(
    disk: SmallDisk, later: str, risk: RiskClass
) -> None:
    run, world = await run_on(
        disk, "well", risk, later=later, steps=[replace(RUNG_1, id=f"step-{number}") for number in range(5)]
    )
    assert run.verdict is Verdict.PARTIAL
    assert "the journal can no longer be written; nothing more was sent" in run.sentence
    # What is left of the journal's last block holds a record or two.
    assert len(world.calls) <= (1 if later == "read-only" else 3)
    kinds = [each["kind"] for each in read(disk.folder / "journal")]
    assert (kinds[0], kinds[-1], len(kinds)) == ("intent", "outcome", 2 + 2 * len(world.calls))


@pytest.mark.parametrize("how", BROKEN)
async def test_a_stop_works_is_marked_and_is_on_record_later(disk: SmallDisk, how: str) -> None:
    run, world = await run_on(disk, how, RiskClass.STOP)
    assert (run.verdict, run.journal_degraded, world.is_halted) == (Verdict.VERIFIED, True, True)
    records = list(read(disk.folder / "journal"))
    marked = {each["kind"]: each.get("audit_degraded") for each in records}
    assert (marked["intent"], marked["outcome"]) == (True, True)
    assert verify(disk.folder / "journal").is_whole


@pytest.mark.parametrize("risk", NO_STOPS, ids=lambda risk: risk.value)
async def test_on_a_disk_that_is_well_they_all_go_through(disk: SmallDisk, risk: RiskClass) -> None:
    run, world = await run_on(disk, "well", risk)
    assert (run.verdict, run.journal_degraded, world.is_halted) == (Verdict.VERIFIED, False, True)
