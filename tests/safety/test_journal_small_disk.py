"""A disk that is full or read-only, for real: every class but a stop is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.journal.entry import Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.journal.verify import read, verify
from backends.model.board import CLOCK
from backends.model.clock import SystemClock
from backends.model.procedure import RiskClass, Run, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from tests.conftest import started
from tests.servers.small_disk import SmallDisk
from tests.sim.world import HALT, KIM, Reader, Service, World, intent, tiny_stack

PHRASES = {"degrade": "tiny", "restore": "RESUME tiny"}
NO_STOPS = [RiskClass.MARKET, RiskClass.DEGRADE, RiskClass.RESTORE]
BROKEN = ["full", "read-only"]


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


async def run_on(disk: SmallDisk, how: str, risk: RiskClass) -> tuple[Run, World]:
    """One procedure of that class on a disk that is well, or is made ``full`` or ``read-only``; the disk is
    well again at the end."""
    journal = Journal(disk.folder / "journal", Session(KIM, "0.1.0"), SystemClock(), Redactor())
    (disk.folder / "journal").mkdir()
    if how == "full":
        disk.fill()
    elif how == "read-only":
        disk.make_read_only()
    world = World()
    services = {name: Service(world, name) for name in ("redis", "orchestrator")}
    procedure = replace(HALT, id="it", risk=risk)
    made = Procedures(
        tiny_stack(procedure), arm(KIM, is_watch=False), services, Site(world), journal, SystemClock(),
        lambda run: None,
    )  # fmt: skip
    typed = {"phrase": PHRASES.get(risk.value), "reason": SafeText("the cause was found")}
    run = await made.execute(replace(intent(procedure="it"), **typed))
    await made.close()
    disk.heal()
    assert journal.close() == 0
    return run, world


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("risk", NO_STOPS, ids=lambda risk: risk.value)
async def test_what_is_no_stop_is_refused_and_its_refusal_is_on_record_later(
    disk: SmallDisk, how: str, risk: RiskClass
) -> None:
    run, world = await run_on(disk, how, risk)
    assert run.verdict is Verdict.REFUSED
    assert "the journal cannot be written; nothing was sent" in run.sentence
    assert (world.calls, world.effects) == ([], [])
    assert [each["kind"] for each in read(disk.folder / "journal")] == ["intent", "refused"]


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
