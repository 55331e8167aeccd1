"""Checklists, checks and known failures as rows, and everything about one of them as lines."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final, Protocol

from backends.checks.attestation import began
from backends.model.check import Check, Checklist, Diagnosis
from backends.model.clock import Instant
from backends.model.examination import (
    Answer,
    Attestations,
    Examined,
    ItemState,
    Results,
    key_of,
    states,
    together,
)
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.stack import Stack
from tui.presenters import words
from tui.presenters.block import Field, laid_out, line
from tui.presenters.examination import (
    FOUND,
    OPEN,
    PASSED,
    age,
    confirmed,
    demanded,
    evidence,
    item_title,
    item_word,
    kept,
    label,
    mends,
    standing,
    why,
)
from widgets.glyphs import is_ascii
from widgets.grid_layout import Column
from widgets.roles import Role
from widgets.row import AnyRow, Cell, Heading, Row
from widgets.span import Spans

LIST: Final = "checklist:"
ITEM: Final = "item:"
"""Prefixes of row keys; an item's is ``item:LIST/ITEM``. The others are those of ``key_of``."""

_SIGNS: Final = {Answer.YES: ("✓", "[ok]"), Answer.NO: ("✕", "[X ]"), Answer.UNKNOWN: ("?", "[? ]")}
_ROLES: Final[dict[Answer, Role]] = {
    Answer.YES: "state-ok",
    Answer.NO: "state-bad",
    Answer.UNKNOWN: "state-unknown",
}
_SO: Final[dict[str, Role]] = {"so": "state-ok", "not so": "state-bad", "unknown": "state-unknown"}


class Findings(Protocol):
    """What a stack's checks said, who confirmed what, and what is being looked at now."""

    @property
    def results(self) -> Results: ...
    @property
    def attested(self) -> Attestations: ...
    @property
    def running(self) -> frozenset[str]: ...


def columns() -> tuple[Column, ...]:
    """All columns; what was read is dropped first, it is one Enter away."""
    return (
        Column("sign", NO_TEXT, 4 if is_ascii() else 1),
        Column("result", SafeText("RESULT"), 11),
        Column("age", SafeText("AGO"), 4, align="right"),
        Column("title", SafeText("WHAT"), 56, least=30, flex=2),
        Column("read", SafeText("WHAT WAS READ, OR WHO CONFIRMED"), 60, least=24, drop=1, flex=3),
    )


def rows(stack: Stack, findings: Findings, opened: Container[str], now: Instant) -> tuple[AnyRow, ...]:
    """Checklists first, those in ``opened`` with their items; then checks by group, then known failures."""
    return (
        *_list_rows(stack, findings, opened, now),
        *_check_rows(stack, findings, now),
        *_diagnosis_rows(stack, findings, now),
    )


def summary(stack: Stack, findings: Findings) -> SafeText:
    """For the pane's title: how many passed, failed, are unknown, were not run, and what was found."""
    results = [findings.results.get(key_of(it)) for it in stack.checks.values()]
    answers = [it.answer for it in results if it is not None]
    found = [findings.results.get(key_of(it)) for it in stack.diagnoses.values()]
    parts = [f"{answers.count(answer)} {PASSED[answer]}" for answer in Answer if answer in answers]
    if len(answers) < len(results):
        parts.append(f"{len(results) - len(answers)} not run")
    failures = sum(it is not None and it.answer is Answer.YES for it in found)
    if failures:
        parts.append(f"{failures} known failure{'s' if failures > 1 else ''} found")
    return SafeText(f"Checks  {', '.join(parts) or 'none'}")


def item_of(key: str) -> tuple[str, str] | None:
    """The checklist and the item a row key names; None for any other key."""
    if not key.startswith(ITEM):
        return None
    name, _, item = key.removeprefix(ITEM).partition("/")
    return name, item


def subject(stack: Stack, key: str) -> Check | Diagnosis | None:
    """The check or diagnosis a row is about, an observed item's too."""
    place = item_of(key)
    if place is not None:
        check = next(it.check for it in stack.checklists[place[0]].items if it.id == place[1])
        return None if check is None else stack.checks[check]
    kind, _, ident = key.partition(":")
    if kind == "diagnosis":
        return stack.diagnoses.get(ident)
    return stack.checks.get(ident) if kind == "check" else None


def section_of(stack: Stack, key: str) -> str | None:
    """The runbook's section for a row."""
    place = item_of(key)
    it = subject(stack, key)
    if it is not None and it.section is not None:
        return it.section
    name = key.removeprefix(LIST) if place is None else place[0]
    return stack.checklists[name].section if name in stack.checklists else None


