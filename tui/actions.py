"""THE key table. Bindings, footer, help, palette, the README's table and the safety tests all read it.

Emergency actions sit on function keys: nobody types one into the wrong window by habit, they pass
unchanged through tmux and ssh, and no shell, editor or terminal multiplexer claims F9. Each has its own
confirm key, the first letter of its verb, not ``y`` or Enter: a hand that answers questions by habit
confirms nothing, and the key of one dialog does nothing in another.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct
from textual.binding import Binding

from backends.model.procedure import RiskClass


class Where(Enum):
    """Where an action can be used."""

    EVERYWHERE = "everywhere"
    """Also over dialogs, help, the palette and a terminal that is too small."""
    ROOM = "main screen"
    CONTAINERS = "containers"
    LOGS = "logs"


class Action(Struct, frozen=True):
    """One thing an operator can do with a key."""

    id: str
    """Also the name of the method that does it, ``action_<id>``, but for emergencies, which share one."""
    keys: tuple[str, ...]
    """Textual's key names; the first one is the one shown."""
    label: str
    """For the footer: one or two words."""
    description: str
    risk: RiskClass | None = None
    """None for what only changes the view."""
    where: Where = Where.ROOM
    in_watch: bool = True
    """Whether it does something in watch mode; where not, its key there only says why."""
    in_footer: bool = False
    is_emergency: bool = False
    procedure: str | None = None
    """The id of the procedure in the stack file that it starts."""
    confirm: str | None = None
    """The second key, shown in the dialog."""
    is_demo_only: bool = False
    is_view: bool = False
    """Done by the main screen by itself; everything else is done by the app."""

    @property
    def binding(self) -> str:
        """What Textual runs for it."""
        if self.is_emergency:
            return f"app.emergency('{self.id}')"
        return self.id if self.is_view else f"app.{self.id}"


ACTIONS: tuple[Action, ...] = (
    Action(
        "halt",
        ("f9",),
        "HALT",
        "Halt trading: opens the stop dialog, which names its confirm key",
        risk=RiskClass.STOP,
        where=Where.EVERYWHERE,
        in_watch=False,
        in_footer=True,
        is_emergency=True,
        procedure="halt",
        confirm="h",
    ),
    Action(
        "procedures",
        ("e",),
        "procedures",
        "All procedures: what each does, what stands against it now; Enter opens its dialog",
        in_footer=True,
    ),
    Action("next_pane", ("tab",), "next pane", "Go to the next pane", is_view=True),
    Action("previous_pane", ("shift+tab",), "previous pane", "Go to the previous pane", is_view=True),
    Action("pane_containers", ("1",), "containers", "Go to the containers", is_view=True),
    Action("pane_facts", ("2",), "risk keys", "Go to the risk keys", is_view=True),
    Action("pane_alerts", ("3",), "alerts", "Go to the alerts", is_view=True),
    Action("pane_logs", ("4",), "logs", "Go to the logs", is_view=True),
    Action(
        "zoom",
        ("z",),
        "zoom",
        "Show the pane on the whole screen, or all four again",
        in_footer=True,
        is_view=True,
    ),
    Action("detail", ("enter",), "detail", "All that is known about this row", in_footer=True),
    Action(
        "follow",
        ("space",),
        "pause",
        "Follow the logs, or hold them still",
        where=Where.LOGS,
        in_footer=True,
        is_view=True,
    ),
    Action(
        "filter",
        ("slash",),
        "filter",
        "Show only log lines that hold a text",
        where=Where.LOGS,
        in_footer=True,
        is_view=True,
    ),
    Action(
        "level",
        ("l",),
        "level",
        "Lowest log level shown: all, info, warning, error",
        where=Where.LOGS,
        is_view=True,
    ),
    Action(
        "sort_worst", ("w",), "worst first", "Sort by what is wrong", where=Where.CONTAINERS, is_view=True
    ),
    Action("sort_name", ("n",), "by name", "Sort by name", where=Where.CONTAINERS, is_view=True),
    Action("sort_cpu", ("c",), "by CPU", "Sort by CPU, highest first", where=Where.CONTAINERS, is_view=True),
    Action(
        "sort_memory",
        ("m",),
        "by memory",
        "Sort by memory, highest first",
        where=Where.CONTAINERS,
        is_view=True,
    ),
    Action("refresh", ("r",), "refresh", "Ask every source again now"),
    Action("procedure", ("p",), "procedure", "Show the running or last procedure, step by step"),
    Action(
        "acknowledge",
        ("a",),
        "acknowledge",
        "Take note of a verdict; in the alerts, of the unexplained resume under the cursor",
    ),
    Action("checks", ("k",), "checks", "Checks, checklists and known failures: run, and confirmed by name"),
    Action("runbook", ("o",), "runbook", "The runbook, at the section for this row"),
    Action("fleet", ("f",), "all stacks", "All stacks, one line each; Enter goes into one"),
    Action("next_stack", ("right_square_bracket",), "next stack", "Show the next stack"),
    Action("theme", ("t",), "theme", "Next colour theme"),
    Action(
        "faults",
        ("x",),
        "faults",
        "Switch faults of the demo",
        in_watch=False,
        in_footer=True,
        is_demo_only=True,
    ),
    Action("palette", ("colon", "ctrl+p"), "commands", "Find a command by name; starts no emergency action"),
    Action("help", ("question_mark", "f1"), "help", "This list", in_footer=True),
    Action("back", ("escape",), "back", "Leave zoom, filter, or the screen on top", is_view=True),
    Action("quit", ("q",), "quit", "Leave the room; what runs goes on, but no resume", in_footer=True),
)


