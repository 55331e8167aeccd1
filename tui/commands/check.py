"""``controlroom check``: checks, checklists and diagnoses run once on fresh readings, for people and scripts.

0 all passed and confirmed, 4 something failed (or a diagnosis was found), 5 something is unknown or open.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as LateError
from difflib import get_close_matches
from typing import Any, Final

from msgspec import Struct

from backends.checks.desk import CheckDesk, NotWrittenError
from backends.checks.examiner import LONGEST, looked_back
from backends.model.check import Check, Checklist, Diagnosis
from backends.model.clock import SystemClock
from backends.model.examination import Answer, ItemState, key_of, states, together
from backends.model.stack import Stack
from tui.commands.examination import (
    check_data,
    check_lines,
    checklist_data,
    diagnosis_data,
    diagnosis_lines,
    item_lines,
)
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.grid import grid
from tui.commands.output import complain, document
from tui.commands.progress import present, say
from tui.commands.run import only
from tui.commands.session import Session, choose, engine_of, journal_refusal, wait_answered
from tui.presenters.examination import FOUND, PASSED, kept

ALL: Final = "all"
SCHEMA: Final = 1
"""Grows when a name in the JSON changes or goes."""

PACE: Final = 2.0
"""Seconds more, because polls are never exactly as far apart as asked."""

SLACK: Final = 5.0
"""Seconds beyond the examination's own bound before the room gives up on itself."""

_CODES: Final = {Answer.YES: ExitCode.VERIFIED, Answer.NO: ExitCode.PARTIAL, Answer.UNKNOWN: ExitCode.UNKNOWN}


