"""Everything the room knows about one row, in words, for the detail view."""

from __future__ import annotations

from collections.abc import Iterator

from backends.model.alarm import Alarm
from backends.model.board import SERVICE, Board
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table
from backends.model.query import asked
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from tui.presenters import containers, words
from tui.presenters.block import Field, laid_out, line
from tui.presenters.state import fact_level
from widgets.glyphs import HEALTH, LEVEL, PRIORITY, RUN_STATE
from widgets.span import Spans

_TABLE_ROWS = 50


def title_of(stack: Stack, board: Board, key: str, *, is_alarm: bool) -> SafeText:
    """What the detail view of a board key or an alarm id is called."""
    if is_alarm:
        alarm = _alarm(board, key)
        return SafeText("Alarm" if alarm is None else f"Alarm: {alarm.subject}")
    if key in stack.facts:
        return SafeText(stack.facts[key].label)
    return SafeText(key.removeprefix(SERVICE))


def detail_lines(
    stack: Stack, board: Board, key: str, now: Instant, width: int, *, is_alarm: bool
) -> tuple[Spans, ...]:
    """Everything about an alarm and then its subject, or about a fact or service."""
    if not is_alarm:
        make = fact_lines if key in stack.facts else service_lines
        return make(stack, board, key, now, width)
    alarm = _alarm(board, key)
    lines = alarm_lines(board, key, now, width)
    if alarm is None or (alarm.subject not in stack.facts and alarm.subject not in board.readings):
        return lines
    subject = detail_lines(stack, board, alarm.subject, now, width, is_alarm=False)
    return (*lines, (), line(f" {alarm.subject}", "accent"), *subject)


def fact_lines(stack: Stack, board: Board, ident: str, now: Instant, width: int) -> tuple[Spans, ...]:
    """A fact: what it says raw, who said so and when, what counts as bad, and what to know about it."""
    return laid_out(_fact(stack, board, stack.facts[ident], now), width)


def service_lines(stack: Stack, board: Board, key: str, now: Instant, width: int) -> tuple[Spans, ...]:
    """A service: identity, image, health output, how it last ended."""
    return laid_out(_service(stack, board, key, now), width)


def alarm_lines(board: Board, ident: str, now: Instant, width: int) -> tuple[Spans, ...]:
    """An alarm: cause, consequence, response; that it cleared, when it did while being read."""
    alarm = _alarm(board, ident)
    if alarm is None:
        return (line(" This alarm has cleared since.", "strong"),)
    sign = PRIORITY[alarm.priority]
    parts: list[Field | Spans] = [
        Field("priority", sign.label, sign.role),
        Field("wrong", alarm.title, "strong"),
        Field("active for", f"{words.span(now.since(alarm.since))}, since {words.clock(alarm.since.wall)}Z"),
        Field("cause", alarm.cause),
        Field("consequence", alarm.consequence),
        Field("what to do", alarm.response, "strong"),
        Field("runbook", alarm.section or "no section named"),
        Field("about", alarm.subject, "muted"),
    ]
    return laid_out(parts, width)


def _alarm(board: Board, ident: str) -> Alarm | None:
    return next((alarm for alarm in board.alarms if alarm.id == ident), None)


def _fact(stack: Stack, board: Board, fact: Fact, now: Instant) -> Iterator[Field | Spans]:
    reading = board.readings.get(fact.id)
    level = fact_level(stack, board, fact.id, now)
    sign = LEVEL[level]
    yield Field("state", sign.label, sign.role)
    yield Field("value", value_text(fact, board, now))
    if reading is not None and reading.outcome is Outcome.OK:
        yield Field("raw", words.raw(reading.value), "strong")
    yield Field("answer", words.outcome(reading, now))
    if reading is not None and reading.error is not None:
        yield Field("error", reading.error, "state-warn")
    if reading is not None and reading.outcome is not Outcome.NEVER:
        yield Field("received", f"{reading.received.iso()}  ({words.age(reading.age(now))} ago)")
        observed = reading.observed_age(now)
        if observed is not None:
            yield Field("its own time", f"{words.age(observed)} old by its own timestamp")
        yield Field("stale after", f"{reading.stale_after:g} s without an answer")
        good = reading.kept(now)
        if good is not None and reading.outcome is not Outcome.OK:
            old = words.age(now.since(good.at))
            yield Field("last good", f"{words.shown(fact, good.value, now)}  ({old} ago)", "stale")
    yield Field("source", f"{stack.sources[fact.source].title}  {stack.sources[fact.source].url}")
    yield Field("asked for", query_text(fact))
    yield from _limits(fact)
    if fact.missing_note:
        yield Field("when missing", fact.missing_note)
    if fact.note:
        yield Field("note", fact.note, "accent")
    if fact.runbook:
        yield Field("runbook rows", ", ".join(fact.runbook), "muted")
    yield Field("id", fact.id, "muted")
    if reading is not None and isinstance(reading.value, Table):
        yield from _table(reading.value)