def detail(
    stack: Stack, it: Check | Diagnosis, findings: Findings, now: Instant, width: int
) -> tuple[Spans, ...]:
    """Everything about one check or diagnosis, as it stands now."""
    return laid_out(_detail(stack, it, findings, now), width)


def item_lines(stack: Stack, place: tuple[str, str], findings: Findings, width: int) -> tuple[Spans, ...]:
    """Every word of an item that a person confirms, and who did; ``place`` is its checklist and itself."""
    checklist = stack.checklists[place[0]]
    found = states(checklist, findings.results, findings.attested)
    state = next(it for it in found if it.item.id == place[1])
    by = "nobody yet" if state.attested is None else confirmed(state.attested)
    fields = (
        Field("to confirm", item_title(stack, state), "strong"),
        Field("confirmed", by, "muted" if state.attested is None else "state-ok"),
        Field("checklist", f"{checklist.title}: {checklist.when}", "muted"),
        Field("how", "Esc, then A twice: it goes into the journal in your name", "muted"),
    )
    return laid_out(fields, width)


def diagnosis_lines(stack: Stack, service: str, findings: Findings, width: int) -> tuple[Spans, ...]:
    """What the known failures of one service say, found ones first and in full; empty when it has none."""
    ours = [it for it in stack.diagnoses.values() if it.service == service]
    if not ours:
        return ()
    return ((), line(" Known failures", "accent"), *laid_out(_diagnoses(stack, ours, findings), width))


def _diagnoses(stack: Stack, ours: list[Diagnosis], findings: Findings) -> Iterator[Field | Spans]:
    ranked = sorted(ours, key=lambda it: _found_rank(findings.results.get(key_of(it))))
    for it in ranked:
        examined = findings.results.get(key_of(it))
        if key_of(it) in findings.running or examined is None:
            yield Field("looking …", it.title, "muted")
            continue
        role: Role = "state-bad" if examined.answer is Answer.YES else "muted"
        yield Field(FOUND[examined.answer], it.title, role)
        if examined.answer is Answer.YES:
            yield from _remedy(stack, it)
        if examined.answer is Answer.UNKNOWN:
            yield Field("", "; ".join(why(stack, examined)), "state-unknown")


def _found_rank(examined: Examined | None) -> int:
    order = (Answer.YES, Answer.UNKNOWN, Answer.NO)
    return order.index(examined.answer) if examined is not None else len(order)


def _detail(stack: Stack, it: Check | Diagnosis, findings: Findings, now: Instant) -> Iterator[Field | Spans]:
    examined = findings.results.get(key_of(it))
    words_ = PASSED if isinstance(it, Check) else FOUND
    yield Field("what", it.title, "strong")
    if key_of(it) in findings.running:
        yield Field("result", "looking …", "muted")
    elif examined is None:
        yield Field("result", "not run in this session", "muted")
    else:
        yield Field("result", words_[examined.answer].upper(), _role(it, examined.answer))
        yield Field("run", f"{words.age(age(examined, now))} ago, on readings taken for it", "muted")
    yield ()
    for number, demand in enumerate(it.demands):
        seen = examined.weighed[number] if examined is not None else None
        if seen is None:
            yield Field("to be read", f"{label(stack, demand.fact)} ({demanded(demand)})", "muted")
        else:
            word = standing(seen)
            old = "" if seen.age is None else f", {words.age(seen.age)} old then"
            yield Field(word, f"{evidence(stack, seen)}{old}", _SO[word])
    yield ()
    yield from _remedy(stack, it)
    if isinstance(it, Check) and it.note:
        yield Field("note", it.note, "accent")
    if it.runbook:
        yield Field("runbook rows", "; ".join(it.runbook), "muted")


def _remedy(stack: Stack, it: Check | Diagnosis) -> Iterator[Field | Spans]:
    if isinstance(it, Diagnosis):
        yield Field("cause", it.cause)
    yield Field("what to do", it.response, "strong")
    named = mends(stack, it)
    if named is not None:
        yield Field("mended by", named)
    if it.section:
        yield Field("runbook", it.section)


def _list_rows(stack: Stack, findings: Findings, opened: Container[str], now: Instant) -> Iterator[AnyRow]:
    if stack.checklists:
        yield Heading("heading:lists", SafeText("Checklists"))
    for checklist in stack.checklists.values():
        items = _states(checklist, findings, now)
        yield _list_row(checklist, items, now)
        if LIST + checklist.id in opened:
            yield from (_item_row(stack, checklist, state, findings, now) for state in items)


