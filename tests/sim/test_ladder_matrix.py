"""Redis, HTTP, the venue, Docker and the journal, each broken in every way, in every pair: the halt ends well
or says that it did not, within ten seconds, and each way starts when it must.

``CONTROLROOM_SOAK=1`` runs all 7,776 combinations, else all pairs with the rest drawn by chance.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from random import Random
from zlib import crc32

import pytest

from backends.journal.entry import Kind
from backends.model.procedure import Run, Verdict
from tests.sim.rungs import FAULTS, PLACES, Site, site
from tests.sim.virtual import simulate

HELD = (Verdict.VERIFIED, Verdict.ALREADY)
Ended = list[tuple[dict[str, str], Site, Run, float]]
SOAK = bool(os.environ.get("CONTROLROOM_SOAK"))


def all_of_them() -> Iterator[dict[str, str]]:
    for faults in product(FAULTS, repeat=len(PLACES)):
        yield dict(zip(PLACES, faults, strict=True))


def all_pairs() -> Iterator[dict[str, str]]:
    chance = Random(4711)
    for one, two in combinations(PLACES, 2):
        for faults in product(FAULTS, repeat=2):
            rest = {place: chance.choice(FAULTS) for place in PLACES}
            yield rest | dict(zip((one, two), faults, strict=True))


CASES = list(all_of_them() if SOAK else all_pairs())


def pressed(faults: Mapping[str, str], then: float = 0.0) -> tuple[Site, Run, float]:
    made = site(faults, seed=crc32(repr(sorted(faults.items())).encode()))

    async def press() -> tuple[Run, float]:
        run, took = await made.press()
        await asyncio.sleep(then)
        await made.procedures.close()
        return run, took

    run, took = simulate(press())
    return made, run, took


@pytest.fixture(scope="module")
def ended() -> Ended:
    """Every case, pressed, and a second later."""
    return [(faults, *pressed(faults, then=1.0)) for faults in CASES]


def test_every_combination_ends_in_a_true_verdict_within_ten_seconds(ended: Ended) -> None:
    assert len(ended) >= 360
    for faults, made, run, took in ended:
        world = made.platform
        assert took <= 10.0, faults
        assert run.verdict is not None, faults
        if run.verdict in HELD:
            # Said to be halted: somebody read it, and it is so.
            assert world.is_stopped, faults
            read = [fact for fact, value in made.eyes.looks if str(value) == "ENGAGED"]
            assert read or "service:gateway" in {fact for fact, _ in made.eyes.looks}, faults
        else:
            # A full screen with the commands for a hand follows from this word, and only from this.
            assert "NOT HALTED" in run.sentence, faults
        # Whatever the journal did, the stop went ahead, and is marked when it could not be written.
        assert world.calls, faults
        assert run.journal_degraded is (faults["audit"] in ("refuse", "reset", "hang", "slow")), faults
        assert next(entry.kind for _, entry in made.audit.entries) is Kind.INTENT


def test_each_way_starts_in_its_turn_and_none_before_its_time(ended: Ended) -> None:
    for faults, made, _, _ in ended:
        redis, http = made.platform.first("redis"), made.platform.first("http")
        venue, docker = made.platform.first("venue"), made.platform.first("docker")
        assert redis is not None
        assert redis <= 0.051, faults
        if faults["redis"] == "ok":
            assert (http, venue, docker) == (None, None, None), faults
            continue
        if http is not None:
            is_certain = faults["redis"] == "refuse"
            assert http - redis <= (0.1 if is_certain else 0.6), faults
            assert is_certain or http - redis >= 0.4, faults
        if docker is not None:
            # Cancelled first, or given two seconds for it.
            assert venue is not None, faults
            assert venue <= docker <= redis + 3.1, faults
            if faults["venue"] != "ok":
                assert docker >= venue + 0.4, faults


@pytest.mark.parametrize("place", ["redis", "http", "venue", "docker", "audit"])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_single_place_keeps_the_halt_from_being_proved(place: str, fault: str) -> None:
    _, run, took = pressed({place: fault})
    assert run.verdict is Verdict.VERIFIED
    assert took < 2.0


def test_with_redis_and_http_gone_the_gateway_is_stopped_after_its_orders_were_cancelled() -> None:
    made, run, _ = pressed({"redis": "hang", "http": "hang"})
    assert (run.verdict, run.rung) == (Verdict.VERIFIED, 3)
    venue, docker = made.platform.first("venue"), made.platform.first("docker")
    assert venue is not None and docker is not None
    assert venue < docker < 3.1
    assert made.platform.open_orders == 0
    assert "orders: venue.open reads 0" in run.sentence


def test_a_gateway_is_stopped_although_the_venue_never_answers() -> None:
    made, run, took = pressed({"redis": "refuse", "http": "refuse", "venue": "hang"})
    assert run.verdict is Verdict.VERIFIED
    venue, docker = made.platform.first("venue"), made.platform.first("docker")
    assert venue is not None and docker is not None
    assert docker - venue == pytest.approx(2.0, abs=0.6)
    assert took < 6.0


def test_nothing_is_cancelled_and_no_service_ends_when_the_first_way_works() -> None:
    made, run, _ = pressed({}, then=5.0)
    assert run.verdict is Verdict.VERIFIED
    assert [way for _, way in made.platform.calls] == ["redis"]
    assert [step.state.value for step in made.runs[-1].steps] == ["verified", "skipped", "skipped", "skipped"]


def test_when_every_way_is_refused_it_says_so_and_at_once() -> None:
    everything = dict.fromkeys(("redis", "http", "venue", "docker"), "refuse")
    _, run, took = pressed(everything)
    assert run.verdict is Verdict.FAILED
    assert str(run.sentence).startswith("NOT HALTED")
    assert took <= 10.0
