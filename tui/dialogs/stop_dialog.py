"""The confirmation of a stop: one key, other than the one that opened the dialog. Nothing is typed."""

from __future__ import annotations

from textual import events

from backends.model.safetext import SafeText
from tui.actions import key_text
from tui.dialogs.procedure_dialog import ProcedureDialog, Stage
from widgets.span import Span, Spans, spans_width


class StopDialog(ProcedureDialog):
    """Asks once. No source has to answer, nothing has to be green; Enter and the mouse confirm nothing."""

    def confirms(self, event: events.Key) -> bool:
        # Also with caps lock on: a stop must not fail on a lamp nobody sees.
        return event.key.removeprefix("upper_").lower() == self.key_action.confirm

    def question_prompt(self, seconds_left: float, width: int) -> Spans:
        key = key_text((self.key_action.confirm or "").upper())
        return _line(
            [
                (key, self.procedure.title.partition(":")[0].upper()),
                ("Esc", "leave it as it is"),
                ("D", "every word"),
            ],
            f"closes in {seconds_left:.0f} s",
            width,
        )

    def after_prompt(self, width: int) -> Spans:
        opener = key_text(self.key_action.keys[0])
        if self.stage is Stage.NOT_PROVED:
            return _line([(opener, "try again"), ("A", "I have taken over by hand")], "", width)
        if self.stage is Stage.PROVED:
            return _line([("A", "take note"), ("Esc", "close; its line stays")], "", width)
        return _line([("Esc", "close this view")], "closing does not cancel it", width)


def _line(keys: list[tuple[str, str]], note: str, width: int) -> Spans:
    """Keys and what they do; the note only where there is room, later keys give way first."""
    spans: list[Span] = []
    for key, what in keys:
        more = [Span(SafeText(f" {key} "), "badge-key"), Span(SafeText(f" {what}   "), "strong")]
        if spans and spans_width((*spans, *more)) > width:
            break
        spans += more
    if note and spans_width(tuple(spans)) + len(note) <= width:
        spans.append(Span(SafeText(note), "muted"))
    return (Span(SafeText(" ")), *spans)