def value_text(fact: Fact, board: Board, now: Instant) -> SafeText:
    """The value as a row shows it, or the word for why there is none."""
    reading = board.readings.get(fact.id)
    if reading is not None and reading.outcome is Outcome.OK:
        return words.shown(fact, reading.value, now)
    if reading is not None and reading.outcome is Outcome.MISSING:
        return SafeText(fact.missing_note or "the source answered: no such thing")
    return SafeText("none: " + words.outcome(reading, now))


def query_text(fact: Fact) -> SafeText:
    """What is asked of the source, in its own language."""
    text = asked(fact.query)
    return SafeText(f"{text}, then {fact.pick}" if fact.pick else text)


def _limits(fact: Fact) -> Iterator[Field | Spans]:
    if fact.meanings is not None:
        for word, level in fact.meanings.items():
            yield Field(f"{word} is", LEVEL[level].label, LEVEL[level].role)
        yield Field("any other is", LEVEL[Level.CRIT].label, LEVEL[Level.CRIT].role)
    for name, limit in (
        ("WARN above", fact.warn_above),
        ("CRIT above", fact.crit_above),
        ("WARN below", fact.warn_below),
        ("CRIT below", fact.crit_below),
    ):
        if limit is not None:
            yield Field(name, f"{limit:g} {fact.unit}".rstrip())


def _table(table: Table) -> Iterator[Field | Spans]:
    yield ()
    if not table.rows:
        yield Field("rows", "none: the query answered with no row")
        return
    shown = table.rows[:_TABLE_ROWS]
    widths = [
        min(28, max(len(name), *(len(row[place]) for row in shown)))
        for place, name in enumerate(table.columns)
    ]
    yield line(" " + "  ".join(map(_cut, table.columns, widths)), "accent")
    for row in shown:
        yield line(" " + "  ".join(map(_cut, row, widths)))
    if table.total > len(shown):
        yield line(f" {table.total - len(shown)} more rows are not shown", "stale")


def _cut(text: str, width: int) -> str:
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)


def _service(stack: Stack, board: Board, key: str, now: Instant) -> Iterator[Field | Spans]:
    item = next((it for it in containers.items(stack, board, now) if SERVICE + it.name == key), None)
    if item is None:
        yield line(" This container is no longer in the project.", "strong")
        return
    verdict = containers.status(item, now)
    yield Field("status", verdict.text, verdict.role)
    yield Field("answer", words.outcome(item.reading, now))
    if item.reading is not None and item.reading.error is not None:
        yield Field("error", item.reading.error, "state-warn")
    if item.spec is not None:
        yield Field("role", item.spec.role)
        yield Field("expected as", ", ".join(item.spec.match))
        yield Field("required", "yes" if item.spec.is_required else "no: it may be absent")
    else:
        yield Field("expected", "no: the stack file does not name it", "state-warn")
    it = item.service
    if it is not None:
        if not item.is_current:
            yield line(" What follows is old:", "stale")
        yield Field("container", it.title)
        yield Field("id", it.ident, "muted")
        yield Field("image", it.image)
        yield Field("digest", it.digest or "the runtime gives none", "muted")
        yield Field("state", RUN_STATE[it.state].word, RUN_STATE[it.state].role)
        yield Field("health", HEALTH[it.health].word, HEALTH[it.health].role)
        yield Field("restarts", "not known" if it.restarts is None else it.restarts)
        if it.started_wall is not None:
            up = words.span(now.wall - it.started_wall)
            yield Field("started", f"{words.moment(it.started_wall, now)}Z  ({up} ago)")
        if it.finished_wall is not None:
            yield Field("last ended", f"{words.moment(it.finished_wall, now)}Z")
        yield Field("exit code", "none yet" if it.exit_code is None else it.exit_code)
        yield Field("out of memory", "yes: killed by the kernel" if it.oom_killed else "no")
        usage = it.usage
        yield Field("CPU", f"{words.percent(usage.cpu)} of one core (two samples of docker stats)")
        yield Field(
            "memory", f"{words.size(usage.memory)} of {words.size(usage.memory_limit)}, without cache"
        )
        yield Field("network", f"{words.size(usage.net_rx)}/s in, {words.size(usage.net_tx)}/s out")
        yield Field("health output", it.health_output or "none")
    if item.spec is not None and item.spec.note:
        yield Field("note", item.spec.note, "accent")
