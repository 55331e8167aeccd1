"""A stop in another room, or by any other hand, ends what is running here and is no stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.action import Attest, DockerVerb
from backends.model.procedure import Procedure, Proof, Run, Step, StepState, Verdict
from backends.procedures.evidence import Before
from backends.procedures.step_proof import StepProofs
from tests.sim.desk import LEE, RESUME, Office, asked, call, office
from tests.sim.virtual import simulate

RESET, DISENGAGE = RESUME.steps


def stop(number: int, **changes: Any) -> dict[str, Any]:
    """The intent of another room, as its journal has it."""
    record = {
        "seq": number,
        "kind": "intent",
        "class": "stop",
        "mode": "live",
        "stack": "desk",
        "procedure": "halt",
        "operation": "op-9",
        "operator": {"user": "lee", "uid": 1001},
        "session": {"tty": "/dev/pts/9", "remote": None},
    }
    return {**record, **changes}


class Pages:
    """The journal that the rooms share."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self.records = list(records)
        self.is_broken = False

    def __call__(self) -> list[dict[str, Any]]:
        if self.is_broken:
            raise OSError("gone")
        return list(self.records)


def restore(*steps: Step) -> dict[str, Procedure]:
    """A restore of these steps, beside the desk's own procedures."""
    return {"resume": replace(RESUME, steps=steps)}


def run_while(made: Office, procedure: str, meanwhile: Callable[[], None], after: str, **changes: Any) -> Run:
    """Run it, and let something happen as soon as a request to ``after`` has arrived."""

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked(procedure, **changes)))
        while after not in [path for _, _, path in made.desk.sent]:
            assert not task.done(), task.result().sentence
            await asyncio.sleep(0.001)
        meanwhile()
        return await task

    return simulate(go())


@pytest.mark.parametrize(("procedure", "first"), [("resume", "/reset"), ("flatten", "/close")])
def test_a_stop_journalled_by_another_room_ends_it_before_its_next_step(procedure: str, first: str) -> None:
    pages = Pages(stop(1))
    made = office(recent=pages)
    run = run_while(made, procedure, lambda: pages.records.append(stop(2)), first)
    assert len(made.desk.sent) == 1
    assert run.verdict is Verdict.PARTIAL
    assert run.steps[1].state is StepState.SKIPPED
    assert "Halt trading was pressed meanwhile by lee on /dev/pts/9" in run.sentence
    assert made.desk.kill == "ENGAGED"
    if procedure == "resume":
        assert "kill.state reads ENGAGED" in run.sentence


def test_a_stop_that_falls_while_it_is_read_what_was_so_before_a_step_keeps_that_step_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages, look = Pages(stop(1)), StepProofs.before

    async def slowly(proofs: StepProofs, step: Step) -> Before:
        found = await look(proofs, step)
        pages.records.append(stop(2))
        return found

    monkeypatch.setattr(StepProofs, "before", slowly)
    made = office(recent=pages)
    run = simulate(made.procedures.execute(asked()))
    assert made.desk.sent == []
    assert "was pressed meanwhile by lee" in run.sentence


def test_a_stop_that_falls_while_it_is_asked_whether_it_may_start_counts() -> None:
    pages = Pages(stop(1))
    made = office(recent=pages)

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(0.002)
        assert made.paper.entries == []
        pages.records.append(stop(2))
        return await task

    run = simulate(go())
    assert made.desk.sent == []
    assert (run.verdict, "was pressed meanwhile by lee" in run.sentence) == (Verdict.FAILED, True)


OLDER = [stop(1, operation="op-1"), stop(2, procedure="flatten", **{"class": "market"})]
"""What a copy of the journal has that was made before the run began."""


@pytest.mark.parametrize(
    "put_back",
    [OLDER, [*OLDER, *(stop(each, operation=f"op-{each}") for each in range(3, 9))], []],
    ids=["shorter", "grown past it again", "empty"],
)
@pytest.mark.parametrize(("procedure", "first"), [("resume", "/reset"), ("flatten", "/close")])
def test_a_journal_that_was_replaced_ends_it_for_a_stop_in_it_may_have_any_number(
    procedure: str, first: str, put_back: list[dict[str, Any]]
) -> None:
    pages = Pages(*OLDER, stop(5, kind="outcome"))
    made = office(recent=pages)
    run = run_while(made, procedure, lambda: setattr(pages, "records", put_back), first)
    assert len(made.desk.sent) == 1
    assert run.verdict is Verdict.PARTIAL
    assert "the journal was replaced meanwhile, and so it is unknown what another room does" in run.sentence


