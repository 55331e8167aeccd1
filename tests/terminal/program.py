"""How tests start the program, and what they look for on its screen."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

from tests.servers.forked import run_forked
from tests.terminal.screen import Terminal

ROOT = Path(__file__).parents[2]

CONTROLROOM = (sys.executable, "-m", "tui.cli")

BYTES = {
    **{
        names[0].value: sequence.encode("latin-1")
        for sequence, names in ANSI_SEQUENCES_KEYS.items()
        if isinstance(names, tuple) and len(names) == 1
    },
    # As newer terminals send it: nobody waits to see whether it begins something longer.
    "escape": b"\x1b[27u",
    "slash": b"/",
    "colon": b":",
    "question_mark": b"?",
    "right_square_bracket": b"]",
}
"""What a terminal sends for Textual's key names; a single character is itself."""

_HELD = {"shift": 1, "alt": 2, "ctrl": 4, "super": 8}


def key_bytes(key: str) -> bytes:
    """The bytes of one key by Textual's name; what older terminals cannot send as newer ones do. TypeError
    or KeyError for a name that is none."""
    if len(key) == 1:
        return key.encode()
    if key in BYTES:
        return BYTES[key]
    *held, last = key.split("+")
    code = 127 if last == "backspace" else ord(last)
    return b"\x1b[%d;%du" % (code, 1 + sum(_HELD[name] for name in held))


def room(
    config: Path, env: Mapping[str, str], *arguments: str, columns: int = 160, rows: int = 48
) -> Terminal:
    """The room on that config in a terminal of its own."""
    return Terminal([*CONTROLROOM, "--config", str(config), *arguments], env, columns, rows)


def command(
    config: Path, env: Mapping[str, str], *arguments: str, seconds: float = 40.0
) -> subprocess.CompletedProcess[str]:
    """One command without a terminal, run to its end."""
    return run_forked(["--config", str(config), *arguments], env, ROOT, seconds)


def cold_command(
    config: Path, env: Mapping[str, str], *arguments: str, seconds: float = 40.0
) -> subprocess.CompletedProcess[str]:
    """The same in a process that begins with nothing, as in a shell."""
    return subprocess.run(
        [*CONTROLROOM, "--config", str(config), *arguments],
        stdin=subprocess.DEVNULL,
        env=dict(env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def until_it_listens(terminal: Terminal, key: str = " H  HALT") -> None:
    """Until keys count in the dialog that is shown: the ones it names then stand out, ``key`` among them."""

    def stands_out(_: str) -> bool:
        style = terminal.style(key)
        return style is not None and style[2] is True

    terminal.wait_for(stands_out)


def panes_are_filled(text: str) -> bool:
    """Whether each of the four panes shows what only a real answer brings."""
    containers = " healthy " in text and "never read" not in text
    facts = re.search(r"Kill switch +(trading allowed|allowed|TRADING HALTED|HALTED)", text)
    logs = re.search(r"\d\d:\d\d:\d\d (INF|WRN|ERR|DBG|CRT)\b", text)
    alerts = "3 Alerts" in text and "not asked yet" not in text
    return bool(containers and facts and logs and alerts)
