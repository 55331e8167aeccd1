"""A second person's consent is somebody else's, for exactly this, once, and not for long."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.identity import identify, told
from backends.model.intent import Identity
from backends.model.procedure import Run, Verdict
from backends.model.safetext import SafeText
from backends.procedures.approval import KEPT, VALID, ApprovalBook, ApprovalError
from tests.clock import FakeClock
from tests.sim.desk import RESUME, asked, office
from tests.sim.virtual import simulate
from tests.sim.world import Paper

PLAN = "a" * 64
ME = identify()
"""Whoever this process is: nobody else can consent by it."""
BY = told(ME.user, ME.login, is_shared=ME.is_shared)
OTHER = Identity("kim", os.getuid() + 1, "ops1")
WANTED = asked(operator=OTHER)
BY_ANN = {"at": FakeClock().now().wall, "user": "ann", "uid": ME.uid + 2}


@pytest.fixture
def book(tmp_path: Path, fake_clock: FakeClock) -> ApprovalBook:
    return ApprovalBook(tmp_path / "approvals", fake_clock)


def test_another_person_approves_what_was_asked_for(book: ApprovalBook) -> None:
    code = book.request(WANTED, PLAN).code
    assert [request.reason for request in book.pending()] == ["all clear, ticket OPS-7"]
    assert book.approve(code, ME).procedure == "resume"
    assert book.pending() == []
    assert book.approver(code, WANTED, PLAN) == BY


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_has_expired_is_removed_by_whoever_writes_the_next_one(
    book: ApprovalBook, fake_clock: FakeClock, tmp_path: Path
) -> None:
    folder = tmp_path / "approvals"
    used, unanswered = (book.request(WANTED, PLAN).code for _ in range(2))
    book.approve(used, ME)
    (folder / "note.txt").write_text("the operators' own")
    fake_clock.advance(VALID + 1)
    late = book.request(WANTED, PLAN).code
    # Whoever still waits for it learns that it was too late, not that there is no such request.
    with pytest.raises(ApprovalError, match="older than 5 minutes"):
        book.given(unanswered)
    os.utime(folder / "note.txt", (0, 0))
    fake_clock.advance(VALID)
    book.approve(late, ME)
    assert files(folder) == {f"{late}.request", f"{late}.approval", "note.txt"}
    assert book.approver(late, WANTED, PLAN) == BY


def test_another_persons_file_that_cannot_be_removed_keeps_nobody_from_asking(
    book: ApprovalBook, fake_clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = book.request(WANTED, PLAN).code
    fake_clock.advance(KEPT + 1)

    def refuse(_path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    mine = book.request(WANTED, PLAN).code
    assert [each.code for each in book.pending()] == [mine]
    assert f"{theirs}.request" in files(tmp_path / "approvals")


def test_whoever_waits_is_told_who_has_approved_and_when_it_is_too_late(
    book: ApprovalBook, fake_clock: FakeClock
) -> None:
    code = book.request(WANTED, PLAN).code
    assert book.given(code) is None
    book.approve(code, ME)
    assert book.given(code) == BY
    fake_clock.advance(301)
    with pytest.raises(ApprovalError, match="older than 5 minutes"):
        book.given(code)


@pytest.mark.parametrize(
    "who", [OTHER, replace(ME, user="kim"), replace(ME, uid=OTHER.uid), replace(ME, user="ops", login="kim")]
)
def test_whoever_asked_cannot_approve_by_number_by_name_or_from_another_account(
    book: ApprovalBook, who: Identity
) -> None:
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
    said = {"code": code, "plan": PLAN, "reason": str(WANTED.reason), **BY_ANN}
    (tmp_path / "approvals" / f"{code}.approval").write_text(json.dumps(said))
    name = pwd.getpwuid(os.getuid()).pw_name
    by = told(name, None, is_shared=os.getuid() == 0)
    assert book.given(code) == book.approver(code, WANTED, PLAN) == by


def test_whoever_became_another_user_to_ask_cannot_consent_as_themselves(
    book: ApprovalBook, tmp_path: Path
) -> None:
    """Whatever they write into the request, which is their own file."""
    wanted = asked(operator=replace(OTHER, user="root", login=ME.user))
    request = book.request(wanted, PLAN)
    with pytest.raises(ApprovalError, match=f"{ME.user} asked for it"):
        book.approve(request.code, ME)
    file = tmp_path / "approvals" / f"{request.code}.request"
    file.write_text(json.dumps({**json.loads(file.read_text()), "user": "ann", "login": None}))
    book.approve(request.code, ME)
    with pytest.raises(ApprovalError, match="second person"):
        book.approver(request.code, wanted, PLAN)


def test_a_consent_from_an_account_of_several_people_says_so(book: ApprovalBook) -> None:
    code = book.request(WANTED, PLAN).code
    book.approve(code, replace(ME, login="lee", is_shared=True))
    assert book.given(code) == book.approver(code, WANTED, PLAN) == f"{ME.user} by lee, shared"


def test_whoever_asked_cannot_write_the_consent_themselves(book: ApprovalBook, tmp_path: Path) -> None:
    mine = asked(operator=ME)
    code = book.request(mine, PLAN).code
    said = {"code": code, "plan": PLAN, "reason": str(WANTED.reason), **BY_ANN}
    (tmp_path / "approvals" / f"{code}.approval").write_text(json.dumps(said))
    with pytest.raises(ApprovalError, match="second person"):
        book.approver(code, mine, PLAN)


@pytest.mark.parametrize("how", [os.rename, os.link, os.symlink])
def test_a_consent_to_one_thing_cannot_be_moved_to_another(
    book: ApprovalBook, tmp_path: Path, how: Callable[[Path, Path], None]
) -> None:
    """Both lie in a folder that both people write to."""
    given, wanted = (book.request(WANTED, plan).code for plan in ("b" * 64, PLAN))
    book.approve(given, ME)
    how(tmp_path / "approvals" / f"{given}.approval", tmp_path / "approvals" / f"{wanted}.approval")
    for use in (lambda: book.given(wanted), lambda: book.approver(wanted, WANTED, PLAN)):
        with pytest.raises(ApprovalError, match=r"another request|cannot be read"):
            use()


@pytest.mark.parametrize(
    ("change", "plan", "why"),
    [
        ({"procedure": "breaker-reset"}, PLAN, "something else"),
        ({"stack": "other"}, PLAN, "something else"),
        ({}, "b" * 64, "has changed since"),
        ({"operator": replace(OTHER, uid=OTHER.uid + 1)}, PLAN, "asked for by kim"),
        ({"reason": SafeText("somebody is in a hurry")}, PLAN, "for another reason"),
    ],
)
def test_it_is_good_for_nothing_else(
    book: ApprovalBook, change: dict[str, object], plan: str, why: str
) -> None:
    code = book.request(WANTED, PLAN).code
    book.approve(code, ME)
    with pytest.raises(ApprovalError, match=why):
        book.approver(code, replace(WANTED, **change), plan)  # type: ignore[arg-type]  # fields by name


def test_a_reason_that_was_rewritten_after_the_consent_was_not_read_by_who_gave_it(
    book: ApprovalBook, tmp_path: Path
) -> None:
    """The request is a file of whoever asks."""
    code = book.request(WANTED, PLAN).code
    book.approve(code, ME)
    file = tmp_path / "approvals" / f"{code}.request"
    hurried = replace(WANTED, reason=SafeText("somebody is in a hurry"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "reason": str(hurried.reason)}))
    with pytest.raises(ApprovalError, match="for another reason"):
        book.approver(code, hurried, PLAN)


def test_values_that_were_shown_otherwise_were_not_consented_to(book: ApprovalBook, tmp_path: Path) -> None:
    """The plan is known by a hash, which nobody reads: what they read is what the request says."""
    wanted = replace(WANTED, params={"symbol": "ALL"})
    code = book.request(wanted, PLAN).code
    file = tmp_path / "approvals" / f"{code}.request"
    file.write_text(json.dumps({**json.loads(file.read_text()), "params": {"symbol": "AAPL"}}))
    book.approve(code, ME)
    file.write_text(json.dumps({**json.loads(file.read_text()), "params": {"symbol": "ALL"}}))
    with pytest.raises(ApprovalError, match="other values"):
        book.approver(code, wanted, PLAN)


HOSTILE: dict[str, Any] = {
    "deep": "[" * 100_000,
    "deep inside": '{"code": "0badc0de", "params": ' + "[" * 100_000,
    "a huge number": {"at": 10**400},
    "no number": '{"at": NaN}',
    "another request": {"code": "../../x"},
    "values that are a list": {"params": ["AAPL"]},
    "no text": b"\xff\x00",
    "without an end": '{"user": "' + "x" * 200_000,
}
HOSTILE_REQUEST = {"a number of another kind": {"uid": "0"}, "a user that is a list": {"user": ["kim"]}}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        *(pytest.param(kind, each, id=f"{kind}: {name}")
          for kind in ("request", "approval") for name, each in HOSTILE.items()),
        *(pytest.param("request", each, id=f"request: {name}") for name, each in HOSTILE_REQUEST.items()),
    ],
)  # fmt: skip
def test_a_file_of_somebody_else_that_is_none_keeps_nobody_from_the_others(
    book: ApprovalBook, tmp_path: Path, kind: str, content: Any
) -> None:
    codes = [book.request(WANTED, PLAN).code for _ in range(2)]
    book.approve(codes[0], ME)
    file = tmp_path / "approvals" / f"{codes[0]}.{kind}"
    if isinstance(content, dict):
        content = json.dumps({**json.loads(file.read_text()), **content})
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for use in (lambda: book.given(codes[0]), lambda: book.approver(codes[0], WANTED, PLAN)):
        with pytest.raises(ApprovalError):
            use()
    assert [each.code for each in book.pending()] == codes[1:]


def test_what_a_request_says_cannot_act_on_the_approvers_terminal(book: ApprovalBook, tmp_path: Path) -> None:
    """It is a file of whoever asks: a line of it could look like another one, or clear what stands above."""
    code = book.request(WANTED, PLAN).code
    file = tmp_path / "approvals" / f"{code}.request"
    evil = "well\n  plan       0000\r\x1b[2J\x1b]52;c;aGk=\x07\u202e\u200b"
    said = {"reason": evil, "user": evil, "host": evil, "params": {evil: evil}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **said}))
    (asked_for,) = book.pending()
    texts = [asked_for.reason, asked_for.user, asked_for.host, *asked_for.params, *asked_for.params.values()]
    assert all(text.isprintable() and text.startswith(r"well\x0a") for text in texts)


def test_it_ends_after_five_minutes(book: ApprovalBook, fake_clock: FakeClock) -> None:
    code = book.request(WANTED, PLAN).code
    fake_clock.advance(299)
    book.approve(code, ME)
    fake_clock.advance(2)
    assert book.pending() == []
    with pytest.raises(ApprovalError, match="older than 5 minutes"):
        book.approver(code, WANTED, PLAN)
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
    assert [e.approver for _, e in made.paper.entries if e.approver] == [BY]


@pytest.mark.parametrize("again", ["afterwards", "at the same time"])
def test_an_approval_is_used_once_by_the_journal_whatever_files_are_deleted(
    tmp_path: Path, again: str
) -> None:
    """Two rooms of whoever asked, with the same journal and their own desks."""
    guarded = {"resume": replace(RESUME, needs_approval=True)}
    paper = Paper()
    rooms = [office(state=tmp_path, procedures=guarded, paper=paper) for _ in range(2)]
    book = rooms[0].procedures.approvals
    assert book is not None

    async def use(number: int, code: str) -> Run:
        return await rooms[number].procedures.execute(asked(operator=OTHER, id=f"op-{number}", approval=code))

    async def go() -> list[Run]:
        dry = await rooms[0].procedures.execute(asked(operator=OTHER, is_dry=True))
        code = book.request(asked(operator=OTHER), dry.plan).code
        book.approve(code, ME)
        if again == "at the same time":
            return list(await asyncio.gather(use(0, code), use(1, code)))
        first = await use(0, code)
        for file in (tmp_path / "approvals").iterdir():
            if file.name not in (f"{code}.request", f"{code}.approval"):
                file.unlink()
        return [first, await use(1, code)]

    first, second = simulate(go())
    assert (first.verdict, second.verdict) == (Verdict.VERIFIED, Verdict.REFUSED)
    assert "the approval was used already" in second.sentence
    assert rooms[1].desk.sent == []


def test_a_single_operator_may_be_configured_and_it_is_journalled() -> None:
    guarded = replace(RESUME, needs_approval=True)
    made = office(procedures={"resume": guarded}, is_single_operator=True)
    assert simulate(made.procedures.execute(asked())).verdict is Verdict.VERIFIED
    assert "single-operator mode" in made.paper.entries[0][1].text
