"""Prometheus text is understood in a time that grows with its length and no faster, whatever it is."""

from __future__ import annotations

from time import thread_time

import pytest

from backends.readers.coerce import MisfitError
from backends.readers.exposition import Sample, matching, samples

BLANKS = " " * 100_000


@pytest.mark.parametrize(
    "line",
    [f'm{{a="b"{BLANKS}x 1', f"m{BLANKS}a b c", f"m{{{BLANKS}x 1", f"m 1{BLANKS}x y", f'm{{a="{BLANKS}'],
    ids=["after a label", "before a value", "in braces", "after a value", "in a label"],
)
def test_a_line_of_blanks_is_refused_at_once(line: str) -> None:
    began = thread_time()
    with pytest.raises(MisfitError, match="line 1 is not Prometheus text"):
        samples(line.encode())
    assert thread_time() - began < 1


def test_blanks_are_allowed_wherever_the_format_allows_them() -> None:
    text = b'a 1\nb{} 2\nc {x="1"} 3\nd{ x = "1" , y="a,\\"} b" , } 4 1795275062500\ne\t5'
    assert samples(text) == [
        Sample("a", {}, "1"),
        Sample("b", {}, "2"),
        Sample("c", {"x": "1"}, "3"),
        Sample("d", {"x": "1", "y": 'a,"} b'}, "4"),
        Sample("e", {}, "5"),
    ]
    assert matching(samples(text), ' d { y = "a,\\"} b" } ').total == 1
