"""Exceptions to the rules say why, and no failure is swallowed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("backends", "widgets", "themes", "tui")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
ALL = SOURCES + sorted((ROOT / "tests").rglob("*.py"))
EXCUSE = re.compile(r"#\s*(?:noqa\b(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[\w, -]+\])?)(?P<rest>.*)$")


def has_reason(line: str) -> bool:
    """Whether the line is a comment, or an excuse with words behind it."""
    found = EXCUSE.search(line)
    return line.strip().startswith("#") if found is None else len(found["rest"].strip(" #()")) >= 8


def unexplained(path: Path) -> Iterator[str]:
    """Excuses without a reason on their line, or on one of the three before it."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        found = EXCUSE.search(line)
        if found is None or path == Path(__file__):
            continue
        if not (has_reason(line) or any(has_reason(near) for near in lines[max(0, number - 4) : number - 1])):
            yield f"{path.relative_to(ROOT)}:{number}"


def test_every_excuse_from_a_check_gives_its_reason() -> None:
    assert [place for path in ALL for place in unexplained(path)] == []


def swallowers(tree: ast.AST) -> Iterator[int]:
    """Lines of handlers that catch everything and do nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            is_broad = node.type is None or any(
                isinstance(name, ast.Name) and name.id in ("Exception", "BaseException")
                for name in ast.walk(node.type)
            )
            if is_broad and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body):
                yield node.lineno
        is_suppress = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress")
        if is_suppress and {"Exception", "BaseException"} & {ast.unparse(it) for it in node.args}:
            yield node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_failure_is_swallowed(path: Path) -> None:
    assert list(swallowers(ast.parse(path.read_text()))) == []


def test_the_swallow_check_sees_what_it_looks_for() -> None:
    bad = "try:\n    pass\nexcept Exception:\n    pass\nwith suppress(Exception):\n    pass\n"
    assert list(swallowers(ast.parse(bad))) == [3, 5]


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in ALL
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []
