"""A screen to which every key goes in the order they were read, and which is deaf until it can be seen."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Final

from textual import events

from backends.model.procedure import Procedure
from tui.actions import key_text
from tui.dialogs.arming import DEAF_SECONDS, Arming
from tui.moment import Moment
from tui.screens.covering import CoveringScreen
from widgets.band import HeadlineView

SCROLLING: Final = frozenset({"up", "down", "pageup", "pagedown", "home", "end"})
"""Keys left to what scrolls; every other one ends in the screen."""


class KeyedScreen(CoveringScreen):
    """Opened on one stack, whatever is shown later. No key passes it in silence."""

    SEEN: ClassVar[str] = "#text"
    """What must be on the terminal before it listens."""

    procedure: Procedure
    """What it is about."""

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self._moment = moment
        self._arming = Arming(moment.now)
        self._remark = ""
        self._headline: HeadlineView | None = None

    @property
    def stack_id(self) -> str:
        """The stack it was opened on; the target never moves after that."""
        return self._moment.stack.id

    @property
    def is_seen(self) -> bool:
        """Whether it has been on the terminal."""
        return self._arming.is_seen

    @property
    def is_listening(self) -> bool:
        """Whether a key would count now."""
        return self._arming.hears(events.Event().time)

    @property
    def takes_keys(self) -> bool:
        """Whether keys are for the screen itself; False while the keyboard is in a line to type into."""
        return True

    @property
    def stands(self) -> bool:
        """Whether there is something to draw on: not while it comes up, nor while the room is left."""
        return self.is_mounted and bool(self.query(self.SEEN))

    @abstractmethod
    def show(self, moment: Moment, headline: HeadlineView | None) -> None:
        """Draw the newest moment; also where idleness is noticed."""

    @abstractmethod
    def take_key(self, event: events.Key) -> bool:
        """Act on a key, or say why not; False for one that moves what scrolls."""

    @abstractmethod
    def show_prompt(self) -> None:
        """Draw the line of keys, with the remark."""

    def drawn(self) -> None:
        """A frame of it went to the terminal. It listens a moment after the first with text on it."""
        if not self._arming.is_seen and self.stands and self.query_one(self.SEEN).size.height:
            # The clock of key events, which are stamped when they are read.
            self._arming.seen(events.Event().time)
            self.set_timer(DEAF_SECONDS + 0.01, self.show_prompt)

    def hears(self, event: events.Key) -> bool:
        """Whether this key was read late enough after the screen could be seen; if not it is said."""
        is_heard = self._arming.hears(event.time)
        if not is_heard:
            self.remark(f"{name_of(event)} came too early: press it again")
        return is_heard

    def remark(self, text: str) -> None:
        """Say something about a key beside the keys that are there, until the next one."""
        self._remark = text
        self.show_prompt()

    def touched(self) -> None:
        """A key came: somebody is there, and the last remark is over."""
        self._arming.touched(self._moment.now)
        self._remark = ""

    def on_key(self, event: events.Key) -> None:
        """A key that came by way of a widget of the screen."""
        if self.take_key(event):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text confirms nothing."""
        event.stop()
        self.remark("pasted text counts for nothing here")


def name_of(event: events.Key) -> str:
    """A key as the operator knows it."""
    return event.character if event.character and event.is_printable else key_text(event.key)
