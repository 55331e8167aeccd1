"""One key table, and nothing beside it; what the toolkit keeps to itself is used in one file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.pilot.rooms import make_room, opened
from tui.actions import ACTIONS, EMERGENCIES, key_table_markdown, key_text

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tui").rglob("*.py")) + sorted((ROOT / "widgets").rglob("*.py"))
OWN = ("self", "cls", "super()")

TEXTUALS_OWN = {
    "_display", "_driver", "_fatal_error", "_exit_renderables", "_close_messages_no_wait", "_return_code",
    "_writer_thread", "_queue", "_compositor", "_bindings", "_merged_bindings", "_handle_exception",
    "_screen_stack", "_nodes", "_css_update_count", "_begin_update", "_end_update", "_sync_available",
}  # fmt: skip
"""Names a file of ours could be tempted to use; reading any of another object's is forbidden anyway."""


def test_the_table_has_a_row_for_every_action() -> None:
    rows = key_table_markdown().splitlines()[2:]
    assert len(rows) == len(ACTIONS)
    assert rows[0].startswith("| F9, then H |")


def test_keys_are_named_as_on_the_keyboard() -> None:
    assert [key_text(key) for key in ("f9", "question_mark", "ctrl+p", "shift+tab", "space", "z")] == [
        "F9", "?", "Ctrl+P", "Shift+Tab", "Space", "z",
    ]  # fmt: skip


async def test_the_footer_is_made_of_the_table_with_the_emergency_first() -> None:
    async with opened(make_room(is_demo=True), (200, 60)) as room:
        footer = room.text().splitlines()[-1]
        assert footer.strip().startswith(f"{key_text(EMERGENCIES[0].keys[0])}  {EMERGENCIES[0].label}")
        for it in ACTIONS:
            assert (f"{key_text(it.keys[0])} {it.label}" in footer) is (it.in_footer and not it.is_emergency)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_private_names_of_others_are_used_in_one_file_only(path: Path) -> None:
    if path.name == "compat.py":
        return
    assert [_place(node) for node in ast.walk(ast.parse(path.read_text())) if _is_foreign(node)] == []


def _is_foreign(node: ast.AST) -> bool:
    """A private attribute of something that is not the object itself, or one of Textual's by name."""
    if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.startswith("__"):
        return False
    if ast.unparse(node) == "os._exit":  # public in spite of its name
        return False
    return ast.unparse(node.value) not in OWN or node.attr in TEXTUALS_OWN


def _place(node: ast.AST) -> str:
    return f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}"


def test_the_check_sees_what_it_is_for() -> None:
    found = [
        node for node in ast.walk(ast.parse("app._driver; self._driver; self._mine")) if _is_foreign(node)
    ]
    assert [ast.unparse(node) for node in found] == ["app._driver", "self._driver"]
