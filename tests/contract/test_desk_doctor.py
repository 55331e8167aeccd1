"""The checks, checklists and known failures of the Hummingbot desk on one demo a generation: what is answered
in health, and what the doctor finds of each failure that is brought about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from backends.model.examination import Answer, Examined
from backends.model.weigh import word_of
from tests.contract.desk_illnesses import AT_ONCE, GATES, MENDED, THEN, heal, keep, leave_bot_4_behind, report
from tests.contract.ward import Ward, is_told, outbreak, ward

ID = "hummingbot-desk"

NOT_DONE = {
    "bus-pass": "bus.label reads pre_restart",
    "db-dump": "db.dump_size reads 43",
    "gate-day2": "gates.day2 reads false",
    "gate-replay": "gates.skip_replay reads true",
    "gates-whole": "gates.skip_replay reads true",
    "accounting-funding": "db.funding reads 0",
    "ml-on": "ml.enabled reads false",
    "smoke-demo": "bots.heard reads 0",
    "smoke-paper": "bots.heard reads 0",
}
"""What a calm desk does not meet, and why: the bus was not restarted, nothing was dumped, gates ran as CI
runs them, ML is off, bot 1 runs no smoke profile; and nobody ever writes what funding was paid."""
FAILING = {
    "R1": NOT_DONE,
    "H": {
        **NOT_DONE,
        "gate-coordination": "coordination_policy_scope reads false",
        "upgrade-target": "upgrade.status reads fail",
    },
}
"""After, two scripts read former paths."""
UNTOLD = {
    "errors-quiet": "needs 600 s of readings",
    **dict.fromkeys(("reset-applied", "reset-backup", "reset-preview"), "its own time is old"),
}
"""What no room knows yet, or only just after a reset: the last one is three days ago."""
NOT_DONE_LISTS = {"daily": Answer.UNKNOWN, "bus-restart": Answer.NO, "approval": Answer.NO}
ALWAYS = {
    "R1": {"day2-not-go", "kill-open"},
    "H": {"day2-not-go", "kill-open", "gates-fail", "policies-differ"},
}
"""Known failures of a calm desk: its window is not over, and others reach its kill switch; after, risk
looks at other bots than policy."""


@pytest.fixture(scope="module", params=["R1", "H"])
def desk(request: pytest.FixtureRequest) -> Iterator[Ward]:
    with ward(ID, request.param) as made:
        yield made


def test_every_check_is_answered_in_health_and_only_these_fail(desk: Ward) -> None:
    assert desk.failing(FAILING[desk.generation], untold=UNTOLD) == FAILING[desk.generation].keys()


def test_every_checklist_is_done_but_those_of_what_was_not_done(desk: Ward) -> None:
    lists = desk.lists()
    assert {name: each for name, each in lists.items() if each is not Answer.YES} == NOT_DONE_LISTS
    assert len(lists) == 12


def test_in_health_the_doctor_finds_only_what_is_always_so(desk: Ward) -> None:
    found = {name for name, each in desk.diagnosed().items() if each.answer is Answer.YES}
    assert found == ALWAYS[desk.generation]


PARITY = "parity/latest.json"
METRIC = {"metric": "fills", "pass": True, "note": "insufficient_data"}
UNCOMPARED = [{"bot": "bot1", "pass": True, "metrics": [METRIC]}]


def answers(desk: Ward, *names: str) -> list[Answer]:
    return [each.answer for each in desk.examine([desk.stack.checks[name] for name in names]).values()]


def test_gates_that_pass_with_something_left_out_are_told_from_gates_that_pass(desk: Ward) -> None:
    told = ("gates-whole", "gate-replay", "gate-day2")
    assert answers(desk, *told) == [Answer.NO] * 3
    report(desk, GATES, notes={"skip_replay_cycle": False, "require_day2_go": True})
    assert answers(desk, *told) == [Answer.YES] * 3


def test_parity_without_data_passes_at_the_gate_and_not_here(desk: Ward) -> None:
    assert answers(desk, "gate-parity") == [Answer.YES]
    keep(desk, PARITY, bots=UNCOMPARED)
    assert answers(desk, "gate-parity") == [Answer.NO]
    assert word_of(desk.board.readings["parity.status"].value) == "pass"
    keep(desk, PARITY)


SNAPSHOTS = "exchange_snapshots/latest.json"


def test_a_probe_from_before_the_service_was_made_anew_vouches_for_no_new_key(desk: Ward) -> None:
    """Whoever rotates keys revokes the old one by this answer. After, no service of its own asks."""
    assert answers(desk, "probe") == [Answer.YES]
    if desk.generation == "H":
        return
    keep(desk, SNAPSHOTS, ts_utc=datetime.now(UTC).isoformat())
    desk.do(desk.world.engine.service("exchange-snapshot-service").restart())
    desk.until(lambda: answers(desk, "probe") == [Answer.NO], "the former probe to count no more")
    assert desk.lists()["key-rotation"] is Answer.NO
    keep(desk, SNAPSHOTS)
    desk.until(lambda: answers(desk, "probe") == [Answer.YES], "the next to count")


def test_an_old_file_of_bot_4_passes_at_the_smoke_gate_and_not_here(desk: Ward) -> None:
    assert answers(desk, "gate-smoke") == [Answer.YES]
    leave_bot_4_behind(desk)
    assert answers(desk, "gate-smoke") != [Answer.YES]


def test_accounting_that_holds_no_funding_is_told_until_a_row_has_some(desk: Ward) -> None:
    assert answers(desk, "accounting-funding") == [Answer.NO]
    address = desk.world.addresses["postgres"].replace("://", "://trader@")
    with psycopg.connect(address) as database:
        row = "('bot4', now(), 68000, 10000, 1.2, -0.4, 'api')"
        database.execute(f"INSERT INTO accounting_snapshot VALUES {row}")
    assert answers(desk, "accounting-funding") == [Answer.YES]


@pytest.fixture(scope="module")
def found(desk: Ward) -> Mapping[str, tuple[Answer, Examined]]:
    """Of each failure that this generation knows, what was said before and after it was brought about."""
    heal(desk)
    known = desk.stack.diagnoses
    return outbreak(desk, *({name: wave[name] for name in wave if name in known} for wave in (AT_ONCE, THEN)))


@pytest.mark.parametrize("name", [*AT_ONCE, *THEN])
def test_a_failure_that_is_brought_about_is_found_by_its_cause_with_what_mends_it(
    desk: Ward, found: Mapping[str, tuple[Answer, Examined]], name: str
) -> None:
    illness = {**AT_ONCE, **THEN}[name]
    mended = MENDED.get(str(desk.generation), {}).get(name, illness.procedure)
    is_told(desk.stack, name, replace(illness, procedure=mended), found[name])


def test_every_known_failure_is_brought_about_but_those_alike_for_each_service(
    desk: Ward,
) -> None:
    alike = ("loops-", "unhealthy-", "port-")
    assert {name for name in desk.stack.diagnoses if not name.startswith(alike)} <= {*AT_ONCE, *THEN}


def test_whatever_service_loops_or_is_unwell_is_named_with_a_procedure_that_takes_it(desk: Ward) -> None:
    """Of all, whether it loops; of those with a check, what that got; of those with a port, who has it."""
    stack = desk.stack
    for kind, services in {
        "restarting": {each.name for each in stack.services},
        "unhealthy": {each.name for each in stack.services if each.has_check},
    }.items():
        told = {
            each.service
            for each in stack.diagnoses.values()
            if (each.demands[0].fact, each.demands[0].equals) == (f"service:{each.service}", (kind,))
        }
        assert services <= told
    for each in stack.diagnoses.values():
        if each.procedure == "recreate-service":
            assert (
                each.service is None or each.service in stack.procedures["recreate-service"].params[0].one_of
            )
