"""A second person's consent is somebody else's, for exactly this, once, and not for long."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backends.journal.identity import identify
from backends.model.intent import Identity
from backends.model.procedure import Verdict
from backends.procedures.approval import ApprovalBook, ApprovalError
from tests.clock import FakeClock
from tests.sim.desk import RESUME, asked, office
from tests.sim.virtual import simulate

PLAN = "a" * 64
ME = identify()
"""Whoever this process is: nobody else can consent by it."""
OTHER = Identity("kim", os.getuid() + 1, "ops1")
WANTED = asked(operator=OTHER)


@pytest.fixture
def book(tmp_path: Path, fake_clock: FakeClock) -> ApprovalBook:
    return ApprovalBook(tmp_path / "approvals", fake_clock)


def test_what_another_person_approved_can_be_used_once(book: ApprovalBook) -> None:
    code = book.request(WANTED, PLAN).code
    assert [request.reason for request in book.pending()] == ["all clear, ticket OPS-7"]
    assert book.approve(code, ME).procedure == "resume"
    assert book.pending() == []
    assert book.take(code, WANTED, PLAN) == ME.user
    with pytest.raises(ApprovalError, match="used already"):
        book.take(code, WANTED, PLAN)


def test_whoever_waits_is_told_who_has_approved_and_when_it_is_too_late(
    book: ApprovalBook, fake_clock: FakeClock
) -> None:
    code = book.request(WANTED, PLAN).code
    assert book.given(code) is None
    book.approve(code, ME)
    assert book.given(code) == ME.user
    fake_clock.advance(301)
    with pytest.raises(ApprovalError, match="older than 5 minutes"):
        book.given(code)


@pytest.mark.parametrize("who", [OTHER, replace(ME, user="kim"), replace(ME, uid=OTHER.uid)])
def test_whoever_asked_cannot_approve_by_number_or_by_name(book: ApprovalBook, who: Identity) -> None:
    code = book.request(WANTED, PLAN).code
    with pytest.raises(ApprovalError, match="another person"):
        book.approve(code, who)


def test_nobody_can_approve_as_somebody_else(book: ApprovalBook, tmp_path: Path) -> None:
    code = book.request(WANTED, PLAN).code
    with pytest.raises(ApprovalError, match="does not run as"):
        book.approve(code, Identity("ann", ME.uid + 2, "ops1"))


def test_the_approver_is_called_what_the_system_calls_the_owner_of_the_file(
    book: ApprovalBook, tmp_path: Path
) -> None:
    code = book.request(WANTED, PLAN).code
    said = {"code": code, "plan": PLAN, "at": FakeClock().now().wall, "user": "ann", "uid": ME.uid + 2}
    (tmp_path / "approvals" / f"{code}.approval").write_text(json.dumps(said))
    assert book.given(code) == book.take(code, WANTED, PLAN) == pwd.getpwuid(os.getuid()).pw_name


def test_whoever_asked_cannot_write_the_consent_themselves(book: ApprovalBook, tmp_path: Path) -> None:
    mine = asked(operator=ME)
    code = book.request(mine, PLAN).code
    said = {"code": code, "plan": PLAN, "at": FakeClock().now().wall, "user": "ann", "uid": ME.uid + 2}
    (tmp_path / "approvals" / f"{code}.approval").write_text(json.dumps(said))
    with pytest.raises(ApprovalError, match="second person"):
        book.take(code, mine, PLAN)


@pytest.mark.parametrize("how", [os.rename, os.link, os.symlink])
def test_a_consent_to_one_thing_cannot_be_moved_to_another(
    book: ApprovalBook, tmp_path: Path, how: Callable[[Path, Path], None]
) -> None:
    """Both lie in a folder that both people write to."""
    given, wanted = (book.request(WANTED, plan).code for plan in ("b" * 64, PLAN))
    book.approve(given, ME)
    how(tmp_path / "approvals" / f"{given}.approval", tmp_path / "approvals" / f"{wanted}.approval")
    for use in (lambda: book.given(wanted), lambda: book.take(wanted, WANTED, PLAN)):
        with pytest.raises(ApprovalError, match=r"another request|cannot be read"):
            use()


@pytest.mark.parametrize(
    ("change", "plan", "why"),
    [
        ({"procedure": "breaker-reset"}, PLAN, "something else"),
        ({"stack": "other"}, PLAN, "something else"),
        ({}, "b" * 64, "has changed since"),
        ({"operator": replace(OTHER, uid=OTHER.uid + 1)}, PLAN, "asked for by kim"),
    ],
)
def test_it_is_good_for_nothing_else(
    book: ApprovalBook, change: dict[str, object], plan: str, why: str
) -> None:
    code = book.request(WANTED, PLAN).code
    book.approve(code, ME)
    with pytest.raises(ApprovalError, match=why):
        book.take(code, replace(WANTED, **change), plan)  # type: ignore[arg-type]  # fields by name


def test_it_ends_after_five_minutes(book: ApprovalBook, fake_clock: FakeClock) -> None:
    code = book.request(WANTED, PLAN).code
    fake_clock.advance(299)
    book.approve(code, ME)
    fake_clock.advance(2)
    assert book.pending() == []
    with pytest.raises(ApprovalError, match="older than 5 minutes"):
        book.take(code, WANTED, PLAN)
    late = book.request(WANTED, PLAN).code
    fake_clock.advance(301)
    with pytest.raises(ApprovalError, match="older than 5 minutes"):
        book.approve(late, ME)


@pytest.mark.parametrize("code", ["", "../../etc", "deadbeef", "DEADBEEF", "12345678/x"])
def test_a_code_that_is_none_opens_nothing(book: ApprovalBook, code: str) -> None:
    with pytest.raises(ApprovalError):
        book.approve(code, ME)


def test_a_resume_that_needs_a_second_person_waits_for_one(tmp_path: Path) -> None:
    guarded = replace(RESUME, needs_approval=True)
    made = office(state=tmp_path, procedures={"resume": guarded})

    async def go() -> list[Verdict | None]:
        wanted = asked(operator=OTHER)
        alone = await made.procedures.execute(wanted)
        dry = await made.procedures.execute(replace(wanted, id="op-2", is_dry=True))
        assert made.procedures.approvals is not None
        code = made.procedures.approvals.request(wanted, dry.plan).code
        early = await made.procedures.execute(replace(wanted, id="op-3", approval=code))
        made.procedures.approvals.approve(code, ME)
        together = await made.procedures.execute(replace(wanted, id="op-4", approval=code))
        return [alone.verdict, early.verdict, together.verdict]

    assert simulate(go()) == [Verdict.REFUSED, Verdict.REFUSED, Verdict.VERIFIED]
    assert [e.approver for _, e in made.paper.entries if e.approver] == [ME.user]


def test_a_single_operator_may_be_configured_and_it_is_journalled() -> None:
    guarded = replace(RESUME, needs_approval=True)
    made = office(procedures={"resume": guarded}, is_single_operator=True)
    assert simulate(made.procedures.execute(asked())).verdict is Verdict.VERIFIED
    assert "single-operator mode" in made.paper.entries[0][1].text
