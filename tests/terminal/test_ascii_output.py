"""A terminal or a log of another encoding: what it cannot hold is written otherwise, and ends no stop."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.terminal.program import ROOT

HALF_WAY = """
import sys
from tui import cli
from tui.commands.progress import say

def half_way():
    say("Quotes reads 6: mm:quote:BTCUSDT:ask \\u2026")
    sys.stderr.write("\\u2026\\n")
    say("VERIFIED")
    sys.exit(0)

cli.typer.main.get_command = lambda app: lambda prog_name: half_way()
cli.program()
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stop_is_told_to_its_end_where_not_every_sign_can_be_written(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HALF_WAY],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "Quotes reads 6: mm:quote:BTCUSDT:ask \\u2026\nVERIFIED\n", done.stderr
    assert done.returncode == 0
