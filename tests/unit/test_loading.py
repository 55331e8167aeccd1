"""What the room loads, and what it leaves out."""

from __future__ import annotations

import subprocess
import sys


def test_the_http_client_comes_without_its_command_line() -> None:
    asked = "import sys, backends.engine, httpx; print(httpx.__version__, 'pygments' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == "False"