def test_what_is_kept_of_a_long_journal_may_begin_after_the_run_did() -> None:
    pages = Pages(stop(1), stop(2, kind="outcome"))
    made = office(recent=pages)
    newer = [stop(each, kind="note") for each in range(3, 9)]
    run = run_while(made, "resume", lambda: setattr(pages, "records", newer), "/reset")
    assert run.verdict is Verdict.VERIFIED


def test_a_journal_that_is_replaced_while_it_is_asked_whether_it_may_start_counts() -> None:
    pages = Pages(*OLDER, stop(5, kind="outcome"))
    made = office(recent=pages)

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked("flatten")))
        await asyncio.sleep(0.002)
        assert made.paper.entries == []
        pages.records = [*OLDER]
        return await task

    run = simulate(go())
    assert made.desk.sent == []
    assert "the journal was replaced meanwhile" in run.sentence


@pytest.mark.parametrize(("end", "is_sent"), [("outcome", False), ("refused", True)])
@pytest.mark.parametrize("procedure", ["flatten", "resume"])
def test_what_another_room_did_whole_while_it_was_asked_whether_it_may_start_counts_unless_it_was_refused(
    procedure: str, end: str, *, is_sent: bool
) -> None:
    """Two consoles by one dry run: the slower one read the positions before the other closed them."""
    pages = Pages(stop(1))
    made = office(recent=pages)
    theirs = {"class": "market", "procedure": "flatten", "plan": "0" * 64}

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked(procedure)))
        await asyncio.sleep(0.002)
        assert made.paper.entries == []
        pages.records += [stop(2, **theirs), stop(3, **theirs, kind=end)]
        return await task

    run = simulate(go())
    assert bool(made.desk.sent) is is_sent
    if not is_sent:
        assert run.verdict is Verdict.REFUSED
        assert "flatten by lee on /dev/pts/9 came first; look again at what is so now" in run.sentence


def test_what_another_room_begins_after_its_intent_is_for_the_other_room_to_give_up() -> None:
    pages = Pages()
    made = office(recent=pages)
    ours, theirs = {"operation": "op-1", "class": "market"}, {"class": "market"}

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked("flatten")))
        await asyncio.sleep(0.0055)
        assert len(made.paper.entries) == 1
        pages.records += [stop(2, **ours), stop(3, **theirs), stop(4, **theirs, kind="outcome")]
        return await task

    assert simulate(go()).verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    "other",
    [
        {"stack": "another"},
        {"mode": "dry"},
        {"mode": "watch"},
        {"class": "restore"},
        {"kind": "outcome"},
        {"seq": 1},
    ],
    ids=["of another stack", "a dry run", "a press in watch mode", "no stop", "its end", "an earlier one"],
)
def test_what_is_no_stop_of_this_stack_since_then_ends_nothing(other: dict[str, Any]) -> None:
    pages = Pages(stop(1))
    made = office(recent=pages)
    run = run_while(made, "resume", lambda: pages.records.append(stop(2, **other)), "/reset")
    assert run.verdict is Verdict.VERIFIED, run.sentence


@pytest.mark.parametrize(
    ("good", "verdict", "says"),
    [
        (0, Verdict.REFUSED, "what other rooms are running is not known: gone"),
        (1, Verdict.REFUSED, "what other rooms are running is not known: gone"),
        (2, Verdict.REFUSED, "the journal cannot be read, and so nothing that another room does: gone"),
        (3, Verdict.FAILED, "the journal cannot be read, and so nothing that another room does: gone"),
    ],
    ids=["from the first", "from its own intent on", "later", "before its first step"],
)
def test_while_the_journal_cannot_be_read_nothing_more_is_done(
    good: int, verdict: Verdict, says: str
) -> None:
    """Nobody could see a stop of another room."""
    answers = iter([()] * good)

    def broken() -> tuple[dict[str, Any], ...]:
        for answer in answers:
            return answer
        raise OSError("gone")

    made = office(recent=broken)
    run = simulate(made.procedures.execute(asked()))
    assert made.desk.sent == []
    assert (run.verdict, made.desk.kill) == (verdict, "ENGAGED")
    assert says in run.sentence


def test_a_journal_that_cannot_be_read_for_a_moment_ends_no_waiting() -> None:
    told = Step("told", "Ask the desk", Attest("The desk knows"), (), deadline=300.0)
    pages = Pages()
    made = office(recent=pages, procedures=restore(RESET, told, DISENGAGE))

    async def go() -> Run:
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(20.0)
        pages.is_broken = True
        await made.procedures.heed()
        pages.is_broken = False
        made.procedures.attest("op-1", "told", LEE)
        return await task

    assert simulate(go()).verdict is Verdict.VERIFIED


