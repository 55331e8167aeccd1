"""Services of a board as rows: what is wrong in one word, then the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from msgspec import Struct

from backends.model.board import SERVICE, Board
from backends.model.clock import Instant
from backends.model.fact import Level
from backends.model.reading import Outcome, Reading
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.service import Health, RunState, Service
from backends.model.stack import ServiceSpec, SourceKind, Stack
from tui.presenters import words
from tui.presenters.state import service_level
from widgets.glyphs import HEALTH, LEVEL, RUN_STATE, is_ascii, shown_name
from widgets.grid_layout import Column
from widgets.roles import Role
from widgets.row import Cell, Row
from widgets.spark import spark

YOUNG = 600.0
"""Seconds of uptime within which an earlier restart still matters."""

_TREND_WIDTH = 9


class Sort(Enum):
    """The order of the rows."""

    STACK = "as in the stack"
    WORST = "worst first"
    NAME = "by name"
    CPU = "by CPU"
    MEMORY = "by memory"


class Item(Struct, frozen=True):
    """One service with everything a row or an order needs."""

    name: str
    spec: ServiceSpec | None
    reading: Reading[Any] | None
    level: Level
    service: Service | None
    """As last known: the value, or the last good one while it may still be shown."""
    is_current: bool


def columns(title: str) -> tuple[Column, ...]:
    """All columns in a pane of that ``title``. A narrow one drops those of the highest ``drop`` and keeps
    name, status and CPU."""
    sign = 4 if is_ascii() else 1
    return (
        Column("sign", NO_TEXT, sign),
        Column("name", SafeText(title.removesuffix("s").upper()), 22, least=17, flex=1),
        Column("status", SafeText("STATUS"), 12, least=9),
        Column("restarts", SafeText("RST"), 3, align="right", drop=3),
        Column("uptime", SafeText("UP"), 7, least=4, align="right", drop=2),
        Column("cpu", SafeText("CPU"), 6, least=5, align="right", drop=1),
        Column("memory", SafeText("MEM"), 5, align="right", drop=4),
        Column("trend", SafeText("MEM TREND"), _TREND_WIDTH, drop=5, is_tail=True),
        Column("age", SafeText("SEEN"), 6, least=4, align="right", drop=6),
        Column("limit", SafeText("OF LIMIT"), 8, align="right", drop=7),
        Column("exit", SafeText("LAST EXIT"), 12, align="right", drop=8),
        Column("net", SafeText("NET IN/OUT"), 13, align="right", drop=9),
        Column("state", SafeText("STATE"), 10, drop=10),
    )


def items(stack: Stack, board: Board, now: Instant) -> tuple[Item, ...]:
    """Expected services in the stack's order, then strangers of the same project by name."""
    specs = {spec.name: spec for spec in stack.services}
    strangers = sorted(
        key.removeprefix(SERVICE)
        for key in board.readings
        if key.startswith(SERVICE) and key.removeprefix(SERVICE) not in specs
    )
    return tuple(_item(board, name, specs.get(name), now) for name in (*specs, *strangers))


def _item(board: Board, name: str, spec: ServiceSpec | None, now: Instant) -> Item:
    reading = board.readings.get(SERVICE + name)
    good = None if reading is None else reading.kept(now)
    value = None if reading is None else reading.value
    if value is None and good is not None:
        value = good.value
    level = service_level(board, name, spec, now)
    return Item(name, spec, reading, level, value, words.is_current(reading, now))


def ordered(found: tuple[Item, ...], sort: Sort) -> tuple[Item, ...]:
    """The items in that order; equal ones stay in the stack's."""
    keys: dict[Sort, Callable[[Item], Any]] = {
        Sort.STACK: lambda _: 0,
        Sort.WORST: lambda item: -_weight(item),
        Sort.NAME: lambda item: item.name.lower(),
        Sort.CPU: lambda item: -_usage(item, "cpu"),
        Sort.MEMORY: lambda item: -_usage(item, "memory"),
    }
    return tuple(sorted(found, key=keys[sort]))


