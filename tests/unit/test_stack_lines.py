"""Every key of a TOML file is found on the line it stands on."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from backends.stacks.loader import built_in
from backends.stacks.toml_lines import Place, locate

AWKWARD = """\
# a comment with = and [brackets]
top = "a # is no comment here"
"quoted.key" = 1
site."google.com".on = true     # dotted
text = '''
[not.a.table]
key = "nor a key"'''
more = \"\"\"a \\\"\"\" quote
x = 1\"\"\"\"
list = [  # items on lines of their own
  1, "two, ]",

  [3, 4],
  {a = 1, b.c = [5,
6]},
]
when = 1979-05-27 07:32:00
empty = []
none = {}

[table]
a = {x = 1, y = {z = "}"}}

[[row]]
name = "first"
[[row.cell]]
v = 1
[[row.cell]]
v = 2
[row.cell.deep]
w = 3

[[row]]
name = "second"
[[row.cell]]
v = 4
  [ table . "spaced out" ]
k = 1
"escaped\\u00e9" = 2
"""


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    if at:
        yield at
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for part, inner in items:
        yield from places(inner, (*at, part))


def test_each_place_of_an_awkward_file_has_its_line() -> None:
    lines = locate(AWKWARD)
    text = AWKWARD.splitlines()
    expected = {
        ("top",): "top = ",
        ("quoted.key",): '"quoted.key"',
        ("site", "google.com", "on"): "site.",
        ("text",): "text = ",
        ("more",): "more = ",
        ("list",): "list = ",
        ("list", 0): "  1, ",
        ("list", 1): "  1, ",
        ("list", 2, 1): "  [3, 4]",
        ("list", 3, "a"): "  {a = 1",
        ("list", 3, "b", "c", 0): "  {a = 1",
        ("list", 3, "b", "c", 1): "6]},",
        ("when",): "when = ",
        ("table", "a", "y", "z"): "a = {x",
        ("row", 0, "name"): 'name = "first"',
        ("row", 0, "cell", 1, "v"): "v = 2",
        ("row", 0, "cell", 1, "deep", "w"): "w = 3",
        ("row", 1, "name"): 'name = "second"',
        ("row", 1, "cell", 0, "v"): "v = 4",
        ("table", "spaced out", "k"): "k = 1",
        ("table", "spaced out", "escapedé"): '"escaped',
    }
    assert {place: text[lines[place] - 1][: len(start)] for place, start in expected.items()} == expected


def test_no_place_is_forgotten_and_none_is_made_up() -> None:
    assert set(locate(AWKWARD)) == set(places(tomllib.loads(AWKWARD)))


def test_lines_count_the_same_with_windows_line_ends() -> None:
    assert locate(AWKWARD.replace("\n", "\r\n")) == locate(AWKWARD)


def test_in_a_real_stack_file_every_key_is_named_on_its_line() -> None:
    for path in built_in().values():
        source = path.read_text(encoding="utf-8")
        lines, text = locate(source), source.splitlines()
        found = list(places(tomllib.loads(source)))
        assert set(found) == set(lines)
        for place in found:
            line = text[lines[place] - 1]
            key = next(part for part in reversed(place) if isinstance(part, str))
            is_item = isinstance(place[-1], int)
            assert key in line or is_item, f"{place} is not on line {lines[place]}: {line}"
