"""Key hints for a footer, from the key table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backends.model.safetext import SafeText
from tui.actions import Action, key_text
from widgets.footer import Hint


def hints(actions: Iterable[Action], *, is_watch: bool, labels: Mapping[str, str]) -> list[Hint]:
    """A hint for each action of the footer; ``labels`` replaces that of an action by id.

    In watch mode an emergency key is still named, and that it does nothing here.
    """
    found = []
    for it in actions:
        if not it.in_footer:
            continue
        label = labels.get(it.id, it.label)
        if it.is_emergency and is_watch:
            label = f"{label}: not here"
        is_loud = it.is_emergency and not is_watch
        is_kept = it.id in ("help", "quit")
        found.append(Hint(SafeText(key_text(it.keys[0])), SafeText(label), is_loud, keep=is_kept))
    return found
