"""What keeps trading from being resumed, each thing alone: the room demands it of every stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.board import CLOCK, SERVICE
from backends.model.clock import Instant
from backends.model.procedure import Run, Verdict
from backends.model.reading import Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import ServiceSpec, SourceKind
from backends.procedures.demands import NOTED
from tests.sim.desk import Desk, Looker, asked, desk_stack, office
from tests.sim.virtual import VirtualClock, simulate

ONE, TWO = (ServiceSpec(name, (name,), "orders", "desk", instance_of="trader") for name in ("one", "two"))


class Site(Looker):
    """Tells the clock of the desk's server and the versions that its two traders run, too."""

    def __init__(self, desk: Desk, apart: float | None, versions: tuple[str | None, ...]) -> None:
        super().__init__(desk)
        self._apart = apart
        self._versions = versions

    async def look(self, fact: str, within: float) -> Reading[Any]:
        at = VirtualClock().now()
        if fact.startswith(CLOCK):
            return self._reading(fact, at, self._apart)
        if fact.startswith(SERVICE):
            version = self._versions[("one", "two").index(fact.removeprefix(SERVICE))]
            return self._reading(fact, at, None if version is None else _trader(fact, version))
        return await super().look(fact, within)

    @staticmethod
    def _reading(fact: str, at: Instant, value: Any) -> Reading[Any]:
        if value is None:
            return Reading(fact, "desk", Outcome.FAILED, at, 1.0, error=SafeText("no answer"))
        return Reading(fact, "desk", Outcome.OK, at, 1.0, value=value)


def _trader(name: str, version: str) -> Service:
    state = RunState.EXITED if version.startswith("stopped") else RunState.RUNNING
    digest = None if version == "?" else f"sha256:{version}"
    return Service(name, Runtime.DOCKER, name, SafeText(name), state, Health.HEALTHY, digest=digest)


def resumed(
    state: Path,
    apart: float | None = 0.01,
    versions: tuple[str | None, ...] = ("a", "a"),
    unread: str = "",
    takes: float | None = 0.001,
    starts: tuple[str, ...] = (),
    **changes: Any,
) -> Run:
    """The verdict of a resume against which nothing else stands."""
    desk = Desk()
    spec = desk_stack()
    source = replace(spec.sources["desk"], kind=SourceKind.REDIS, url="redis://desk:6379/0")
    procedures = spec.procedures | {"resume": replace(spec.procedures["resume"], starts=starts)}
    made = office(
        desk, state=state, takes=takes, sources={"desk": source}, services=(ONE, TWO), procedures=procedures
    )
    made.procedures._eyes._verifier = Site(desk, apart, versions)
    made.procedures._eyes._verifier.faults[unread] = "failed"
    for key, value in changes.items():
        setattr(desk, key, value)
    return simulate(made.procedures.execute(asked()))


def test_when_all_is_well_it_goes_through(tmp_path: Path) -> None:
    run = resumed(tmp_path)
    assert (run.verdict, run.notes) == (Verdict.VERIFIED, ())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"apart": 1.2}, "The clock of Desk must not differ by more than 1 s"),
        ({"apart": None}, "The clock of Desk must not differ by more than 1 s"),
        ({"versions": ("a", "b")}, "The instances of trader run different versions: one sha256:a"),
        ({"versions": ("a", None)}, "The version of two, an instance of trader, cannot be read"),
        ({"versions": ("a", "?")}, "The version of two, an instance of trader, is not known"),
        ({"orders": 2}, "Orders are open"),
        ({"recon_at": 0.0}, "The broker was not compared lately"),
        ({"unread": "kill.epoch"}, "kill.epoch cannot be read now"),
        ({"unread": "gateway"}, "The gateway is not well"),
        ({"takes": None}, "the journal cannot be written; nothing was sent"),
        ({"epoch": 2}, "kill.epoch has changed since it was shown"),
    ],
    ids=["a clock that is off", "a clock nobody can read", "two versions", "a version that cannot be read",
         "a version that is not told", "open orders", "not reconciled", "no epoch", "no data",
         "no journal", "another halt than was shown"],
)  # fmt: skip
def test_each_thing_alone_refuses_it_and_is_the_only_one_named(
    tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    run = resumed(tmp_path, **wrong)
    assert run.verdict is Verdict.REFUSED
    assert len(run.blockers) == 1
    assert run.blockers[0].startswith(says)


@pytest.mark.parametrize(
    ("apart", "verdict"), [(None, Verdict.VERIFIED), (1.2, Verdict.REFUSED), (0.01, Verdict.VERIFIED)]
)
def test_a_store_that_it_starts_itself_may_be_down_but_not_have_another_time(
    tmp_path: Path, apart: float | None, verdict: Verdict
) -> None:
    assert resumed(tmp_path, apart, starts=("desk",)).verdict is verdict


def test_a_stopped_instance_of_another_version_is_no_matter(tmp_path: Path) -> None:
    assert resumed(tmp_path, versions=("a", "stopped-b")).verdict is Verdict.VERIFIED


def test_a_clock_that_begins_to_differ_is_told_and_refuses_nothing(tmp_path: Path) -> None:
    run = resumed(tmp_path, apart=NOTED + 0.1)
    assert run.verdict is Verdict.VERIFIED
    assert [str(each) for each in run.notes] == ["The clock of Desk differs by 0.35 s from this host's"]
