"""A secret is revealed where it goes onto a wire or into a signature, at one place of each adapter."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("backends", "tui", "widgets", "themes")

WHERE = ("backends/readers/", "backends/writers/")
BESIDES = {
    "backends/redis_place.py": "what every connection to Redis is made with",
    "backends/model/credential.py": "signs, for readers and writers",
    "backends/config.py": "takes an address apart that may hold a password",
    "backends/anchor_setting.py": "the same for the anchor's",
    "tui/dialogs/ask_screen.py": "hands on a secret that the operator names by its file",
}
TWO = {
    "backends/readers/anchor.py": "two kinds of places that are asked",
    "backends/model/credential.py": "two ways to sign",
    "backends/writers/service_jwt.py": "whether it is a key, and then the signing",
}


def sites(source: str) -> list[int]:
    """The lines at which a secret is revealed, in whatever way."""
    names = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return sorted(node.lineno for node in names if node.attr in ("reveal", "_Secret__value"))


@cache
def found() -> dict[str, list[int]]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    by_file = {name: sites(text) for name, text in texts.items() if "reveal" in text or "__value" in text}
    return {name: lines for name, lines in by_file.items() if lines}


def test_only_adapters_reveal_a_secret() -> None:
    elsewhere = [name for name in found() if not name.startswith(WHERE) and name not in BESIDES]
    assert elsewhere == []
    assert found().keys() >= BESIDES.keys()


def test_each_does_so_at_one_place() -> None:
    assert {name: lines for name, lines in found().items() if len(lines) > (2 if name in TWO else 1)} == {}
    assert [name for name in TWO if len(found()[name]) < 2] == []


def test_every_way_to_reveal_one_is_seen() -> None:
    lines = "a.reveal()\nb = secret.password.reveal\nc(lambda: x._Secret__value)\nd.revealed()\n"
    assert sites(lines) == [1, 2, 3]
