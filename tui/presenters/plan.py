"""What a dialog says before anything is done: to what, in which state, how, how proved, and what if not."""

from __future__ import annotations

from dataclasses import dataclass

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.procedure import Procedure, RedisTransition, RiskClass, Step
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.trading import TradingState
from tui.presenters import words
from tui.presenters.block import block, line, listing
from tui.presenters.state import trading_now
from widgets.glyphs import TRADING
from widgets.roles import Role
from widgets.span import Span, Spans

RULES = {
    RiskClass.STOP: "STOP: two keys; nothing blocks it; its steps go on past errors",
    RiskClass.MARKET: "MARKET: moves the market; a challenge is typed",
    RiskClass.DEGRADE: "DEGRADE: loses data or service; the name is typed",
    RiskClass.RESTORE: "RESTORE: all preconditions, a phrase, a reason",
    RiskClass.ROUTINE: "ROUTINE: no effect on trading or data",
}

FULL_WIDTH = 72
FULL_HEIGHT = 16
"""Cells below which only what decides is said."""


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
    """Everything about the procedure in at most ``height`` lines; the fallback is cut first, and says so."""
    if width < FULL_WIDTH or height < FULL_HEIGHT:
        return tuple(_brief(it, width)[:height])
    must: list[Spans] = [
        *block("Class", RULES[it.procedure.risk], width),
        *block("Effect", it.procedure.summary, width, "strong"),
        *_state(it, width),
        *_facts(it, width),
        *listing("Targets", tuple(target(it.stack, step) for step in it.procedure.steps), width),
        *listing("Steps", tuple(_steps(it.procedure)), width),
        *block("Proof", proof_text(it.stack, it.procedure), width),
        *block("Will NOT", "; ".join(it.procedure.will_not) or "nothing named", width, "strong"),
        *block("Undo", _undo(it), width),
    ]
    if it.procedure.note:
        must += block("Note", it.procedure.note, width, "accent")
    fallback = listing("If it fails", tuple(it.procedure.fallback.splitlines()), width)
    return tuple(_cut(must, fallback, height))


def _cut(must: list[Spans], fallback: list[Spans], height: int) -> list[Spans]:
    """The fallback keeps at least its first line; what does not fit is announced, never just gone."""
    room = max(2, height - len(must))
    if len(fallback) > room:
        more = len(fallback) - room + 1
        fallback = [
            *fallback[: room - 1],
            line(f"{'':16}and {more} more lines, shown in full if it fails", "muted"),
        ]
    kept = must[: max(0, height - len(fallback))]
    if len(kept) < len(must):
        kept[-1:] = [line(" … the terminal is too low to say all; d shows everything", "state-warn")]
    return [*kept, *fallback]


def _brief(it: Question, width: int) -> list[Spans]:
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


def _state(it: Question, width: int) -> list[Spans]:
    trading = trading_now(it.board, it.now)
    sign = TRADING[trading.state]
    text = f"{sign.label}, {_read(trading.age)}"
    if trading.state is not it.opened_in:
        text += f"; it was {it.opened_in.value} when this was opened"
    lines = block("State now", text, width, sign.role)
    gates = ", ".join(f"{gate.label} {gate.raw or gate.because}" for gate in it.board.trading.gates)
    return lines + (block("", gates, width, "muted") if gates else [])


def _facts(it: Question, width: int) -> list[Spans]:
    lines: list[Spans] = []
    for ident in it.procedure.shows:
        fact = it.stack.facts.get(ident)
        if fact is None:
            continue
        text, role = _fact_text(it, ident)
        lines += block(_capital(fact.label), text, width, role)
    return lines


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
    source = stack.sources[action.source]
    if isinstance(action, RedisTransition):
        return f"{source.url}  key {action.key}"
    return f"{action.method} {source.url}{action.path}"


def _steps(procedure: Procedure) -> list[str]:
    texts = []
    for number, step in enumerate(procedure.steps, 1):
        when = "at once" if step.after == 0 else f"after {step.after:g} s without proof, at the same time"
        texts.append(f"{number}. {step.title} ({when})")
    return texts


def proof_text(stack: Stack, procedure: Procedure) -> str:
    """What has to be read back before it counts as done."""
    seen: dict[str, None] = {}
    for step in procedure.steps:
        for proof in step.proof:
            fact = stack.facts.get(proof.fact)
            label = proof.fact if fact is None else fact.label
            seen[f"{label} reads {' or '.join(proof.equals)} within {proof.within:g} s"] = None
    return "; ".join(seen) + ", over a connection of its own"


def _undo(it: Question) -> str:
    ident = it.procedure.reversible_by
    if ident is None:
        return "not reversible from here"
    known = it.stack.procedures.get(ident)
    return f"reversible: {known.title if known else ident}, with its own preconditions, phrase and reason"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
