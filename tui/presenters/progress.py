"""A procedure under way and ended, in words: what was done, what was proved, what to do if it was not."""

from __future__ import annotations

from collections.abc import Mapping

from backends.model.action import Attest
from backends.model.procedure import Procedure, RiskClass, Run, StepState, Verdict
from backends.model.safetext import SafeText
from tui.presenters import words
from tui.presenters.block import block, line, listing
from tui.presenters.standing import Standing
from tui.presenters.state import is_held, is_proved
from widgets.cells import fit
from widgets.glyphs import VERDICT
from widgets.roles import Role
from widgets.span import Span, Spans, wrap
from widgets.step_list import run_lines, step_lines

NO_ANSWER = 5.0
"""Seconds after which a procedure the engine has not taken up counts as not done."""

_HANGING = 5
"""Cells before what goes on from the line above; a new text begins two cells to the left of it."""

LONG = 10.0
"""Seconds of running after which the way by hand is shown beside it."""

_NO_LONGER: Mapping[Standing, tuple[str, Role]] = {
    Standing.UNDONE: ("NOT in force now", "badge-bad"),
    Standing.UNKNOWN: ("in force now: UNKNOWN", "badge-unknown"),
    Standing.RELEASED: ("released since", "muted"),
}
"""In place of the verdict, of a halt that was proved once."""


def is_lost(run: Run | None, waited: float) -> bool:
    """Whether the engine never took it up."""
    return run is None and waited >= NO_ANSWER


def progress_lines(
    procedure: Procedure, run: Run | None, waited: float, width: int, phone: str = ""
) -> tuple[Spans, ...]:
    """The steps as they stand ``waited`` seconds after the confirmation."""
    lines: list[Spans] = [line(f" {procedure.title}: running for {words.span(waited)}", "strong"), ()]
    if run is None:
        lines.append(line(" Handed to the engine; it has not answered yet.", "state-unknown"))
    else:
        lines += waiting_lines(procedure, run, width)
        lines += [_indented(it) for it in run_lines(run, left_out(procedure, run))]
    if waited >= LONG:
        lines += [(), *by_hand(procedure, width, phone)]
    return tuple(lines)


def waiting_lines(procedure: Procedure, run: Run, width: int) -> list[Spans]:
    """What a person has to confirm now; none while nothing waits."""
    step = next((step for step in procedure.steps if step.id == run.awaits), None)
    if step is None:
        return []
    what = step.action.text if isinstance(step.action, Attest) else step.title
    note = f"It waits {words.span(step.deadline)} at most, then ends here with the next steps not done."
    return [
        (Span(SafeText(" WAITING FOR YOU "), "badge-warn"), Span(SafeText(f" {step.title}"), "strong")),
        *block("Confirm", what, width, "strong"),
        *block("", note, width, "muted"),
        (),
    ]


def ended_lines(
    procedure: Procedure, run: Run | None, width: int, phone: str = "", now_is: Standing = Standing.HOLDS
) -> tuple[Spans, ...]:
    """A run that has ended, or that the engine never took up. ``phone`` is the venue's; ``now_is`` is what
    became of a halt that was proved."""
    if run is not None and is_held(run):
        return verdict_lines(procedure, run, width, now_is)
    if run is not None and run.verdict is Verdict.REFUSED and procedure.risk is not RiskClass.STOP:
        return refusal_lines(procedure, run, width)
    return failure_lines(procedure, run, width, phone)


def refusal_lines(procedure: Procedure, run: Run, width: int) -> tuple[Spans, ...]:
    """It was not begun: why, one reason each. Nothing is to be done by hand about that."""
    lines: list[Spans] = list(_shout("REFUSED: NOTHING WAS SENT", width, "badge-warn"))
    lines += block("Asked for", procedure.title, width, "strong")
    reasons = tuple(str(each) for each in run.blockers) or (str(run.sentence),)
    lines += listing("Because", reasons, width, "strong")
    lines += [(), *block("What now", "mend what is named, then open the dialog anew", width)]
    return tuple(lines)


def verdict_lines(
    procedure: Procedure, run: Run, width: int, now_is: Standing = Standing.HOLDS
) -> tuple[Spans, ...]:
    """A verdict that is proved, or written at least: the sentence first, then how it went."""
    sign = VERDICT[run.verdict or Verdict.FAILED]
    rung = f"  via rung {run.rung}" if run.rung is not None and run.rung > 1 else ""
    head: Spans = (
        Span(SafeText(f" {sign.label}"), sign.role),
        Span(SafeText(f"  {procedure.done or procedure.title}{rung}"), "strong"),
    )
    if now_is is not Standing.HOLDS:
        word, role = _NO_LONGER[now_is]
        was = f" {procedure.title} was {sign.word}{rung}"
        head = (Span(SafeText(f" {word} "), role), Span(SafeText(was), "strong"))
    lines: list[Spans] = [head, line(f" {run.sentence}", "strong"), ()]
    lines += [_indented(it) for it in step_lines(run.steps, left_out(procedure, run))]
    lines.append(())
    lines += listing(words.KNOW, procedure.will_not, width)
    if run.journal_degraded:
        lines += block("Journal", "could not be written: note this action by hand", width, "state-bad")
    return tuple(lines)


def failure_lines(procedure: Procedure, run: Run | None, width: int, phone: str = "") -> tuple[Spans, ...]:
    """Not proved: said as loudly as a terminal can, with what is left to do by hand."""
    lines: list[Spans] = list(_shout(failure_word(procedure, run), width))
    if run is None:
        lines += block("Verdict", "the engine did not take it up", width, "state-bad")
    else:
        verdict = run.verdict or Verdict.FAILED
        lines += block("Verdict", VERDICT[verdict].label, width, VERDICT[verdict].role)
        lines += block("Because", run.sentence or "no reason given", width, "strong")
    lines += [(), *by_hand(procedure, width, phone), ()]
    if run is not None:
        lines += [_indented(it) for it in step_lines(run.steps, left_out(procedure, run))]
    return tuple(lines)