class Way(Struct, frozen=True):
    """How a dialog was come to, and the key that confirms in it where nothing is typed."""

    confirm: str
    opener: str | None = None
    """The key that asks anew after a failure, on every screen; None for what is opened from the list."""


def way_of(it: Action) -> Way:
    """By the key of an emergency action."""
    return Way(it.confirm or "", it.keys[0])


NO_CONFIRM: Final = frozenset("adexny")
"""Letters that mean something else in a dialog, or that answer questions by habit."""


def way_from_list(title: str, taken: str = "") -> Way:
    """From the list of procedures: confirmed by the first letter of its title that may confirm, and that
    another dialog has not ``taken``."""
    letters = (letter for letter in title.lower() if letter.isascii() and letter.isalpha())
    return Way(next((letter for letter in letters if letter not in {*NO_CONFIRM, taken}), "g"))


_BY_ID = {action.id: action for action in ACTIONS}
EMERGENCIES: tuple[Action, ...] = tuple(action for action in ACTIONS if action.is_emergency)

_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "right_square_bracket": "]",
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "tab": "Tab",
}


def action(ident: str) -> Action:
    """The action of that id; KeyError for none."""
    return _BY_ID[ident]


def emergency_of(key: str) -> Action | None:
    """The emergency that a key opens, None for any other key."""
    return next((it for it in EMERGENCIES if key in it.keys), None)


def key_text(key: str) -> str:
    """A key as an operator names it: ``F9``, ``Ctrl+P``, ``?``."""
    parts = key.split("+")
    named = [_NAMES.get(part, part.capitalize() if len(part) > 1 else part) for part in parts]
    if len(parts) > 1 and len(parts[-1]) == 1:
        named[-1] = parts[-1].upper()
    return "+".join(named)


def keys_text(it: Action) -> str:
    """All keys of an action: ``: or Ctrl+P``."""
    return " or ".join(key_text(key) for key in it.keys)


def available(*, is_watch: bool, is_demo: bool) -> tuple[Action, ...]:
    """The actions of this session, in table order; an emergency key in watch mode says why not."""
    return tuple(
        it
        for it in ACTIONS
        if (is_demo or not it.is_demo_only) and (it.in_watch or not is_watch or it.is_emergency)
    )


def emergency_bindings() -> list[Binding]:
    """For the app: they fire first and everywhere, whatever has the focus."""
    return [
        Binding(",".join(it.keys), it.binding, it.label, id=it.id, priority=True, show=False)
        for it in EMERGENCIES
    ]


def room_bindings() -> list[Binding]:
    """For the main screen."""
    return [
        Binding(",".join(it.keys), it.binding, it.label, id=it.id, show=False)
        for it in ACTIONS
        if not it.is_emergency
    ]


def key_table_markdown() -> str:
    """The README's key table."""
    rows = ["| Key | What it does | Where | In watch mode |", "|---|---|---|---|"]
    for it in ACTIONS:
        key = keys_text(it)
        if it.confirm is not None:
            key += f", then {key_text(it.confirm.upper())}"
        where = f"{it.where.value}, demo only" if it.is_demo_only else it.where.value
        watch = "yes" if it.in_watch else "says why not"
        rows.append(f"| {key} | {it.description} | {where} | {watch} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(key_table_markdown())
