"""A screen that lies over others and closes again."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.reactive import Reactive
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from widgets.alike import Background


def is_on_top(screen: Screen[None]) -> bool:
    """Whether it is the screen that keys go to."""
    return screen.app.screen is screen


class CoveringScreen(ModalScreen[None], Background):
    """Closes itself and never another screen; the focus is drawn by the widgets that have it.

    Textual closes whatever is on top. A key that was on its way to this screen while it was closed, or
    covered by a dialog, would take the dialog away, or the program with it.
    """

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close it if it is on top, else nothing."""
        return super().dismiss(result) if is_on_top(self) else AwaitComplete()
