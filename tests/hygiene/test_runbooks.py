"""A stack's runbook has every section that its file sends the operator to."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.stacks.loader import built_in

FILES = built_in()


def sections(value: Any) -> Iterator[str]:
    """Every ``section`` at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "section" and isinstance(inner, str):
                yield inner
            yield from sections(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sections(inner)


@pytest.mark.parametrize("stack", FILES)
def test_every_section_named_is_a_heading_and_no_heading_is_there_twice(stack: str) -> None:
    runbook: Path = FILES[stack].with_name("runbook.md")
    headings = re.findall(r"^#{1,6} +(.+?) *$", runbook.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert set(sections(tomllib.loads(FILES[stack].read_text(encoding="utf-8")))) <= set(headings)
