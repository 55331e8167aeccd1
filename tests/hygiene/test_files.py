"""The house stays small and tidy: sizes, names, and nothing of one machine in the files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "managers", "shared"}
TEXT = {".py", ".md", ".toml", ".tcss", ".sql", ".json", ".lock", ".sh", ""}
FOLDERS = {"backends", "widgets", "themes", "tui", "tests", "docs", ".ci"}
MACHINE = re.compile(r"/(?:work|opt/pypi|root)/")


def tracked() -> list[Path]:
    """Files git knows, as paths below the root."""
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    return [Path(name) for name in out.split("\0") if name and (ROOT / name).is_file()]


FILES = tracked()


def test_no_source_file_is_longer_than_400_lines() -> None:
    lengths = {path: (ROOT / path).read_text().count("\n") for path in FILES if path.suffix == ".py"}
    assert lengths, "no Python file found: this check checks nothing"
    assert {str(path): count for path, count in lengths.items() if count > LONGEST} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part for path in FILES if path.suffix == ".py" for part in path.with_suffix("").parts}
    assert parts & VAGUE == set()


def test_the_top_level_holds_the_agreed_folders_and_no_other() -> None:
    assert {path.parts[0] for path in FILES if len(path.parts) > 1} <= FOLDERS


@pytest.mark.parametrize("folder", sorted(FOLDERS - {"docs", ".ci", "tests"}))
def test_a_package_of_one_file_is_a_file(folder: str) -> None:
    packages = {path.parent for path in FILES if path.name == "__init__.py" and path.parts[0] == folder}
    lonely = [
        str(package)
        for package in packages
        if sum(1 for path in FILES if path.parent == package or package in path.parents) < 2
    ]
    assert lonely == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    here = Path(__file__).relative_to(ROOT)
    found = [
        f"{path}: {hit.group()}"
        for path in FILES
        if path.suffix in TEXT and path != here
        for hit in MACHINE.finditer((ROOT / path).read_text(errors="replace"))
    ]
    assert found == []


def test_the_lock_file_holds_names_and_versions_only() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line)]
    assert len(lines) > 30
    assert wrong == []
