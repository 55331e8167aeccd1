"""What a dialog says before anything is done: to what, in which state, how, how proved, and what if not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from backends.model.action import Attest, HttpCall, Observe, Wait, aim
from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.fact import Table
from backends.model.procedure import Procedure, Proof, RiskClass, Step
from backends.model.reading import Outcome
from backends.model.row import repetitions
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.substitution import RESERVED, fill, names_in
from backends.model.trading import TradingState
from tui.presenters import words
from tui.presenters.block import block, flow, line, listing
from tui.presenters.checks import NO_CHECKS, Checks, check_sections
from tui.presenters.squeeze import Section, least, squeeze
from tui.presenters.state import trading_now
from widgets.glyphs import TRADING
from widgets.roles import Role
from widgets.span import Span, Spans

RULES = {
    RiskClass.STOP: "STOP: two keys, blocked by nothing, goes on past errors",
    RiskClass.MARKET: "MARKET: moves the market; a challenge is typed",
    RiskClass.DEGRADE: "DEGRADE: loses data or service; the name is typed",
    RiskClass.RESTORE: "RESTORE: all preconditions, a phrase, a reason",
    RiskClass.ROUTINE: "ROUTINE: no effect on trading or data",
}

_ALONE = "RESTORE in SINGLE-OPERATOR MODE: nobody else is asked"

NO_PARAMS: Mapping[str, str] = {}


class Question(Struct, frozen=True):
    """A procedure about to be confirmed, with the board it is judged by."""

    stack: Stack
    procedure: Procedure
    board: Board
    now: Instant
    opened_in: TradingState
    """The trading state when the dialog was opened."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What was chosen; no secret among it."""
    checks: Checks = NO_CHECKS


def plan_lines(it: Question, width: int, height: int) -> tuple[Spans, ...]:
    """Everything about the procedure in ``height`` lines where that can be; what is cut ends in ``…``.

    A procedure of many parts has them packed where there is no line for each. Where even the first line
    of everything does not fit there are more lines, and the panel scrolls.
    """
    sections = list(_sections(it, width, is_dense=False))
    if least(sections) > height:
        sections = list(_sections(it, width, is_dense=True))
    return tuple(squeeze(sections, width, height))


def _sections(it: Question, width: int, *, is_dense: bool) -> Iterator[Section]:
    procedure = it.procedure
    yield Section(block("Class", _rule(it), width), 7)
    yield Section(block("Effect", procedure.summary, width, "strong"), 2)
    if it.params:
        yield Section(block("Chosen", _chosen(it), width, "strong"), 2)
    yield from _state(it, width, is_dense=is_dense)
    yield from _facts(it, width, is_dense=is_dense)
    yield from check_sections(it.checks, it.stack, it.board, it.now, width, is_dense=is_dense)
    yield from _parts("Targets", _targets(it), 4, width, is_dense=is_dense)
    steps = _steps(it, is_dense=is_dense)
    # Of a stop the way by hand comes before the last of its steps.
    kept = 0 if procedure.risk is RiskClass.STOP else len(steps)
    yield from _parts("Steps", steps, 1 if is_dense else 5, width, is_dense=is_dense, stays=3, keeps=kept)
    yield Section(block("Proof", proof_text(it.stack, procedure, it.params), width), 3)
    yield from _parts(words.KNOW, _left_so(it), 6, width, is_dense=is_dense, role="strong", keeps=1)
    yield from _parts("Beware", procedure.warnings, 6, width, is_dense=is_dense, role="state-warn")
    yield Section(block("Undo", _undo(it), width), 7)
    if procedure.note:
        yield Section(block("Note", procedure.note, width, "accent"), 9, least=0)
    by_hand = tuple(procedure.fallback.splitlines()) or ("nothing has to be done by hand",)
    keeps = len(listing("", _first(by_hand), width))
    yield Section(listing("If it fails", by_hand, width), 8, keeps=keeps)


def _first(texts: tuple[str, ...]) -> tuple[str, ...]:
    """What is done first, with the words before it: a command without them may be the wrong one."""
    number = next((n for n, text in enumerate(texts) if not text.endswith(":")), 0)
    command = texts[number].partition("; ")[0].partition(". Then ")[0]
    return (*texts[:number], command)


def _left_so(it: Question) -> tuple[str, ...]:
    """What it leaves as it is, or loses."""
    return it.procedure.will_not or ("nothing named",)


