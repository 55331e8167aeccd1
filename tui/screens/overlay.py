"""What lies over the room and closes again. The header and the kill key stay in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.model.safetext import SafeText
from tui.actions import EMERGENCIES
from tui.moment import Moment
from tui.screens.covering import CoveringScreen
from tui.screens.hints import hints
from widgets.band import HeadlineView
from widgets.footer import Footer, Hint
from widgets.headline import Headline
from widgets.pane import Pane
from widgets.span import Spans


class Overlay(CoveringScreen):
    """A pane over the room, with the room's header above and the emergency keys below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "close", show=False)]

    OTHER_KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("Esc", "close"),)
    """What else the footer names, where everything can be done."""

    def __init__(self, title: SafeText, moment: Moment, *, is_watch: bool) -> None:
        super().__init__()
        self.moment = moment
        self._title_text = title
        self._is_watch = is_watch

    @property
    def other_keys(self) -> tuple[tuple[str, str], ...]:
        """What else the footer names in this mode."""
        return self.OTHER_KEYS

    def body(self) -> Sequence[Widget]:
        """What the pane holds."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield Headline(id="headline")
        yield Pane(self._title_text, *self.body())
        yield Footer()

    def on_mount(self) -> None:
        self._show_footer(())
        self.show_body()

    def show(self, moment: Moment, headline: HeadlineView, message: Spans) -> None:
        """Draw the newest moment, and in the footer what there is to say."""
        self.moment = moment
        if self.is_mounted:
            self.query_one(Headline).show(headline)
            self._show_footer(message)
            self.show_body()

    def _show_footer(self, message: Spans) -> None:
        shown = hints(EMERGENCIES, is_watch=self._is_watch, labels={})
        shown += [Hint(SafeText(key), SafeText(label)) for key, label in self.other_keys]
        note = SafeText("".join(span.text for span in message).strip())
        self.query_one(Footer).show(shown, note, message[0].role if message else "muted")

    def settle_choice(self) -> None:
        """Take what is under the cursor for chosen now: an emergency key means what is seen."""

    def show_body(self) -> None:
        """Draw what the pane holds from the newest moment."""

    def action_close(self) -> None:
        self.dismiss()
