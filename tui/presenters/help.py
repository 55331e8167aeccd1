"""The list of keys and of signs, from the tables everything else is made of."""

from __future__ import annotations

from backends.model.safetext import SafeText
from tui.actions import Action, Where, key_text, keys_text
from tui.presenters.block import line
from widgets.glyphs import HEALTH, LEVEL, PRIORITY, QUALITY, TRADING
from widgets.span import Span, Spans, wrap

_KEY = 16
_MOVING = (
    ("Up Down", "move the cursor, scroll"),
    ("PgUp PgDn", "a page"),
    ("Home End", "first, last; in the logs the oldest line, and following again"),
    ("Left Right", "in the logs: read long lines"),
)


def help_lines(actions: tuple[Action, ...], width: int, *, is_watch: bool) -> tuple[Spans, ...]:
    """Emergency keys first, then the others by where they work, then the signs; at most ``width`` cells."""
    lines: list[Spans] = []
    if is_watch:
        lines += [
            line(" WATCH – READ ONLY: this screen holds no code that could change anything.", "strong"),
            (),
        ]
    for title, wheres in (
        ("Emergency, on every screen", (Where.EVERYWHERE,)),
        ("In the room", (Where.ROOM,)),
        ("Containers", (Where.CONTAINERS,)),
        ("Logs", (Where.LOGS,)),
    ):
        found = [it for it in actions if it.where in wheres]
        if found:
            lines.append(line(f" {title}", "accent"))
            lines += [part for it in found for part in _action(it, width)]
            lines.append(())
    lines.append(line(" Moving about", "accent"))
    lines += [part for key, text in _MOVING for part in _entry(key, text, width)]
    lines += [(), line(" Signs", "accent")]
    for table in (TRADING, LEVEL, QUALITY, HEALTH, PRIORITY):
        spans: list[Span] = [Span(SafeText("   "))]
        for sign in table.values():
            spans += [Span(sign.mark, sign.role), Span(SafeText(f" {sign.word}   "), "text")]
        lines.append(tuple(spans))
    lines += [
        (),
        line(" Only a fresh answer looks healthy. A value that cannot be had says so:"),
        line(" STALE: old.  FAILED: no answer.  MISSING: there is no such thing.  NEVER: not asked yet."),
    ]
    return tuple(lines)


def _action(it: Action, width: int) -> list[Spans]:
    text = it.description
    if it.confirm is not None:
        text += f" ({key_text(it.confirm.upper())})"
    return _entry(keys_text(it), text, width)


def _entry(key: str, text: str, width: int) -> list[Spans]:
    indent = 3 + _KEY
    lines = wrap((Span(SafeText(text)),), max(8, width - indent))
    first, rest = Span(SafeText(f"   {key:<{_KEY}}"), "strong"), Span(SafeText(" " * indent))
    return [((rest if number else first), *spans) for number, spans in enumerate(lines)]