class ServiceTable:
    """Makes the rows, and keeps those that would come out the same: most are read every other second."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def draw(
        self, stack: Stack, board: Board, now: Instant, sort: Sort = Sort.WORST
    ) -> tuple[tuple[Row, ...], SafeText]:
        """One row for each service, keyed by its board key; and the summary for the pane's title."""
        found = items(stack, board, now)
        self._kept = {item.name: self._row(item, board, now) for item in found}
        return tuple(self._kept[item.name].row for item in ordered(found, sort)), summary(found)

    def _row(self, item: Item, board: Board, now: Instant) -> _Kept:
        moving, trail = _moving(item, now), board.trails.get(SERVICE + item.name, ())
        trail = trail[-_TREND_WIDTH:] if any(trail) else ()
        kept = self._kept.get(item.name)
        if kept is not None and kept.moving == moving and kept.stands(item, trail):
            return kept
        return _Kept(item, moving, trail, _row(item, moving, trail))


class _Kept(Struct):
    """A row, and what it was made of."""

    item: Item
    moving: _Moving
    trail: Sequence[float | None]
    """What is drawn of it; empty where there is nothing to draw."""
    row: Row

    def stands(self, item: Item, trail: Sequence[float | None]) -> bool:
        """Whether all of it that does not move would be made so again."""
        old = self.item
        return (
            item.service == old.service
            and trail == self.trail
            and item.spec is old.spec
            and (item.level, item.is_current) == (old.level, old.is_current)
        )


def title(stack: Stack) -> str:
    """What the pane is called: a stack of units or processes has no containers."""
    kinds = {stack.sources[spec.source].kind for spec in stack.services}
    return "Containers" if kinds <= {SourceKind.DOCKER} else "Services"


def summary(found: Sequence[Item]) -> SafeText:
    """How many, and how many of them are not well."""
    if not found:
        return SafeText("none expected")
    unused = sum(is_unused(item) for item in found)
    levels = [item.level for item in found]
    up = sum(
        item.is_current and item.service is not None and item.service.state is RunState.RUNNING
        for item in found
    )
    parts = [f"{up} up"]
    for level, word in ((Level.CRIT, "down"), (Level.WARN, "warn"), (Level.UNKNOWN, "unknown")):
        count = levels.count(level)
        if count:
            parts.append(f"{count} {word}")
    if unused:
        parts.append(f"{unused} not used")
    return SafeText(", ".join(parts))


def is_unused(item: Item) -> bool:
    """Whether it may be absent, and is."""
    return item.is_current and item.service is None and item.level is Level.INFO


def _weight(item: Item) -> int:
    """Urgency. A service without a check is not worse than a healthy one; what is not used comes last."""
    if is_unused(item):
        return -1
    rank = 0 if item.level is Level.INFO else item.level.rank
    return rank * 2 + (item.spec is None)


def _usage(item: Item, what: str) -> float:
    value = None if item.service is None else getattr(item.service.usage, what)
    return -1.0 if value is None else float(value)


def status(item: Item, now: Instant) -> Cell:
    """What is the matter with it in one word or two, never blank, never good unless it was just read."""
    reading = item.reading
    if reading is None or reading.outcome is Outcome.NEVER:
        return _cell("NOT READ", "state-unknown")
    if not item.is_current:
        return _cell(words.outcome(reading, now), "stale")
    if reading.outcome is Outcome.MISSING or item.service is None:
        is_wanted = item.spec is None or item.spec.is_required
        return _cell("ABSENT" if is_wanted else words.NOT_USED, "state-bad" if is_wanted else "muted")
    return _of(item.service)


def _of(service: Service) -> Cell:
    if service.state is RunState.RUNNING:
        sign = HEALTH[service.health]
        is_loud = service.health in (Health.UNHEALTHY, Health.UNKNOWN)
        return _cell(sign.word.upper() if is_loud else sign.word, sign.role)
    sign = RUN_STATE[service.state]
    if service.state in (RunState.EXITED, RunState.DEAD):
        return _cell(_exit(service), sign.role)
    return _cell(sign.word, sign.role)


def _exit(service: Service) -> str:
    code = "?" if service.exit_code is None else str(service.exit_code)
    return f"OOM {code}" if service.oom_killed else f"exited {code}"


class _Moving(Struct, frozen=True):
    """The cells of a row in which time passes by itself."""

    status: Cell
    restarts: Cell
    uptime: Cell
    seen: Cell
    last_exit: Cell


