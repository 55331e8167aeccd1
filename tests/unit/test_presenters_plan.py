"""What a dialog says: everything, in whatever room there is, and never a word that is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.condition import Each
from backends.model.fact import Table
from backends.model.procedure import Procedure, Proof, RiskClass, StepState, Verdict
from backends.model.trading import TradingState
from backends.stacks.loader import built_in, load_stack
from tests import building
from tests.pilot import scenes, world
from tests.pilot.world import HALT, STACK
from tui.presenters.plan import Question, plan_lines, proof_text
from tui.presenters.progress import failure_lines, failure_word, is_lost, progress_lines
from widgets.cells import width_of
from widgets.span import Spans

NOW = Instant(1000.0, 1_790_000_000.0)


def ask(board: Board, procedure: Procedure = HALT) -> Question:
    return Question(STACK, procedure, board, NOW, TradingState.TRADING)


def text(lines: tuple[Spans, ...]) -> str:
    return "\n".join("".join(span.text for span in line) for line in lines)


@given(height=st.integers(min_value=18, max_value=60), width=st.integers(min_value=73, max_value=101))
def test_it_fits_the_room_there_is_and_keeps_a_line_about_everything(height: int, width: int) -> None:
    lines = plan_lines(ask(scenes.failed(NOW)), width, height)
    assert len(lines) <= height
    told = text(lines)
    assert max(width_of(line.rstrip()) for line in told.splitlines()) <= width
    for label in (
        "Class",
        "Effect",
        "State now",
        "Open orders",
        "Targets",
        "Steps",
        "Proof",
        "Know that",
        "Undo",
    ):
        assert label in told
    assert "If it fails" in told


def test_with_room_enough_nothing_is_cut() -> None:
    told = text(plan_lines(ask(world.fresh(NOW)), 100, 60))
    assert "…" not in told
    for line in HALT.fallback.splitlines():
        assert line.strip() in told


def test_a_word_too_many_is_cut_where_one_sees_it() -> None:
    long = replace(HALT, fallback="\n".join(f"step {n}" for n in range(40)))
    lines = plan_lines(ask(world.fresh(NOW), long), 76, 20)
    assert "step 0 …" in text(lines)


@given(height=st.integers(min_value=18, max_value=40), width=st.integers(min_value=73, max_value=137))
def test_the_first_command_by_hand_and_what_is_left_stay_whole_when_it_is_tight(
    height: int, width: int
) -> None:
    steps = tuple(replace(HALT.steps[0], id=f"s{n}", title=f"Stop part {n} of the desk") for n in range(14))
    left = ("Open orders stay at the broker and can still fill until somebody cancels them there.", "More.")
    by_hand = "By hand, if it is undone or ignored, only 1 helps; else:\n1. docker stop one two\n2. curl it"
    it = replace(HALT, steps=steps, will_not=left, fallback=by_hand)
    told = " ".join(text(plan_lines(ask(world.fresh(NOW), it), width, height)).split())
    assert "only 1 helps; else: 1. docker stop one two" in told
    assert left[0] in told


@pytest.mark.parametrize(
    ("rows", "said"),
    [((), "for none now"), ((("AAPL",),), "for one now, AAPL"), ((("A",), ("B",)), "for 2 now, A, B")],
)
def test_a_repeated_step_says_for_how_many_in_plain_words(
    rows: tuple[tuple[str, ...], ...], said: str
) -> None:
    each = Each("orders.list", ("symbol",))
    step = replace(HALT.steps[0], title="Cancel all in $symbol", each=each)
    board = world.fresh(NOW)
    table = Table(("symbol",), rows, len(rows))
    reading = replace(board.readings["orders.open"], value=table)
    board = replace(board, readings={**board.readings, "orders.list": reading})
    told = text(plan_lines(ask(board, replace(HALT, steps=(step,))), 100, 60))
    assert f"1. Cancel all in SYMBOL: {said}" in told


def test_a_procedure_that_cannot_be_undone_says_so() -> None:
    assert "not reversible" in text(
        plan_lines(ask(world.fresh(NOW), replace(HALT, reversible_by=None)), 76, 40)
    )


def test_the_second_step_says_when_it_starts() -> None:
    assert "beside it if not proved in 0.5 s" in text(plan_lines(ask(world.fresh(NOW)), 100, 60))


@pytest.mark.parametrize("verdict", [it for it in Verdict if it not in (Verdict.VERIFIED, Verdict.ALREADY)])
def test_whatever_is_not_proved_is_not_stopped(verdict: Verdict) -> None:
    run = scenes.run(NOW, verdict)
    assert "NOT STOPPED" in failure_word(HALT, run)
    told = text(failure_lines(HALT, run, 76))
    assert "DO THIS BY HAND" in told
    for line in HALT.fallback.splitlines():
        assert line.strip() in told


def test_what_is_not_stopped_says_whom_to_call() -> None:
    run = scenes.run(NOW, Verdict.FAILED)
    assert "Phone the venue or broker: +1 555 0100" in text(failure_lines(HALT, run, 76, "+1 555 0100"))
    assert "printed card" in text(failure_lines(HALT, run, 76))


def test_the_way_by_hand_is_named_once_and_broken_at_spaces() -> None:
    long = " ".join(f"container_number_{n}" for n in range(12))
    told = text(failure_lines(replace(HALT, fallback=f"By hand: docker stop {long}"), None, 76))
    assert "By hand" not in told
    first, *rest = told[told.index("   docker stop") :].splitlines()[:4]
    assert all(len(each) <= 76 and each.startswith("     container_number_") for each in rest)
    assert " ".join(" ".join([first, *rest]).split()) == f"docker stop {long}"


def test_other_classes_have_their_own_word() -> None:
    assert failure_word(replace(HALT, risk=RiskClass.RESTORE), None) == "NOT DONE"


def test_after_ten_seconds_the_way_by_hand_stands_beside_the_progress() -> None:
    run = scenes.run(NOW)
    assert "DO THIS BY HAND" not in text(progress_lines(HALT, run, 9.0, 76))
    assert "DO THIS BY HAND" in text(progress_lines(HALT, run, 10.0, 76))


def test_an_engine_that_never_takes_it_up_counts_as_lost() -> None:
    assert not is_lost(None, 4.9)
    assert is_lost(None, 5.0)
    assert not is_lost(scenes.run(NOW), 500.0)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((StepState.FAILED, StepState.SKIPPED), "not begun: step 1 was not proved"),
        ((StepState.UNKNOWN, StepState.SKIPPED), "not begun: step 1 was not proved"),
        ((StepState.VERIFIED, StepState.SKIPPED), "not begun: the run was ended before it"),
        ((StepState.SKIPPED, StepState.SKIPPED), "not begun: the run was ended before it"),
    ],
)
def test_a_step_that_was_not_begun_says_after_what(states: tuple[StepState, ...], said: str) -> None:
    resume = replace(HALT, risk=RiskClass.RESTORE)
    told = text(failure_lines(resume, scenes.run(NOW, Verdict.FAILED, states=states), 110))
    assert told.count(said) == states.count(StepState.SKIPPED)


def test_a_dry_run_begins_nothing_and_says_so_of_no_single_step() -> None:
    resume = replace(HALT, risk=RiskClass.RESTORE)
    skipped = (StepState.SKIPPED, StepState.SKIPPED)
    told = text(failure_lines(resume, scenes.run(NOW, Verdict.DRY_RUN, states=skipped), 110))
    assert "not begun" not in told


@pytest.mark.parametrize("name", sorted(built_in()))
def test_every_proof_of_every_stack_says_what_must_be_read(name: str) -> None:
    stack = load_stack(built_in()[name])
    for procedure in stack.procedures.values():
        told = proof_text(stack, procedure, {})
        assert "reads  within" not in told and "reads , " not in told, procedure.id


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (Proof("loss", equals=("1",)), "loss reads 1 within 1 s"),
        (Proof("loss", at_least=3), "loss: at least 3 within 1 s"),
        (Proof("loss", at_least=1, where={"id": "7"}), "loss: at least 1 (7) within 1 s"),
        (Proof("loss", at_most=0, where={"at": ">$unix"}), "loss: none left (at >now) within 1 s"),
        (Proof("loss", at_least=1, is_missing=True), "loss: at least 1, or is missing within 1 s"),
        (Proof("loss", at_most=0), "loss: none left within 1 s"),
        (Proof("loss", is_missing=True), "loss is missing within 1 s"),
        (Proof("loss", is_newer=True), "loss is newer than the step within 1 s"),
        (Proof("loss", equals=("done",), is_newer=True), "loss reads done, made since within 1 s"),
        (Proof("loss", kept="first"), "loss: no fewer than before within 1 s"),
    ],
)
def test_what_a_proof_asks_for_is_a_sentence(proof: Proof, said: str) -> None:
    step = replace(HALT.steps[0], proof=(proof,))
    told = proof_text(building.stack(), replace(HALT, steps=(step,)), {})
    assert told == f"read back over another connection: {said}"
