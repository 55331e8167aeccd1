"""What we use of the toolkit's private names is still there and still does what we use it for."""

from __future__ import annotations

import inspect
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual._compositor import ChopsUpdate
from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.widget import Widget

from tests.safety.on_a_pty import OnAPty
from tui.compat import Bell, SteadyApp, SteadyDriver

BUSY = """
import sys
from pathlib import Path
from textual.widgets import Static
from tui.compat import SteadyApp, queued_writes

class Program(SteadyApp):
    beats = 0

    def compose(self):
        yield Static("ready to test")

    def on_mount(self):
        self.set_interval(0.02, self.beat)

    def beat(self):
        self.beats += 1
        new = Path(sys.argv[1] + ".new")
        new.write_text(str(self.beats))
        new.replace(sys.argv[1])  # never seen half written
        self.query_one(Static).update("\\n".join(f"{self.beats:06d} " * 11 for _ in range(23)))

app = Program()
app.run()
sys.exit(app.return_code)
"""

TYPED = """
import sys
from textual.widgets import Static
from tui.compat import SteadyApp

class Program(SteadyApp):
    def compose(self):
        yield Static("ready to test")

    def on_key(self, event):
        self.query_one(Static).update(f"it was {event.key}")

app = Program()
app.run()
sys.exit(app.return_code)
"""


def test_a_frame_passes_through_display() -> None:
    assert list(inspect.signature(App._display).parameters) == ["self", "screen", "renderable"]
    assert "_driver.write" in inspect.getsource(App._display)
    assert "renderable.render_segments(console)" in inspect.getsource(App._display)
    assert list(inspect.signature(ChopsUpdate).parameters) == ["chops", "spans", "chop_ends"]


async def test_the_styles_are_read_once_before_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    parse, reparse = Stylesheet._parse_rules, Stylesheet.reparse
    assert "_parse_cache" in inspect.getsource(parse), "what was read is no longer kept: the override can go"

    def again(it: Stylesheet) -> None:
        read.append(len(it.source))
        reparse(it)

    monkeypatch.setattr(Stylesheet, "reparse", again)
    app = SteadyApp()
    app.theme = "nord"
    async with app.run_test() as pilot:
        await pilot.pause()
        assert not read
        assert app.styles.background == Color.parse(app.theme_variables["background"])
        app.theme = "textual-light"
        await pilot.pause()
        assert read
        assert app.styles.background == Color.parse(app.theme_variables["background"])


async def test_no_screen_is_given_what_nothing_here_uses() -> None:
    app = SteadyApp()
    as_it_is = {"tooltips": not app._disable_tooltips, "notifications": not app._disable_notifications}
    async with app.run_test(**as_it_is):
        assert not app.screen.query("Tooltip, ToastRack")


def test_a_widget_tells_its_screen_what_is_to_be_painted_when_it_is_idle() -> None:
    assert "self._check_refresh()" in inspect.getsource(Widget._on_idle)
    assert "screen.post_message(messages.Update(self))" in inspect.getsource(Widget._check_refresh)


def test_the_colours_around_a_widget_are_remembered_of_the_class_and_not_of_the_widget() -> None:
    it = inspect.getattr_static(StylesCache, "get_inner_outer")
    assert isinstance(it, classmethod)
    assert not isinstance(it.__func__, classmethod), "the toolkit does so itself: the override can go"
    assert list(inspect.signature(it.__func__).parameters) == ["cls", "base_background", "background"]
    assert StylesCache().get_inner_outer(*[Color(1, 2, 3)] * 2)[0].background == Color(1, 2, 3)


def test_the_toolkit_paints_as_often_as_the_room_asks_for() -> None:
    asked = "import tui.app; from textual.screen import UPDATE_PERIOD; print(UPDATE_PERIOD)"
    env = {name: value for name, value in os.environ.items() if name != "TEXTUAL_FPS"}
    said = subprocess.run([sys.executable, "-c", asked], env=env, capture_output=True, text=True, check=True)
    assert float(said.stdout) == pytest.approx(1 / 120)


def test_the_driver_writes_through_a_queue_that_can_be_asked_for_its_length() -> None:
    writer = WriterThread(sys.stdout)
    assert writer._queue.qsize() == 0
    assert writer._queue.maxsize > 3 * 3
    assert "self._writer_thread" in inspect.getsource(LinuxDriver.start_application_mode)


def test_the_input_thread_is_a_method_of_the_driver_that_only_reads() -> None:
    assert "self.run_input_thread()" in inspect.getsource(LinuxDriver._run_input_thread)
    assert "self.exit_event" in inspect.getsource(LinuxDriver.run_input_thread)
    assert "self.exit_event.set()" in inspect.getsource(LinuxDriver.disable_input)
    assert "self._timeout_time" in inspect.getsource(XTermParser.tick)
    assert SteadyApp().driver_class is SteadyDriver


def test_the_end_is_heard_for_as_long_as_it_is_rung_and_no_longer() -> None:
    bell = Bell()
    for _ in range(2):
        assert not select.select([bell.ear], [], [], 0)[0]
        bell.set()
        bell.set()
        assert bell.is_set() and select.select([bell.ear], [], [], 0)[0]
        bell.clear()
        bell.clear()
    assert not bell.is_set() and not select.select([bell.ear], [], [], 0)[0]


def test_the_driver_asks_one_method_for_the_size_of_the_terminal() -> None:
    assert "self._get_terminal_size()" in inspect.getsource(LinuxDriver.start_application_mode)
    assert "self.console.size" in inspect.getsource(App.size.fget)


def test_a_crash_ends_in_fatal_error_with_the_names_it_uses() -> None:
    assert "self._fatal_error()" in inspect.getsource(App._handle_exception)
    assert "self._return_code = 1" in inspect.getsource(App._handle_exception)
    fatal = inspect.getsource(App._fatal_error)
    assert "show_locals=True" in fatal, "the crash screen no longer shows locals: the override can go"
    for name in ("_exit_renderables", "_close_messages_no_wait"):
        assert name in fatal
    assert "_return_code" not in inspect.getsource(App.panic), "panic sets the status itself: override can go"


def test_a_terminal_that_stops_reading_does_not_stop_the_loop(tmp_path: Path) -> None:
    beats = tmp_path / "beats"
    with OnAPty(BUSY.replace("sys.argv[1]", repr(str(beats)))) as program:
        program.read_until(lambda: beats.exists() and int(beats.read_text()) > 10)
        start = int(beats.read_text())
        end = time.monotonic() + 15
        while int(beats.read_text()) < start + 100:
            assert time.monotonic() < end, "the event loop stood still behind a full terminal"
            time.sleep(0.05)
        stuck_at = int(beats.read_text())
        program.written = b""
        program.read_until(lambda: any(program.saw(f"{stuck_at + n:06d}") for n in range(200)))


def test_a_key_in_pieces_and_one_after_rubbish_reach_the_program() -> None:
    with OnAPty(TYPED) as program:
        program.read_until(lambda: program.saw("ready to test"))
        program.type(b"\x1b[2")
        time.sleep(0.3)
        program.type(b"0~")
        program.read_until(lambda: program.saw("it was f9"))
        program.type(b"\xff\xfe\x1b[>1;2q")
        program.type(b"h")
        program.read_until(lambda: program.saw("it was h"))