def test_who_waits_for_a_person_is_told_of_the_stop_at_once() -> None:
    told = Step("told", "Ask the desk", Attest("The desk knows"), (), deadline=300.0)
    pages = Pages()
    made = office(recent=pages, procedures=restore(RESET, told, DISENGAGE))

    async def go() -> tuple[Run, float]:
        task = asyncio.create_task(made.procedures.execute(asked()))
        await asyncio.sleep(20.0)
        pages.records.append(stop(1))
        await made.procedures.heed()
        return await task, asyncio.get_running_loop().time()

    run, at = simulate(go())
    assert at < 21.0
    assert (run.verdict, made.desk.kill) == (Verdict.PARTIAL, "ENGAGED")
    assert "was pressed meanwhile by lee" in run.sentence


def engaged(made: Office) -> Callable[[], None]:
    """The switch is thrown by a hand that no journal here knows."""

    def throw() -> None:
        made.desk.kill, made.desk.epoch = "ENGAGED", made.desk.epoch + 1

    return throw


def test_a_switch_that_reads_halted_again_after_it_was_released_ends_a_restore() -> None:
    slow = Step(
        "look", "Look again", call("/look"), (Proof("breaker.state", ("OPEN",), within=3.0, reads=2),)
    )
    made = office(procedures=restore(RESET, DISENGAGE, slow, replace(RESET, id="again", title="Again")))
    run = run_while(made, "resume", engaged(made), "/look")
    assert [path for _, _, path in made.desk.sent] == ["/reset", "/resume", "/look"]
    assert (run.verdict, run.steps[3].state) == (Verdict.PARTIAL, StepState.SKIPPED)
    assert "kill.state reads ENGAGED again: halted meanwhile by somebody else" in run.sentence
    assert made.desk.kill == "ENGAGED"


def opened(*steps: Step) -> Office:
    """A desk on which trading is on, and a restore that demands nothing."""
    made = office(procedures={"resume": replace(RESUME, steps=steps, requires=(), seen={})})
    made.desk.kill = "ACTIVE"
    return made


def test_a_switch_that_was_open_before_the_first_step_counts_too() -> None:
    made = opened(RESET, replace(RESET, id="again", title="Again"))
    run = run_while(made, "resume", engaged(made), "/reset", shown={})
    assert [path for _, _, path in made.desk.sent] == ["/reset"]
    assert "halted meanwhile by somebody else" in run.sentence


@pytest.mark.parametrize("how", ["switch", "journal"])
def test_what_had_no_answer_is_not_sent_again_after_a_stop(how: str) -> None:
    """The first try is lost; before the second, somebody else halts."""
    pages = Pages()
    made = office(
        wire={"/reset": "dropped"},
        recent=pages,
        procedures={"resume": replace(RESUME, steps=(RESET,), requires=(), seen={})},
    )
    made.desk.kill = "ACTIVE"
    halts = engaged(made) if how == "switch" else lambda: pages.records.append(stop(1))
    run = run_while(made, "resume", halts, "/reset", shown={})
    assert [path for _, _, path in made.desk.sent] == ["/reset"]
    assert "meanwhile by" in run.sentence
    assert run.verdict is Verdict.UNCONFIRMED, "it may have been done all the same"


def test_what_it_closes_itself_may_be_sent_again() -> None:
    both = (Proof("kill.state", ("ENGAGED",)), Proof("breaker.state", ("OPEN",)))
    made = opened(Step("engage", "Engage", call("/engage"), both, is_idempotent=True))
    made.wire.faults["/engage"] = "lost"
    run = simulate(made.procedures.execute(asked(shown={})))
    assert [path for _, _, path in made.desk.sent] == ["/engage"] * 3
    assert "somebody else" not in run.sentence


def test_what_it_closes_itself_was_closed_by_nobody_else() -> None:
    engage = Step("engage", "Engage", call("/engage"), (Proof("kill.state", ("ENGAGED",)),))
    made = opened(engage, RESET)
    run = simulate(made.procedures.execute(asked(shown={})))
    assert [path for _, _, path in made.desk.sent] == ["/engage", "/reset"]
    assert run.verdict is Verdict.VERIFIED, run.sentence


def test_a_service_that_comes_back_halted_is_no_stop_by_anybody() -> None:
    """Its procedure starts programs, and a fresh one may begin with its switch thrown."""
    up = Step("up", "Start it", DockerVerb("docker", "start", "trader"), (Proof("gateway", ("healthy",)),))
    made = opened(RESET, replace(RESET, id="again"), up)
    run = run_while(made, "resume", engaged(made), "/reset", shown={})
    assert [path for _, _, path in made.desk.sent] == ["/reset", "/reset"]
    assert "somebody else" not in run.sentence
