"""A crash, a signal, a lost terminal: the shell learns of it, the terminal works, no secret is shown."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.safety.on_a_pty import OnAPty

PROGRAM = """
import os
from textual.widgets import Static
from tui.compat import SteadyApp
from tui.hangup import Hangup

class Program(SteadyApp):
    def compose(self):
        yield Static("ready to test")

    def on_mount(self):
        self.hangup = Hangup(lambda code: self.exit(return_code=code))
        self.set_interval(0.2, self.hangup.check)

    def key_c(self):
        canary = "canary-" + "in-a-local"
        raise ValueError("it broke \\x1b]52;c;aGk=\\x07here")

    def key_p(self):
        self.panic("lost")

app = Program()
app.run()
os._exit(app.return_code)  # as the program itself: no more is written to a terminal that may be gone
"""


def _ready(program: OnAPty) -> None:
    program.read_until(lambda: program.saw("ready to test"))


def test_a_crash_says_where_exits_1_restores_the_terminal_and_prints_no_values() -> None:
    with OnAPty(PROGRAM) as program:
        _ready(program)
        program.type(b"c")
        assert program.ends() == 1
        assert program.is_restored()
        assert program.saw("key_c")
        assert program.saw("ValueError")
        assert not program.saw("it broke")
        assert not program.saw("canary-in-a-local")
        assert b"\x1b]52" not in program.written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_good_order(number: signal.Signals) -> None:
    with OnAPty(PROGRAM) as program:
        _ready(program)
        program.process.send_signal(number)
        assert program.ends() == 128 + number
        assert program.is_restored()


GOES_ON = """
from pathlib import Path
import time
print("still at work", flush=True)
while not Path(FOLDER, "done").exists():
    time.sleep(0.01)
"""


def test_a_lost_line_told_again_does_not_end_what_goes_on_after_the_screen(tmp_path: Path) -> None:
    more = GOES_ON.replace("FOLDER", repr(str(tmp_path)))
    with OnAPty(PROGRAM.replace("app.run()\n", f"app.run()\n{more}")) as program:
        _ready(program)
        program.process.send_signal(signal.SIGHUP)
        program.read_until(lambda: program.saw("still at work"))
        program.process.send_signal(signal.SIGHUP)
        (tmp_path / "done").touch()
        assert program.ends() == 128 + signal.SIGHUP


def test_a_terminal_that_goes_away_ends_it_although_no_signal_came() -> None:
    with OnAPty(PROGRAM) as program:
        _ready(program)
        program.hang_up()
        assert program.process.wait(15) == 128 + signal.SIGHUP


def test_a_panic_is_a_failure_to_the_shell() -> None:
    with OnAPty(PROGRAM) as program:
        _ready(program)
        program.type(b"p")
        assert program.ends() == 1
        assert program.is_restored()


STUCK = """
from pathlib import Path
from textual.widgets import Static
from tui import hangup
from tui.compat import SteadyApp

hangup.PATIENCE = 0.5

class Program(SteadyApp):
    def compose(self):
        yield Static("ready to test")

    def on_mount(self):
        last = lambda: Path(FOLDER, "said").write_text("engine stopped")
        hangup.Hangup(lambda code: self.exit(return_code=code), last)
        self.set_interval(0.02, self.paint)
        Path(FOLDER, "ready").touch()

    def paint(self):
        self.query_one(Static).update("\\n".join([str(id(object())) * 6] * 20))

Program().run()
"""


def test_a_signal_ends_it_also_behind_a_terminal_that_reads_nothing(tmp_path: Path) -> None:
    said, ready = tmp_path / "said", tmp_path / "ready"
    with OnAPty(STUCK.replace("FOLDER", repr(str(tmp_path)))) as program:
        program.read_until(ready.exists)  # what it paints leaves no words to wait for
        time.sleep(1)  # fills the terminal: nobody reads
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(15) == 128 + signal.SIGTERM
        assert said.read_text() == "engine stopped"


LIMITED = """
import resource
from tui.crash import harden
resource.setrlimit(resource.RLIMIT_CORE, ({most}, {most}))
harden()
print(*resource.getrlimit(resource.RLIMIT_CORE))
"""


@pytest.mark.parametrize(("most", "left"), [(-1, ("1 1",)), (0, ("0 0", "1 1"))])
def test_no_core_goes_into_a_file_nor_to_a_program_that_collects_them(
    most: int, left: tuple[str, ...]
) -> None:
    """The kernel pipes it to such a program whatever the limit is, but for exactly one byte. Where none is
    the most that may be asked for, as for all but root, none it stays."""
    command = [sys.executable, "-c", LIMITED.format(most=most)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() in left
