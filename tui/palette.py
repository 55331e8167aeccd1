"""Finding a command by name. An emergency action can be read about here, never started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.worker import Worker

from tui.actions import Action, key_text, keys_text
from tui.screens.covering import is_on_top

if TYPE_CHECKING:
    from tui.app import ControlRoom


class RoomCommands(Provider):
    """The actions of this session, by label and description."""

    async def discover(self) -> Hits:
        for name, text, run in self._commands():
            yield DiscoveryHit(name, run, help=text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, text, run in self._commands():
            score = max(matcher.match(name), matcher.match(text))
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=text)

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        app: ControlRoom = self.app  # type: ignore[assignment]  # Textual knows only App
        for it in app.actions:
            if it.id in ("palette", "back"):
                continue
            if it.is_emergency:
                yield f"{it.label} ({describe(it)})", it.description, partial(app.say, describe(it))
            else:
                yield f"{it.label} ({key_text(it.keys[0])})", it.description, partial(app.do, it)


class Palette(CommandPalette):
    """The toolkit's palette over these commands."""

    def __init__(self) -> None:
        super().__init__(providers=[RoomCommands])

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close it and never another screen, as every screen over the room does."""
        return super().dismiss(result) if is_on_top(self) else AwaitComplete()

    def run_worker(self, work: Any, *arguments: Any, **options: Any) -> Worker[Any]:
        """A search ends the program where its list is gone: what was typed before a palette that closes is
        looked for no more."""

        async def search() -> Any:
            return await work() if self.query(CommandList) else None

        return super().run_worker(search, *arguments, **options)


def describe(it: Action) -> str:
    """What to press for an emergency action, in words; all that the palette does about it."""
    confirm = key_text((it.confirm or "").upper())
    return f"press {keys_text(it)}, then {confirm}"