def _parts(
    label: str,
    texts: tuple[str, ...],
    gives: int,
    width: int,
    *,
    is_dense: bool,
    role: Role = "text",
    stays: int = 1,
    keeps: int = 0,
) -> Iterator[Section]:
    """Each text on lines of its own, or all in one flow, of which so many lines stay. The first texts are
    kept whole, so many."""
    if is_dense and texts:
        lines = flow(label, [line(text, role) for text in texts], width)
        whole = len(flow(label, [line(text) for text in texts[:keeps]], width))
        yield Section(lines, gives, min(stays, len(lines)), whole)
        return
    for number, text in enumerate(texts):
        lines = block(label if number == 0 else "", text, width, role)
        yield Section(lines, gives, keeps=len(lines) if number < keeps else 1)


def brief_lines(it: Question, width: int) -> list[Spans]:
    """What decides, for a terminal too small for more: what, where, the state, what it leaves."""
    trading = trading_now(it.board, it.now)
    sign = TRADING[trading.state]
    return [
        (
            Span(SafeText(f"{it.procedure.title} "), "strong"),
            Span(SafeText(it.board.environment.value), "accent"),
        ),
        (Span(SafeText(f"{sign.label} "), sign.role), Span(SafeText(_read(trading.age)), "muted")),
        line(f"{words.KNOW.lower()}: {' '.join(_left_so(it))}"[: 3 * width]),
    ]


def _rule(it: Question) -> str:
    is_alone = it.procedure.needs_approval and it.stack.is_single_operator
    return _ALONE if is_alone else RULES[it.procedure.risk]


def _chosen(it: Question) -> str:
    labels = {param.name: param.label for param in it.procedure.params}
    return ", ".join(f"{labels.get(name, name)} {value}" for name, value in it.params.items())


def _read(age: float | None) -> str:
    return "not read yet" if age is None else f"read {words.age(age)} ago"


def _state(it: Question, width: int, *, is_dense: bool) -> Iterator[Section]:
    trading = trading_now(it.board, it.now)
    sign = TRADING[trading.state]
    text = f"{sign.label}, {_read(trading.age)}"
    if trading.state is not it.opened_in:
        text += f"; it was {it.opened_in.value} when this was opened"
    gates = ", ".join(f"{gate.label} {gate.raw or '?'}" for gate in it.board.trading.gates)
    if is_dense:
        yield Section(flow("State now", [line(text, sign.role), line(gates, "muted")], width), 3)
        return
    yield Section(block("State now", text, width, sign.role), 1)
    if gates:
        yield Section(block("", gates, width, "muted"), 3)


def _facts(it: Question, width: int, *, is_dense: bool) -> Iterator[Section]:
    """What the procedure wants seen, but for the gates: the line above has them. The challenge is first."""
    gates = {gate.fact for gate in it.board.trading.gates}
    first = () if it.procedure.challenge is None else (it.procedure.challenge,)
    found: list[tuple[str, str, Role]] = []
    for ident in dict.fromkeys((*first, *it.procedure.shows)):
        fact = it.stack.facts.get(ident)
        if fact is not None and ident not in gates:
            text, role = fact_text(it.stack, it.board, it.now, ident, is_dense=is_dense)
            found.append((_capital(fact.label), text, role))
    if is_dense:
        items: list[Spans] = [
            (Span(SafeText(f"{label} "), "muted"), Span(SafeText(text), role)) for label, text, role in found
        ]
        if items:
            yield Section(flow("Values now", items, width), 5)
        return
    for label, text, role in found:
        yield Section(block(label, text, width, role), 5)


def fact_text(
    stack: Stack, board: Board, now: Instant, ident: str, *, is_dense: bool = False
) -> tuple[str, Role]:
    """A value with its age, or UNKNOWN, why, and what it last was."""
    fact, reading = stack.facts[ident], board.readings.get(ident)
    if reading is not None and words.is_current(reading, now):
        if reading.outcome is Outcome.MISSING:
            return fact.missing_note or "none: the source says there is no such thing", "text"
        age = words.outcome(reading, now) if is_dense else _read(reading.age(now))
        return f"{words.shown(fact, reading.value, now)}, {age}", "text"
    text = f"UNKNOWN: {words.outcome(reading, now)}"
    if reading is not None and reading.error is not None:
        text += f", {reading.error}"
    good = None if reading is None else reading.kept(now)
    if good is not None:
        text += f"; was {words.shown(fact, good.value, now)} {words.age(now.since(good.at))} ago"
    return text, "state-unknown"


def _targets(it: Question) -> tuple[str, ...]:
    """What is acted on, each once."""
    idle = (Attest, Observe, Wait)
    acting = (step for step in it.procedure.steps if not isinstance(step.action, idle))
    texts = (target(it.stack, step, it.params) for step in acting)
    return tuple(dict.fromkeys(texts)) or ("nothing: it only waits and looks",)


