"""The confirmation of a stop and of a routine: one key, other than the one that opened the dialog."""

from __future__ import annotations

from textual import events

from tui.actions import key_text
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.dialogs.prompt import key_line
from widgets.span import Spans


class KeyDialog(ProcedureDialog):
    """Asks once and has nothing typed; Enter and the mouse confirm nothing. For a stop no source has to
    answer and nothing has to be green."""

    def confirms(self, event: events.Key) -> bool:
        # Also with caps lock on: a stop must not fail on a lamp nobody sees.
        return event.key.removeprefix("upper_").lower() == self.way.confirm

    def takes(self, event: events.Key) -> bool:
        if not self.confirms(event):
            return False
        if self.hears(event):
            self.submit()
        return True

    def question_prompt(self, seconds_left: float, width: int) -> Spans:
        key = key_text(self.way.confirm.upper())
        keys = [(key, self.verb), ("Esc", "leave it as it is"), ("D", "every word")]
        return key_line(keys, f"closes in {seconds_left:.0f} s", width)
