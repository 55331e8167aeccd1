"""The header as a pure function: what must be seen at all times, in any width."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct, field

from backends.model.alarm import Priority
from backends.model.safetext import NO_TEXT, SafeText
from backends.model.stack import Environment
from backends.model.trading import TradingState
from widgets.age import age_text
from widgets.cells import fit, reaches, tame, width_of
from widgets.glyphs import PRIORITY, TRADING, is_ascii
from widgets.roles import Role
from widgets.span import Span, Spans, spans_width

LEAST_WIDTH: Final = 80
LEAST_HEIGHT: Final = 24
"""Below these the panes are not shown; the state and the kill key still are."""

_ENVIRONMENTS: Final[Mapping[Environment, Role]] = {
    Environment.LIVE: "badge-live",
    Environment.PAPER: "badge-paper",
    Environment.DEMO: "badge-demo",
}


class HeadlineView(Struct, frozen=True):
    """Everything the header shows, at one moment. Ages are seconds, by the room's own clock."""

    environment: Environment
    stack: SafeText
    trading: TradingState
    because: SafeText
    """Which gate decided, in one short sentence."""
    trading_age: float | None
    """Of the oldest answer the state rests on, None before any; while UNKNOWN, since it became so."""
    data_age: float | None
    """Of the newest answer of any source; None when none has answered yet."""
    is_armed: bool
    """False in watch mode."""
    wall: float
    """Epoch seconds, shown as UTC."""
    alarms: Mapping[Priority, int] = field(default_factory=dict)
    beat: int = 0
    """Counts up once a second while the room runs."""
    banner: SafeText = NO_TEXT
    """What outranks everything: alarms not running, journal not written, not stopped."""
    note: SafeText = NO_TEXT
    """Host and build, or whatever else is good to know."""
    kill_key: SafeText = NO_TEXT
    kill_label: SafeText = NO_TEXT
    """The emergency key's hint, for a terminal too small to show the footer."""
    is_still: bool = False
    """Motion off: the heartbeat glyph does not change."""


class _Item(Struct, frozen=True):
    """A part of the line in several lengths, longest first."""

    forms: tuple[Spans, ...]
    drop: int = 0
    """The highest is shortened first."""


def render_band(view: HeadlineView, width: int, height: int, screen: tuple[int, int]) -> tuple[Spans, ...]:
    """``height`` lines of at most ``width`` cells. ``screen`` is the terminal's width and height."""
    if height <= 0:
        return ()
    if screen[0] < LEAST_WIDTH or screen[1] < LEAST_HEIGHT:
        return (_too_small(view, width, screen), *((),) * (height - 1))
    left = [_environment(view), _stack(view), _state(view)]
    if height == 1 and view.banner:
        left.insert(0, _banner(view, width))
    right = [_alarms(view), _mode(view), _heart(view), _clock(view)]
    first = _join(left, right, width)
    if height == 1:
        return (first,)
    return (first, _second(view, width), *((),) * (height - 2))


def _too_small(view: HeadlineView, width: int, screen: tuple[int, int]) -> Spans:
    size = f"TOO SMALL {screen[0]}x{screen[1]}, needs {LEAST_WIDTH}x{LEAST_HEIGHT}"
    kill: Spans = ()
    if view.kill_key:
        kill = (_span(f" {view.kill_key} ", "badge-key"), _span(f" {view.kill_label}", "strong"))
    sign = TRADING[view.trading]
    items = [
        _Item(((_span(f" {sign.label} ", sign.badge),), (_span(sign.word, sign.badge),)), 1),
        _Item((kill, kill[:1]), 2),
        _Item(((_span(size, "state-warn"),), (_span("TOO SMALL", "state-warn"),), ()), 3),
        _Item((_environment(view).forms[0], ()), 4),
    ]
    return _join(items, [], width)


