"""The room itself: a crash in it shows no secret, and a lost terminal does not take a procedure along."""

from __future__ import annotations

import signal

from tests.safety.on_a_pty import OnAPty

PROGRAM = """
import sys
from backends.model.clock import SystemClock
from tests.clock import FakeClock
from tests.pilot.fake_engine import FakeEngine
from tests.pilot.world import fresh
from tui.app import ControlRoom

clock = FakeClock()
engine = FakeEngine(fresh(clock.now()), clock)

def refresh(stack):
    password = "canary-" + "secret"
    raise ConnectionError(f"redis://user:{password}@host refused")

engine.refresh = refresh
app = ControlRoom(engine, clock=clock)
app.run()
engine.stop()
sys.stderr.write(f"engine stopped: {engine.stopped}, submitted: {len(engine.submitted)}\\n")
sys.exit(app.return_code)
"""


def _ready(program: OnAPty) -> None:
    program.read_until(lambda: program.saw("1 Containers") and program.saw("F9"))


def test_a_crash_of_the_room_names_the_place_and_no_value() -> None:
    with OnAPty(PROGRAM) as program:
        _ready(program)
        program.type(b"r")
        assert program.ends() == 1
        assert program.is_restored()
        assert program.saw("in action_refresh")
        assert program.saw("ConnectionError")
        assert not program.saw("canary-secret")
        assert program.saw("engine stopped: True")


def test_q_leaves_with_0_and_the_terminal_as_it_was() -> None:
    with OnAPty(PROGRAM) as program:
        _ready(program)
        program.type(b"q")
        assert program.ends() == 0
        assert program.is_restored()


def test_a_hang_up_after_the_second_key_leaves_the_intent_with_the_engine() -> None:
    with OnAPty(PROGRAM) as program:
        _ready(program)
        program.type(b"\x1b[20~")
        program.read_until(lambda: program.saw("HALT TRADING"))
        program.written = b""
        program.read_until(lambda: _typed(program, b"h") or program.saw("Handed to the engine"))
        program.process.send_signal(signal.SIGHUP)
        assert program.ends() == 128 + signal.SIGHUP
        assert program.saw("submitted: 1")


def _typed(program: OnAPty, keys: bytes) -> bool:
    program.type(keys)
    return False