def target(stack: Stack, step: Step, params: Mapping[str, str] = NO_PARAMS) -> str:
    """What a step acts on, by address and identity."""
    action = step.action
    source = stack.sources.get(action.source)
    if source is None:
        return _put(aim(action), params)
    if isinstance(action, HttpCall):
        return _put(f"{action.method} {source.url}{action.path}", params)
    return _put(f"{source.url}  {aim(action)}", params)


def _steps(it: Question, *, is_dense: bool) -> tuple[str, ...]:
    is_stop = it.procedure.risk is RiskClass.STOP
    texts = []
    for number, step in enumerate(it.procedure.steps, 1):
        text = f"{number}. {_put(step.title, it.params)}"
        if step.each is not None:
            text += _rows(it, step)
        if is_dense:
            text += f", after {step.after:g} s" if is_stop and step.after else ""
        elif is_stop:
            text += ", at once" if step.after == 0 else f", beside it if not proved in {step.after:g} s"
        elif isinstance(step.action, Wait):
            text += f", {step.action.seconds:g} s"
        texts.append(text)
    return tuple(texts)


def _rows(it: Question, step: Step) -> str:
    """For a step that is repeated: for how many, and the first of them."""
    if step.each is None:
        return ""
    reading = it.board.readings.get(step.each.fact)
    table = None if reading is None else reading.value
    wanted = {column: _put(text, it.params) for column, text in step.each.where.items()}
    try:
        rows = repetitions(step.each, table, wanted) if isinstance(table, Table) else None
    except KeyError:
        rows = None
    if rows is None:
        return ", for each row that is read then: UNKNOWN now"
    names = list(dict.fromkeys(row[0] for row in rows))
    more = " …" if len(names) > 6 else ""
    number = {0: "none", 1: "one"}.get(len(names), str(len(names)))
    return f": for {number} now" + (f", {', '.join(names[:6])}{more}" if names else "")


def proof_text(stack: Stack, procedure: Procedure, params: Mapping[str, str] = NO_PARAMS) -> str:
    """What has to be read back before it counts as done."""
    proofs = (proof for step in procedure.steps for proof in step.proof)
    seen = dict.fromkeys(_proof(stack, proof, params) for proof in proofs)
    return "read back over another connection: " + "; ".join(seen)


def _proof(stack: Stack, proof: Proof, params: Mapping[str, str]) -> str:
    fact = stack.facts.get(proof.fact)
    label = _put(proof.fact.removeprefix("service:"), params) if fact is None else fact.label
    wanted = _wanted(proof, params)
    anew = ", started anew" if proof.is_restarted else ""
    twice = f", {proof.reads} times" if proof.reads > 1 else ""
    return f"{label}{wanted}{anew}{twice} within {proof.within:g} s"


def _wanted(proof: Proof, params: Mapping[str, str]) -> str:
    """What the fact must say, as it goes on after its name."""
    where = ", ".join(_meant(name, text, params) for name, text in proof.where.items())
    limits = []
    if proof.at_least is not None:
        limits.append(f"at least {proof.at_least:g}")
    if proof.at_most is not None:
        limits.append("none left" if proof.at_most == 0 else f"at most {proof.at_most:g}")
    if proof.kept is not None and not limits:
        limits.append("no fewer than before")
    missing = ", or is missing" if proof.is_missing else ""
    if proof.equals:
        newer = ", made since" if proof.is_newer else ""
        return f" reads {' or '.join(_put(word, params) for word in proof.equals)}{newer}{missing}"
    if limits:
        return f": {' and '.join(limits)}{f' ({where})' if where else ''}{missing}"
    if proof.is_newer:
        return " is newer than the step"
    return " is missing" if proof.is_missing else " answers"


def _meant(column: str, text: str, params: Mapping[str, str]) -> str:
    """Which rows are meant: what the column reads, or the column and its bound."""
    said = _put(text, params).replace("$unix", "now")
    return f"{column} {said}" if said.startswith(("<", ">")) else said


def _undo(it: Question) -> str:
    ident = it.procedure.reversible_by
    if ident is None:
        return "not reversible from here"
    known = it.stack.procedures.get(ident)
    title = known.title if known else ident
    if known is not None and known.risk is RiskClass.STOP:
        return f"by {title}, two keys"
    return f"by {title}, which asks for preconditions, a phrase and a reason"


def _put(template: str, params: Mapping[str, str]) -> str:
    """Chosen values in place of their names; a row's own names become ``SYMBOL``, as in commands by hand."""
    names = names_in(template)
    values = {name: params.get(name, name.replace("_", "-").upper()) for name in names - RESERVED}
    values |= {name: f"${name}" for name in names & RESERVED}
    return str(fill(template, values)) if names else template


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