def _moving(item: Item, now: Instant) -> _Moving:
    service, quiet, nothing = item.service, _quiet(item), _nothing(item)
    return _Moving(
        status(item, now),
        _restarts(service, quiet, now, nothing),
        _uptime(service, quiet, now, nothing),
        _cell(_seen(item.reading, now), "muted"),
        _cell(_last_exit(service, now, nothing), quiet),
    )


@lru_cache(maxsize=512)
def _cell(text: str, role: Role) -> Cell:
    """A figure, of which the same few are shown again and again."""
    return Cell(SafeText(text), role)


def _quiet(item: Item) -> Role:
    return "text" if item.is_current else "muted"


def _nothing(item: Item) -> str:
    """Unknown is a question mark; what is known not to be there has nothing to ask about."""
    return words.NOTHING if is_unused(item) else "?"


@lru_cache(maxsize=512)
def _name(name: str, *, is_expected: bool) -> SafeText:
    shown = shown_name(SafeText(name))
    return shown if is_expected else SafeText(f"+ {shown}")


def _row(item: Item, moving: _Moving, trail: Sequence[float | None]) -> Row:
    service, quiet, nothing = item.service, _quiet(item), _nothing(item)
    sign = LEVEL[item.level]
    usage = None if service is None else service.usage
    is_running = service is not None and service.state is RunState.RUNNING
    return Row(
        SERVICE + item.name,
        (
            _cell(sign.mark, sign.role),
            _cell(_name(item.name, is_expected=item.spec is not None), quiet),
            moving.status,
            moving.restarts,
            moving.uptime,
            _cell(words.percent(usage.cpu) if is_running and usage else words.NOTHING, quiet),
            _cell(words.size(usage.memory) if is_running and usage else words.NOTHING, quiet),
            Cell(spark(trail, _TREND_WIDTH) if trail else SafeText(words.NOTHING), "muted"),
            moving.seen,
            _cell(_share(service) if is_running else words.NOTHING, quiet),
            moving.last_exit,
            _cell(_net(service) if is_running else words.NOTHING, quiet),
            _cell(nothing if service is None else RUN_STATE[service.state].word, quiet),
        ),
    )


def _restarts(service: Service | None, quiet: Role, now: Instant, nothing: str) -> Cell:
    if service is None or service.restarts is None:
        return _cell(nothing, quiet)
    is_recent = service.restarts > 0 and (
        service.started_wall is None or now.wall - service.started_wall < YOUNG
    )
    return _cell(str(service.restarts), "state-warn" if is_recent else quiet)


def _uptime(service: Service | None, quiet: Role, now: Instant, nothing: str) -> Cell:
    if service is None:
        return _cell(nothing, quiet)
    if service.state is RunState.RUNNING:
        if service.started_wall is None:
            return _cell("?", quiet)
        return _cell(words.short_span(now.wall - service.started_wall), quiet)
    return _cell(words.NOTHING, quiet)


def _seen(reading: Reading[Any] | None, now: Instant) -> str:
    if reading is None or reading.outcome is Outcome.NEVER:
        return "never"
    if reading.age(now) <= words.fresh_limit(reading):
        return words.fresh_age(reading)
    return words.whole_age(reading.age(now))


def _share(service: Service | None) -> str:
    usage = None if service is None else service.usage
    if usage is None or usage.memory is None:
        return "?"
    return words.percent(100 * usage.memory / usage.memory_limit) if usage.memory_limit else words.NOTHING


def _last_exit(service: Service | None, now: Instant, nothing: str) -> str:
    """The code, and how long ago it ended when it is not running now."""
    if service is None:
        return nothing
    if service.exit_code is None:
        return words.NOTHING
    if service.oom_killed:
        return f"{service.exit_code} OOM"
    if service.state is RunState.RUNNING or service.finished_wall is None:
        return str(service.exit_code)
    return f"{service.exit_code}, {words.short_span(now.wall - service.finished_wall)} ago"


def _net(service: Service | None) -> str:
    usage = None if service is None else service.usage
    if usage is None or usage.net_rx is None or usage.net_tx is None:
        return "?"
    return f"{words.size(usage.net_rx)}/{words.size(usage.net_tx)}"