class _Wanted(Struct, frozen=True):
    """What one name asks for in one stack."""

    checks: tuple[Check, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()

    @property
    def examined(self) -> list[Check | Diagnosis]:
        return [*self.checks, *self.diagnoses]


class CheckOptions(Struct, frozen=True):
    """What the command line says besides the names."""

    attest: tuple[str, ...] = ()
    """Items of the checklist to be confirmed in this operator's name."""
    is_reset: bool = False
    """Begin the checklist anew first."""
    as_json: bool = False
    wait: float = 15.0
    """Seconds to watch the stack at the most, for rates and the like; what needs longer stays unknown."""


def check(session: Session, name: str | None, wanted: str | None, options: CheckOptions) -> ExitCode:
    """Run what ``name`` says and print it, after what is to be journalled; None lists all there is."""
    config = session.config()
    stack = only(choose(config, wanted))
    if name is None:
        if options.attest or options.is_reset:
            raise UsageError("say which checklist: `controlroom check` without anything lists them")
        present(document(_listed(stack)) if options.as_json else "\n".join(_listing(stack)))
        return ExitCode.VERIFIED
    # No document is better than one that is none.
    tell = complain if options.as_json else say
    asked = _asked(stack, name)
    is_writing = options.is_reset or bool(options.attest)
    if is_writing and not asked.checklists:
        raise UsageError(f"{name} is no checklist: only items of a checklist are confirmed")
    if is_writing and config.watch:
        journal_refusal(config, stack, f"confirming {name}", "this room only watches")
        tell("refused: this configuration only watches; confirm it where you may act")
        return ExitCode.FORBIDDEN
    seconds = looked_back(stack, asked.examined)
    engine = engine_of(config, (stack,), observe=seconds > 0, may_act=is_writing)
    engine.start()
    desk = engine.checks(stack.id)
    try:
        if is_writing:
            _confirm(desk, asked.checklists[0], options)
        if seconds > 0:
            wait_answered(engine, LONGEST)
            time.sleep(min(seconds + PACE, options.wait))
        desk.examine(asked.examined).result(LONGEST + SLACK)
        desk.read_journal().result(SLACK)
    except NotWrittenError as error:
        tell(f"not confirmed: {error}")
        return ExitCode.NOT_DONE
    except LateError:
        tell("the room itself did not answer: nothing is known")
        return ExitCode.UNKNOWN
    finally:
        engine.stop(grace=0.0)
    return _print(stack, asked, desk, as_json=options.as_json)


def _asked(stack: Stack, name: str) -> _Wanted:
    if name == ALL:
        return _Wanted(checks=tuple(stack.checks.values()))
    if name in stack.checklists:
        checklist = stack.checklists[name]
        named = dict.fromkeys(item.check for item in checklist.items if item.check is not None)
        return _Wanted(tuple(stack.checks[it] for it in named), (checklist,))
    if name in stack.checks:
        return _Wanted(checks=(stack.checks[name],))
    if name in stack.diagnoses:
        return _Wanted(diagnoses=(stack.diagnoses[name],))
    close = get_close_matches(name, (*stack.checklists, *stack.checks, *stack.diagnoses), 1)
    meant = f"did you mean {close[0]}?" if close else "`controlroom check` without a name lists them"
    raise UsageError(f"{stack.id} has no check, checklist or diagnosis {name!r}; {meant}")


def _confirm(desk: CheckDesk, checklist: Checklist, options: CheckOptions) -> None:
    attested = [item.id for item in checklist.items if item.attest is not None]
    for item in options.attest:
        if item not in attested:
            raise UsageError(
                f"{checklist.id} has no item {item!r} that a person confirms; "
                f"it has {', '.join(attested) or 'none'}"
            )
    if options.is_reset:
        desk.reset(checklist.id, "cli").result(SLACK)
    for item in options.attest:
        desk.attest(checklist.id, item, "cli").result(SLACK)


def _print(stack: Stack, asked: _Wanted, desk: CheckDesk, *, as_json: bool) -> ExitCode:
    lists = [(it, states(it, desk.results, desk.attested)) for it in asked.checklists]
    answers = [desk.results[key_of(it)].answer for it in asked.checks]
    answers += [_turned(desk.results[key_of(it)].answer) for it in asked.diagnoses]
    answers += [item.answer for _, items in lists for item in items]
    answer = together(answers)
    if as_json:
        present(document(_data(stack, asked, desk, lists, answer)))
    else:
        present("\n".join(_text(stack, asked, desk, lists, answer)))
    return _CODES[answer]


def _turned(answer: Answer) -> Answer:
    """A failure that is found is what a script has to be told of."""
    return {Answer.YES: Answer.NO, Answer.NO: Answer.YES}.get(answer, answer)


def _data(
    stack: Stack,
    asked: _Wanted,
    desk: CheckDesk,
    lists: Sequence[tuple[Checklist, Sequence[ItemState]]],
    answer: Answer,
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "taken": SystemClock().now().iso(),
        "stack": stack.id,
        "environment": stack.environment.value,
        "result": PASSED[answer],
        "checks": [check_data(stack, it, desk.results[key_of(it)]) for it in asked.checks],
        "checklists": [checklist_data(stack, it, items) for it, items in lists],
        "diagnoses": [diagnosis_data(stack, it, desk.results[key_of(it)]) for it in asked.diagnoses],
    }


def _text(
    stack: Stack,
    asked: _Wanted,
    desk: CheckDesk,
    lists: Sequence[tuple[Checklist, Sequence[ItemState]]],
    answer: Answer,
) -> Iterator[str]:
    yield f"{stack.id}: {stack.title} [{stack.environment.value}]"
    for checklist, items in lists:
        yield f"{checklist.title}: {checklist.when}; confirmations count {kept(checklist)}"
        for item in items:
            yield from item_lines(stack, item)
    group = None
    for it in asked.checks if not lists else ():
        if it.group != group:
            yield it.group
            group = it.group
        yield from check_lines(stack, it, desk.results[key_of(it)])
    for diagnosis in asked.diagnoses:
        yield from diagnosis_lines(stack, diagnosis, desk.results[key_of(diagnosis)])
    if asked.diagnoses:
        yield f"result: {FOUND[_turned(answer)]}"
    else:
        yield f"result: {PASSED[answer].upper()}"


def _listed(stack: Stack) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "stack": stack.id,
        "checks": [{"id": it.id, "group": it.group, "title": it.title} for it in stack.checks.values()],
        "checklists": [{"id": it.id, "when": it.when, "title": it.title} for it in stack.checklists.values()],
        "diagnoses": [
            {"id": it.id, "service": it.service, "title": it.title} for it in stack.diagnoses.values()
        ],
    }


def _listing(stack: Stack) -> Iterator[str]:
    if stack.checklists:
        yield "Checklists"
        yield from grid([it.id, it.when, it.title] for it in stack.checklists.values())
    if stack.checks:
        yield "Checks"
        yield from grid([it.id, it.group, it.title] for it in stack.checks.values())
    if stack.diagnoses:
        yield "Diagnoses"
        yield from grid([it.id, it.service or "", it.title] for it in stack.diagnoses.values())
    if not (stack.checklists or stack.checks or stack.diagnoses):
        yield f"{stack.id} has no checks"