def failure_word(procedure: Procedure, run: Run | None) -> str:
    """The two or three words across the screen."""
    if procedure.risk is not RiskClass.STOP:
        return procedure.not_done or "NOT DONE"
    if run is not None and run.verdict is Verdict.UNCONFIRMED:
        word = "NOT CONFIRMED: TREAT AS NOT STOPPED"
    elif run is not None and run.verdict is Verdict.PARTIAL:
        word = "NOT STOPPED, OR ONLY IN PART"
    else:
        word = "NOT STOPPED"
    return f"{word}: {procedure.not_done}" if procedure.not_done else word


def by_hand(procedure: Procedure, width: int, phone: str) -> list[Spans]:
    """The fallback, whole, and whom to call. Leaving the room prints it once more, to be copied."""
    lines: list[Spans] = [line(" DO THIS BY HAND", "accent")]
    texts = procedure.fallback.removeprefix("By hand, ").removeprefix("By hand: ").splitlines()
    if procedure.risk in (RiskClass.STOP, RiskClass.MARKET):
        number = phone or "by the printed card; venue_phone in the configuration puts it here"
        texts.append(f"Phone the venue or broker: {number}")
    for text in texts:
        parts = wrap(line(text, "strong"), max(8, width - _HANGING - 1))
        indents = (_HANGING - 2, *(_HANGING for _ in parts[1:]))
        lines += [(*line(" " * cells), *part) for cells, part in zip(indents, parts, strict=True)]
    return lines


def left_out(procedure: Procedure, run: Run) -> dict[str, str]:
    """Why steps were left out, by their ids: of a stop because it was so already, and by what; of others
    after which step the run ended."""
    if run.verdict is Verdict.DRY_RUN:
        return {}
    skipped = [step for step in run.steps if step.state is StepState.SKIPPED]
    if procedure.risk is not RiskClass.STOP:
        first = next((number for number, step in enumerate(run.steps) if step in skipped), 0)
        is_missed = first > 0 and run.steps[first - 1].state in (StepState.FAILED, StepState.UNKNOWN)
        why = f"step {first} was not proved" if is_missed else "the run was ended before it"
        return {step.step: f"not begun: {why}" for step in skipped}
    facts = {step.id: {proof.fact for proof in step.proof} for step in procedure.steps}
    proved = [
        (number, facts.get(step.step, set()))
        for number, step in enumerate(run.steps, 1)
        if step.state is StepState.VERIFIED
    ]
    found = {}
    for step in skipped:
        ours = facts.get(step.step, set())
        by = next((number for number, theirs in proved if ours & theirs), None)
        found[step.step] = "not needed" if by is None else f"not needed: proved already by step {by}"
    return found


def notice_line(run: Run, width: int, now_is: Standing = Standing.HOLDS) -> Spans:
    """One line for the main screen: a run under way, or a verdict nobody has taken note of.

    ``now_is`` is what became of a halt that was proved: only one that holds looks like it.
    """
    title = run.title.partition(":")[0]
    where = ""
    if run.room:
        title = run.title.partition(": ")[2].partition(":")[0] or run.title
        title, where = f"{title} by {run.room}", "ELSEWHERE "
    if run.verdict is None:
        return _under_way(run, f"{title}{_step(run)}", width)
    sign = VERDICT[run.verdict]
    at = "" if run.ended is None else f" at {words.clock(run.ended.wall)}Z"
    text = f"{title}{at}" if run.room else f"{title}{at}: {run.sentence}"
    badge: tuple[str, Role] = (f"{where}{sign.label}", "badge-key" if is_proved(run) else sign.badge)
    if run.room:
        badge = (badge[0], "badge-warn")
    if now_is is not Standing.HOLDS:
        word, role = _NO_LONGER[now_is]
        badge = (f"{where}{word}", role)
        text = f"{title} was {sign.word}{at}"
    return _notice(*badge, text, "p shows it, a takes note", width)


def _under_way(run: Run, text: str, width: int) -> Spans:
    if run.room:
        since = f"{text}, since {words.clock(run.started.wall)}Z"
        return _notice("ELSEWHERE RUNNING", "badge-warn", since, "p shows the steps", width)
    if run.awaits is not None:
        title = run.title.partition(":")[0]
        return _notice("WAITING FOR YOU", "badge-warn", title, "p shows what to confirm", width)
    return _notice("RUNNING", "badge-key", text, "p shows the steps", width)


def _step(run: Run) -> str:
    """``: step 3 of 9, Stop the orchestrator``; nothing before the first one."""
    begun = [n for n, step in enumerate(run.steps, 1) if step.state is not StepState.PENDING]
    if not begun:
        return ""
    return f": step {begun[-1]} of {len(run.steps)}, {run.steps[begun[-1] - 1].title}"


def _notice(badge: str, role: Role, text: str, keys: str, width: int) -> Spans:
    """The badge and the keys are always there; the text gives way."""
    room = width - len(badge) - len(keys) - 7
    return (
        Span(SafeText(f" {badge} "), role),
        Span(SafeText(f" {fit(text, max(0, room))}  "), "strong"),
        Span(SafeText(keys), "accent"),
    )


def _shout(word: str, width: int, role: Role = "badge-bad") -> list[Spans]:
    room = max(1, width - 1)
    blank = line(" " * room, role)
    return [blank, line(f"{word:^{room}}"[:room], role), blank, ()]


def _indented(spans: Spans) -> Spans:
    return (Span(SafeText(" ")), *spans) if spans else spans
