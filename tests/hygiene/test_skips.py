"""A test without its server is skipped and named at the end; where all must run, it is a failure.

Nothing else leaves a test out."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import turns

ROOT = Path(__file__).parents[2]

SOURCE = """
from tests.conftest import need

def test_one(): need("teleprinter", "not installed")
def test_two(): need("teleprinter", "not installed")
def test_three(): need("abacus", "not installed")
def test_four(): pass
"""


def run(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Those four tests in a pytest of their own, with our conftest."""
    path = folder / "test_without_servers.py"
    path.write_text(SOURCE)
    kept = {name: value for name, value in os.environ.items() if name != "CONTROLROOM_TEST_REQUIRE"}
    kept[turns.HELD] = "1"
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(path)],
        cwd=ROOT,
        env=kept | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_was_not_run_is_counted_and_named(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "not run here: abacus (1 test), teleprinter (2 tests)" in done.stdout
    assert "1 passed, 3 skipped" in done.stdout.splitlines()[-1]


def test_where_all_is_required_each_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, CONTROLROOM_TEST_REQUIRE="all")
    assert done.returncode == 1
    assert "3 failed, 1 passed" in done.stdout.splitlines()[-1]
    assert "needs [teleprinter]: not installed" in done.stdout


LEAVES_OUT = {"skip", "skipif", "skipTest", "SkipTest", "importorskip", "xfail"}
"""Every way to leave a test out, by whatever name it was imported."""


def skippers(source: str) -> list[int]:
    """Lines that leave a test out."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr in LEAVES_OUT)
        or (isinstance(node, ast.ImportFrom) and any(it.name in LEAVES_OUT for it in node.names))
    ]


def test_only_need_leaves_a_test_out() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    found = [str(path.relative_to(ROOT)) for path in paths for _ in skippers(path.read_text())]
    assert found == ["tests/conftest.py"]


@pytest.mark.parametrize(
    "source",
    [
        "pytest.skip('no')",
        "pytest.importorskip('x')",
        "from pytest import skip",
        "@pytest.mark.skipif(True, reason='no')\ndef test_it(): pass",
        "pytestmark = pytest.mark.xfail",
        "raise unittest.SkipTest",
    ],
)
def test_the_check_sees_every_way_to_leave_a_test_out(source: str) -> None:
    assert skippers(source) == [1]