def _states(checklist: Checklist, findings: Findings, now: Instant) -> tuple[ItemState, ...]:
    """The items as they stand in this period: what was run or confirmed before it ticks nothing now."""
    since = began(checklist, now)
    results = {key: it for key, it in findings.results.items() if it.at.wall >= since}
    attested = {key: it for key, it in findings.attested.items() if it.at >= since}
    return states(checklist, results, attested)


def _list_row(checklist: Checklist, items: tuple[ItemState, ...], now: Instant) -> Row:
    answer = together(it.answer for it in items)
    done = sum(it.answer is Answer.YES for it in items)
    word = {Answer.YES: "done", Answer.NO: "failed", Answer.UNKNOWN: OPEN}[answer]
    examined = [it.examined for it in items if it.examined is not None]
    note = f"{checklist.when}; confirmations count {kept(checklist)}"
    return Row(
        LIST + checklist.id,
        (
            _sign(answer),
            Cell(SafeText(f"{word} {done}/{len(items)}"), _ROLES[answer]),
            _age(min(examined, key=lambda it: it.at.mono, default=None), now),
            Cell(SafeText(checklist.title), "strong"),
            Cell(SafeText(note), "muted"),
        ),
    )


def _item_row(stack: Stack, checklist: Checklist, state: ItemState, findings: Findings, now: Instant) -> Row:
    read = ""
    if state.attested is not None:
        read = confirmed(state.attested)
    elif state.item.check is None:
        read = "nobody yet: press A to confirm it in your name"
    elif state.examined is not None:
        read = "; ".join(why(stack, state.examined))
    is_running = state.item.check is not None and f"check:{state.item.check}" in findings.running
    role: Role = _ROLES[state.answer] if state.item.check is not None or state.attested else "muted"
    return Row(
        f"{ITEM}{checklist.id}/{state.item.id}",
        (
            _sign(state.answer) if state.examined or state.attested else Cell(),
            Cell(SafeText("looking …" if is_running else item_word(state)), role),
            _age(state.examined, now),
            Cell(SafeText(f"  {item_title(stack, state)}")),
            Cell(SafeText(read), "muted"),
        ),
    )


def _check_rows(stack: Stack, findings: Findings, now: Instant) -> Iterator[AnyRow]:
    groups = dict.fromkeys(it.group for it in stack.checks.values())
    for group in groups:
        yield Heading(f"heading:{group}", SafeText(group))
        yield from (
            _row(stack, it, findings, PASSED, now) for it in stack.checks.values() if it.group == group
        )


def _diagnosis_rows(stack: Stack, findings: Findings, now: Instant) -> Iterator[AnyRow]:
    if stack.diagnoses:
        yield Heading("heading:failures", SafeText("Known failures"))
    yield from (_row(stack, it, findings, FOUND, now) for it in stack.diagnoses.values())


def _row(
    stack: Stack, it: Check | Diagnosis, findings: Findings, said: dict[Answer, str], now: Instant
) -> Row:
    examined = findings.results.get(key_of(it))
    if key_of(it) in findings.running:
        cells = (Cell(), Cell(SafeText("looking …"), "muted"))
    elif examined is None:
        cells = (Cell(), Cell(SafeText("not run"), "muted"))
    else:
        role = _role(it, examined.answer)
        cells = (_sign(_turned(it, examined.answer)), Cell(SafeText(said[examined.answer]), role))
    read = SafeText("; ".join(why(stack, examined))) if examined is not None else NO_TEXT
    return Row(key_of(it), (*cells, _age(examined, now), Cell(SafeText(it.title)), Cell(read, "muted")))


def _turned(it: Check | Diagnosis, answer: Answer) -> Answer:
    """A known failure that is not there is what is well."""
    if isinstance(it, Check):
        return answer
    return {Answer.YES: Answer.NO, Answer.NO: Answer.YES}.get(answer, answer)


def _role(it: Check | Diagnosis, answer: Answer) -> Role:
    return _ROLES[_turned(it, answer)]


def _sign(answer: Answer) -> Cell:
    return Cell(SafeText(_SIGNS[answer][is_ascii()]), _ROLES[answer])


def _age(examined: Examined | None, now: Instant) -> Cell:
    return Cell(SafeText("" if examined is None else words.whole_age(age(examined, now))), "muted")