def _second(view: HeadlineView, width: int) -> Spans:
    left = [_Item(_shorter(f" {view.because}", "text", width, 32), 10)]
    if view.banner:
        left.insert(0, _banner(view, width))
    if view.data_age is None:
        data = _span("no data yet", "state-unknown")
    else:
        data = _span(f"data {age_text(view.data_age)} old", "muted")
    # In watch mode host and build stay: a wall must always say what it is.
    # The names of silent sources take what the reason of the state leaves, and at least a third.
    most = max(width // 3, width - width_of(tame(view.because)) - 20)
    note = _shorter(view.note, "muted", most, 12) if view.note else ((),)
    right = [_Item((*note, ()) if view.is_armed else note, 9), _Item(((data,),))]
    return _join(left, right, width)


@lru_cache(maxsize=16)
def _shorter(text: str, role: Role, most: int, least: int) -> tuple[Spans, ...]:
    """The text whole if it fits ``most`` cells, then cut more and more, down to ``least``."""
    if reaches(text, most):
        text = fit(text, most)
    cuts = range(width_of(tame(text)) - 6, least - 1, -6)
    return ((_span(text, role),), *((_span(fit(text, cut).rstrip(), role),) for cut in cuts))


def _environment(view: HeadlineView) -> _Item:
    return _Item(((_span(f" {view.environment.value} ", _ENVIRONMENTS[view.environment]),),))


def _stack(view: HeadlineView) -> _Item:
    return _Item(((_span(view.stack, "strong"),), (_span(fit(view.stack, 12).rstrip(), "strong"),)), 3)


def _state(view: HeadlineView) -> _Item:
    sign = TRADING[view.trading]
    word = _span(f" {sign.label} ", sign.badge)
    if view.trading is TradingState.NO_HALT_PATH:
        return _Item(((word,),))  # nothing is read for it, ever
    if view.trading_age is None:
        return _Item(((word, _span(" not read yet", "state-unknown")), (word,)), 6)
    age = age_text(view.trading_age)
    if view.trading is TradingState.UNKNOWN:
        return _Item(((word, _span(f" for {age}", "muted")), (word,)), 6)
    long, short = f" read {age} ago", f" read {age}"
    return _Item(((word, _span(long, "muted")), (word, _span(short, "muted")), (word,)), 6)


def _alarms(view: HeadlineView) -> _Item:
    full: list[Span] = []
    short: list[Span] = []
    for priority in Priority:
        count = view.alarms.get(priority, 0)
        sign = PRIORITY[priority]
        role: Role = sign.badge if count else "muted"
        pad = " " if count and sign.badge != sign.role else ""
        gap = _span(" " if full else "", "text")
        full += [gap, _span(f"{pad}{sign.mark} {count}{pad}", role)]
        short += [gap, _span(f"{sign.mark}{count}", role)]
    return _Item((tuple(full), tuple(short)), 5)


def _mode(view: HeadlineView) -> _Item:
    if view.is_armed:
        return _Item(((_span("ARMED", "text"),),))
    dash = "-" if is_ascii() else "–"
    return _Item(((_span(f"WATCH {dash} READ ONLY", "strong"),), (_span("READ ONLY", "strong"),)), 2)


def _heart(view: HeadlineView) -> _Item:
    glyphs = "+." if is_ascii() else "●○"
    return _Item(((_span(glyphs[0 if view.is_still else view.beat % 2], "muted"),),))


def _clock(view: HeadlineView) -> _Item:
    try:
        text = time.strftime("%H:%M:%SZ", time.gmtime(view.wall))
    except (ValueError, OverflowError, OSError):
        text = "--:--:--Z"
    return _Item(((_span(text, "text"),), ()), 4)


def _banner(view: HeadlineView, width: int) -> _Item:
    return _Item(_shorter(f" {view.banner} ", "badge-bad", width, 30), 1)


def _join(left: Sequence[_Item], right: Sequence[_Item], width: int) -> Spans:
    """Both sides, one cell free at the right end; what does not fit is shortened in its order, and the
    last resort is to cut the right."""
    width -= 1
    chosen = [0] * (len(left) + len(right))
    items = [*left, *right]
    while True:
        start = _spaced([item.forms[form] for item, form in zip(left, chosen, strict=False)])
        end = _spaced([item.forms[form] for item, form in zip(right, chosen[len(left) :], strict=True)])
        spare = width - spans_width(start) - spans_width(end)
        if spare >= (1 if end and start else 0):
            break
        open_to = [place for place, item in enumerate(items) if chosen[place] + 1 < len(item.forms)]
        if not open_to:
            spare = 1
            break
        chosen[max(open_to, key=lambda place: items[place].drop)] += 1
    return (*start, _span(" " * spare, "text"), *end) if end else start


def _spaced(parts: Sequence[Spans]) -> Spans:
    spans: list[Span] = []
    for part in parts:
        if part:
            spans += [_span("  ", "text")] if spans else []
            spans += part
    return tuple(spans)


@lru_cache(maxsize=256)
def _span(text: str, role: Role) -> Span:
    """A piece of the line, of which most are the same at every beat."""
    return Span(SafeText(text), role)
