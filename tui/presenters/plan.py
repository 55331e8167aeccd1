"""What a dialog says before anything is done: to what, in which state, how, how proved, and what if not."""

from __future__ import annotations

from dataclasses import dataclass

from backends.model.action import HttpCall, aim
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure, RiskClass, Step
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.trading import TradingState
from tui.presenters import words
from tui.presenters.block import block, line, listing
from tui.presenters.state import trading_now
from widgets.cells import fit
from widgets.glyphs import TRADING
from widgets.roles import Role
from widgets.span import Span, Spans, spans_width

RULES = {
    RiskClass.STOP: "STOP: two keys, blocked by nothing, goes on past errors",
    RiskClass.MARKET: "MARKET: moves the market; a challenge is typed",
    RiskClass.DEGRADE: "DEGRADE: loses data or service; the name is typed",
    RiskClass.RESTORE: "RESTORE: all preconditions, a phrase, a reason",
    RiskClass.ROUTINE: "ROUTINE: no effect on trading or data",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A procedure about to be confirmed, with the board it is judged by."""

    stack: Stack
    procedure: Procedure
    board: Board
    now: Instant
    opened_in: TradingState
    """The trading state when the dialog was opened."""


def plan_lines(it: Question, width: int, height: int) -> tuple[Spans, ...]:
    """Everything about the procedure in ``height`` lines where that can be; what is cut ends in ``…``.

    Where even the first line of everything does not fit there are more lines, and the panel scrolls.
    """
    return tuple(squeeze(_sections(it, width), width, height))


@dataclass(frozen=True, slots=True)
class Section:
    """Lines about one thing. ``gives`` says who is shortened first: the highest. Its first lines stay."""

    lines: list[Spans]
    gives: int
    least: int = 1


def squeeze(sections: list[Section], width: int, height: int) -> list[Spans]:
    """The sections in their order, shortened line by line until they fit, never below their least."""
    lengths = [len(section.lines) for section in sections]
    while sum(lengths) > height:
        spare = [n for n, section in enumerate(sections) if lengths[n] > section.least]
        if not spare:
            break
        lengths[max(spare, key=lambda n: (sections[n].gives, n))] -= 1
    lines: list[Spans] = []
    for section, length in zip(sections, lengths, strict=True):
        kept = section.lines[:length]
        if kept and length < len(section.lines):
            kept[-1] = _cut(kept[-1], width)
        lines += kept
    return lines


def _cut(spans: Spans, width: int) -> Spans:
    last = spans[-1]
    room = width - spans_width(spans[:-1])
    return (*spans[:-1], Span(SafeText(fit(f"{last.text} …", min(room, len(last.text) + 2))), last.role))


def _sections(it: Question, width: int) -> list[Section]:
    procedure = it.procedure
    steps = [
        Section(block("Steps" if n == 0 else "", text, width), 5) for n, text in enumerate(_steps(procedure))
    ]
    targets = [
        Section(block("Targets" if n == 0 else "", target(it.stack, step), width), 4)
        for n, step in enumerate(procedure.steps)
    ]
    will_not = [
        Section(block("Will NOT" if n == 0 else "", text, width, "strong"), 6)
        for n, text in enumerate(procedure.will_not or ("nothing named",))
    ]
    note = [Section(block("Note", procedure.note, width, "accent"), 9, least=0)] if procedure.note else []
    return [
        Section(block("Class", RULES[procedure.risk], width), 7),
        Section(block("Effect", procedure.summary, width, "strong"), 2),
        *_state(it, width),
        *_facts(it, width),
        *targets,
        *steps,
        Section(block("Proof", proof_text(it.stack, procedure), width), 3),
        *will_not,
        Section(block("Undo", _undo(it), width), 7),
        *note,
        Section(listing("If it fails", tuple(procedure.fallback.splitlines()), width), 8),
    ]


def brief_lines(it: Question, width: int) -> list[Spans]:
    """What decides, for a terminal too small for more: what, where, the state, what will not happen."""
    trading = trading_now(it.board, it.now)
    sign = TRADING[trading.state]
    return [
        (
            Span(SafeText(f"{it.procedure.title} "), "strong"),
            Span(SafeText(it.board.environment.value), "accent"),
        ),
        (Span(SafeText(f"{sign.label} "), sign.role), Span(SafeText(_read(trading.age)), "muted")),
        line(f"will not {'; '.join(it.procedure.will_not)}"[: 3 * width]),
    ]


def _read(age: float | None) -> str:
    return "not read yet" if age is None else f"read {words.age(age)} ago"


def _state(it: Question, width: int) -> list[Section]:
    trading = trading_now(it.board, it.now)
    sign = TRADING[trading.state]
    text = f"{sign.label}, {_read(trading.age)}"
    if trading.state is not it.opened_in:
        text += f"; it was {it.opened_in.value} when this was opened"
    gates = ", ".join(f"{gate.label} {gate.raw or '?'}" for gate in it.board.trading.gates)
    return [
        Section(block("State now", text, width, sign.role), 1),
        *([Section(block("", gates, width, "muted"), 3)] if gates else []),
    ]


def _facts(it: Question, width: int) -> list[Section]:
    """What the procedure wants seen, but for the gates: the line above has them."""
    gates = {gate.fact for gate in it.board.trading.gates}
    sections = []
    for ident in it.procedure.shows:
        fact = it.stack.facts.get(ident)
        if fact is not None and ident not in gates:
            text, role = _fact_text(it, ident)
            sections.append(Section(block(_capital(fact.label), text, width, role), 5))
    return sections


def _fact_text(it: Question, ident: str) -> tuple[str, Role]:
    """A value with its age, or UNKNOWN, why, and what it last was."""
    fact, reading = it.stack.facts[ident], it.board.readings.get(ident)
    if reading is not None and words.is_current(reading, it.now):
        if reading.outcome is Outcome.MISSING:
            return fact.missing_note or "none: the source says there is no such thing", "text"
        return f"{words.shown(fact, reading.value, it.now)}, {_read(reading.age(it.now))}", "text"
    text = f"UNKNOWN: {words.outcome(reading, it.now)}"
    if reading is not None and reading.error is not None:
        text += f", {reading.error}"
    good = None if reading is None else reading.kept(it.now)
    if good is not None:
        text += f"; was {words.shown(fact, good.value, it.now)} {words.age(it.now.since(good.at))} ago"
    return text, "state-unknown"


def target(stack: Stack, step: Step) -> str:
    """What a step acts on, by address and identity."""
    action = step.action
    source = stack.sources.get(action.source)
    if source is None:
        return aim(action)
    if isinstance(action, HttpCall):
        return f"{action.method} {source.url}{action.path}"
    return f"{source.url}  {aim(action)}"


def _steps(procedure: Procedure) -> list[str]:
    texts = []
    for number, step in enumerate(procedure.steps, 1):
        when = "at once" if step.after == 0 else f"beside it if not proved in {step.after:g} s"
        texts.append(f"{number}. {step.title}, {when}")
    return texts


def proof_text(stack: Stack, procedure: Procedure) -> str:
    """What has to be read back before it counts as done."""
    seen: dict[str, None] = {}
    for step in procedure.steps:
        for proof in step.proof:
            fact = stack.facts.get(proof.fact)
            label = proof.fact if fact is None else fact.label
            seen[f"{label} reads {' or '.join(proof.equals)} within {proof.within:g} s"] = None
    return "read back over another connection: " + "; ".join(seen)


def _undo(it: Question) -> str:
    ident = it.procedure.reversible_by
    if ident is None:
        return "not reversible from here"
    known = it.stack.procedures.get(ident)
    return f"by {known.title if known else ident}, which asks for preconditions, a phrase and a reason"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
