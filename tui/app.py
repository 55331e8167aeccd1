"""The screen: one reader of the engine, and the hand that gives it intents."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.screen import Screen

from backends.engine import Mode
from backends.journal.drills import DrillBook
from backends.model.clock import Clock, Instant, SystemClock, to_beat
from backends.model.safetext import SafeText
from backends.procedures.trader_latch import RESUMED
from themes.contrast import Depth
from themes.loader import BASE_TCSS, DEFAULT, defaults, shelf
from tui.actions import Action, action, available, emergency_bindings, emergency_of, key_text
from tui.bridge import Bridge
from tui.compat import SteadyApp
from tui.desk import Desk, fate, running
from tui.dialogs.keyed_screen import KeyedScreen
from tui.dialogs.procedure_dialog import ProcedureDialog
from tui.emergency import Emergencies
from tui.face import EngineFace
from tui.hangup import Hangup
from tui.looks import looked_up
from tui.moment import Moment
from tui.presenters.headline import headline
from tui.presenters.progress import notice_line
from tui.presenters.standing import standing
from tui.presenters.state import has_aged, urgent
from tui.said import SAID_FOR, Said
from tui.screens.covering import CoveringScreen
from tui.screens.main import MainScreen
from tui.screens.overlay import Overlay
from tui.screens.text import TextScreen
from tui.tidy import Tidy
from tui.views import load_rest, open_checks, open_detail, open_faults, open_runbook, section_under
from widgets.band import HeadlineView
from widgets.roles import Role
from widgets.span import Spans

AFTER_POLLS = 0.1
"""Seconds from when the engine asks its sources until what is there is drawn, if it was not with a board."""


class ControlRoom(SteadyApp, inherit_bindings=False):
    """The room on a running engine. ``return_code`` is what the process should exit with."""

    CSS_PATH: ClassVar[list[str | PurePath]] = [BASE_TCSS, Path(__file__).with_name("room.tcss")]
    TITLE = "Control Room"
    # Textual's own palette opens over dialogs; ours is an action like any other.
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *emergency_bindings(),
        Binding("ctrl+c", "interrupted", "how to leave", show=False, system=True),
    ]

    def __init__(
        self,
        engine: EngineFace,
        *,
        theme: str | None = None,
        demo_control: Mapping[str, str] | None = None,
        theme_folder: Path | None = None,
        clock: Clock | None = None,
        pulse: float = 1.0,
        desk: Desk | None = None,
        drills: DrillBook | None = None,
        depth: Depth | None = None,
        on_first_frame: Callable[[], None] | None = None,
    ) -> None:
        """``demo_control`` maps stack ids to the control address of a demo, ``theme_folder`` holds the
        user's own themes. ``pulse`` is the seconds between two beats of the room; 0 starts no timer.
        ``on_first_frame`` is called once the room can be seen: to start what would slow that down."""
        super().__init__()
        self.animation_level = "none"
        self.engine = engine
        self.clock = clock or SystemClock()
        self.stack = engine.stacks[0]
        self.desk = desk or Desk(engine.operator)
        self.is_watch = engine.mode is Mode.WATCH
        self._drills = drills or DrillBook(None)
        self._emergencies = Emergencies(self, engine, self.desk, self._drills, is_watch=self.is_watch)
        self._control = dict(demo_control or {})
        self._pulse = pulse
        self._on_first_frame = on_first_frame
        self._beat = 0
        self._tidy = Tidy(pulse or 1.0)
        self._message: Said | None = None
        self._leaves_at = float("-inf")
        self._urgent: tuple[object, ...] = ()
        self._drawn = float("-inf")
        self._shown: object = None
        self._bridge: Bridge | None = None
        self._hangup: Hangup | None = None
        self._shelf = shelf(theme_folder, depth or Depth.of(self.console.color_system))
        for known in self._shelf.themes.values():
            self.register_theme(known)
        self._wanted_theme = theme or DEFAULT
        self.theme = self._wanted_theme if self._wanted_theme in self._shelf.themes else DEFAULT

    @property
    def actions(self) -> tuple[Action, ...]:
        """What can be done in this session."""
        return available(is_watch=self.is_watch, is_demo=self.stack.id in self._control)

    @property
    def room(self) -> MainScreen:
        """The main screen, which is always at the bottom of the stack."""
        screen = self.screen_stack[0]
        if not isinstance(screen, MainScreen):
            raise TypeError("the default screen was replaced")
        return screen

    def moment(self, stack: str | None = None) -> Moment:
        """The newest board of a stack, or of the one on screen, and what time it is."""
        it = self.stack if stack is None else next(it for it in self.engine.stacks if it.id == stack)
        # The board first: with the clock read before, a board made in between would be from the future.
        board = self.engine.board(it.id)
        return Moment(it, board, self.clock.now())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return defaults()

    def get_default_screen(self) -> Screen[Any]:
        is_demo = self.stack.id in self._control
        return MainScreen(
            self.moment(), self.size, is_watch=self.is_watch, is_demo=is_demo, is_live=self._pulse > 0
        )

    def on_mount(self) -> None:
        self._bridge = Bridge(self.engine, self._on_change)
        if self._pulse:
            self.set_timer(to_beat(self.clock.now(), self._pulse) + AFTER_POLLS, self._begin_pulse)
            if sys.stdin.isatty() and not self.is_headless:
                self._hangup = Hangup(partial(self.exit, None), self.engine.stop, sys.stdin.fileno())
        if self.theme != self._wanted_theme:
            self.say(f"there is no theme {self._wanted_theme!r}; this is {self.theme}")
        for problem in self._shelf.problems:
            self.say(problem, "state-warn")
        if len(self.engine.stacks) > 1:
            self.action_fleet()
        self.call_after_refresh(self._settle_in)

    def on_unmount(self) -> None:
        if self._bridge is not None:
            self._bridge.close()

    async def run_async(self, **options: Any) -> Any:
        try:
            return await super().run_async(**options)
        finally:
            if self._hangup is not None:
                self._hangup.ended()

    async def on_event(self, event: events.Event) -> None:
        """Emergency keys and those of their dialogs act here, in the order they were read. On the way through
        focus and bindings a key can be overtaken by the next, lost with a widget that is being removed, or
        reach a dialog that has closed."""
        if not (isinstance(event, events.Key) and not event.is_forwarded and self._take(event)):
            await super().on_event(event)

    def _take(self, event: events.Key) -> bool:
        self._tidy.keyed(self.clock.now().mono)
        it = emergency_of(event.key)
        screen = self.screen
        if it is not None:
            if isinstance(screen, Overlay):
                screen.settle_choice()
            self._emergencies.press(it)
            return True
        if isinstance(screen, KeyedScreen) and (screen.takes_keys or event.key == "escape"):
            return screen.take_key(event)
        if isinstance(screen, MainScreen):
            self._emergencies.heard(event.key)
        return False

    def drawn(self, screen: Screen[Any]) -> None:
        if isinstance(screen, KeyedScreen):
            screen.drawn()

    def redraw(self, *, is_beat: bool = False) -> None:
        """Draw the newest moment on the screen on top: a covered one once it is back, a leaving one never.
        At a mere beat panes may wait for the next while nobody is at the keys."""
        if not self.is_running:
            return
        if isinstance(self.screen, KeyedScreen):
            # First of all: a failure that it shows by itself now does not have to come forward.
            self._show_dialog(self.screen)
        if any(self._emergencies.bring_forward(self.moment(it.id)) for it in self.engine.stacks):
            self.bell()
        moment, screen = self.moment(), self.screen
        self._shown = moment.board
        if isinstance(screen, Overlay):
            screen.show(moment, self._headline(moment), self._said(moment))
        elif isinstance(screen, MainScreen):
            may_wait = is_beat and self._tidy.lets_wait(moment.now, self._drawn)
            if may_wait and not has_aged(moment.board, self._drawn, moment.now.mono):
                screen.show_head(self._headline(moment))
            else:
                self._drawn = moment.now.mono
                screen.show(moment, self._headline(moment), self._notice(moment))

    def _show_dialog(self, screen: KeyedScreen) -> None:
        """The newest moment of the stack that it was opened on."""
        moment = self.moment(screen.stack_id)
        moment = looked_up(moment, screen.procedure, self.engine.checks(screen.stack_id))
        screen.show(moment, self._headline(moment))

    def say(self, text: str, role: Role = "strong", seconds: float = SAID_FOR) -> None:
        """Show a message about the stack on screen for so many seconds, before whatever stands in its line;
        one that comes later is not covered. In a dialog it is a remark; the palette gives way."""
        if not isinstance(self.screen, MainScreen | CoveringScreen):
            self.pop_screen()
        self._message = Said(self.stack.id, SafeText(text), role, self.clock.now(), seconds)
        if isinstance(self.screen, KeyedScreen):
            self.screen.remark(text)
        self.call_after_refresh(self.redraw)

    def put_on_top(self, screen: Screen[None]) -> None:
        """Open a screen; what it covers is drawn anew when it closes. A dialog ends what was said before, and
        knows the newest moment when it is laid out."""
        if isinstance(screen, KeyedScreen):
            self._message = None
            self._show_dialog(screen)
        self.push_screen(screen, self._on_closed)
        self.call_after_refresh(self.redraw)

    def do(self, it: Action) -> None:
        """Run an action as its key would. Raises ValueError for an emergency: only its key starts one."""
        if it.is_emergency:
            raise ValueError(f"{it.id} is started by its key only")
        self.call_later(self.run_action, it.binding, self.room)

    def action_emergency(self, ident: str) -> None:
        self._emergencies.press(action(ident))

    def action_interrupted(self) -> None:
        self.say(f"to leave press {key_text(action('quit').keys[0])}")

    def action_detail(self) -> None:
        key, pane = self.room.selected(), self.room.current
        if key is None:
            self.say("no row here to tell more about; Left and Right read long log lines")
            return
        open_detail(self, key, is_alarm=pane == "alerts")

    def action_checks(self) -> None:
        open_checks(self)

    def action_runbook(self) -> None:
        open_runbook(self, section_under(self))

    def action_help(self) -> None:
        from tui.presenters.help import help_lines  # noqa: PLC0415  not for the first frame

        keys, title = partial(help_lines, self.actions, is_watch=self.is_watch), SafeText("Keys")
        screen = TextScreen(title, self.moment(), lambda _, width: keys(width), is_watch=self.is_watch)
        self.put_on_top(screen)

    def action_faults(self) -> None:
        open_faults(self, self._control.get(self.stack.id))

    def action_palette(self) -> None:
        from tui.palette import Palette  # noqa: PLC0415  costs too much for the first frame

        self.push_screen(Palette(), self._on_closed)

    def action_procedures(self) -> None:
        from tui.screens.procedures import ProcedureScreen  # noqa: PLC0415  not for the first frame

        choose, read = self._emergencies.choose, partial(open_runbook, self)
        self.put_on_top(ProcedureScreen(self.moment(), self._drills, choose, read, is_watch=self.is_watch))

    def action_procedure(self) -> None:
        moment = self.moment()
        run = running(moment.board) or next(iter(moment.board.runs), None)
        if run is None or not self._emergencies.show(run, moment):
            self.say("no procedure has run in this session")

    def action_acknowledge(self) -> None:
        if self.room.current == "alerts" and self.room.selected() in RESUMED:
            self.engine.acknowledge_resume(self.stack.id)
            self.say("the unexplained resume is noted as seen by you; trading is on")
            return
        board = self.room.moment.board  # as it was drawn: what is on no screen yet was not read
        run, under_way = self.desk.open_verdict(board), running(board)
        if run is not None and under_way is not None:
            self.say("a run is shown before the verdict: it can be noted when it has ended")
        elif run is not None and run.verdict is not None:
            self.desk.note(run)
            detail = f"operator took note of the verdict {run.verdict.value}"
            self.engine.record("noted", run.stack, run.procedure, detail)
        self.redraw()

    def action_refresh(self) -> None:
        self.engine.refresh(self.stack.id)
        self.say("asking every source again")

    def action_fleet(self) -> None:
        from tui.screens.fleet import FleetScreen  # noqa: PLC0415  not for the first frame of a single stack

        def moments() -> list[Moment]:
            return [self.moment(it.id) for it in self.engine.stacks]

        self.put_on_top(FleetScreen(moments, self._enter, self.moment(), is_watch=self.is_watch))

    def _enter(self, stack: str) -> None:
        """Make this stack the one that is shown and that emergency keys are about."""
        if stack != self.stack.id:
            self.stack = next(it for it in self.engine.stacks if it.id == stack)
            self._watch_stack()

    def action_next_stack(self) -> None:
        stacks = self.engine.stacks
        self.stack = stacks[(stacks.index(self.stack) + 1) % len(stacks)]
        if len(stacks) == 1:
            self.say("there is only this stack")
        else:
            self._watch_stack()

    def action_theme(self) -> None:
        names = list(self._shelf.themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.say(f"theme {self.theme}")

    async def action_quit(self) -> None:
        """Leave; with a procedure under way only when pressed twice, being told what becomes of it."""
        now = self.clock.now().mono
        runs = [run for it in self.engine.stacks if (run := running(self.engine.board(it.id))) is not None]
        if not runs or now < self._leaves_at:
            self.exit(return_code=0)
            return
        self._leaves_at = now + SAID_FOR
        self.say(f"{runs[0].title} is running and {fate(runs[0])}; q again leaves", "state-warn")

    def _on_change(self) -> None:
        """At most four times a second: draw at once what cannot wait for the next beat, or begin that."""
        if not self.is_running:
            return
        others = tuple(self.engine.board(it.id).runs for it in self.engine.stacks)
        seen = (*urgent(self.engine.board(self.stack.id)), others)
        if self._beat and self._tidy.is_due(self.engine.board(self.stack.id).taken.mono):
            self.call_next(self._on_pulse)
        if seen != self._urgent or isinstance(self.screen, ProcedureDialog) or not self._pulse:
            self._urgent = seen
            self.redraw()

    def _begin_pulse(self) -> None:
        self.set_interval(self._pulse, self._on_pulse)
        self._on_pulse()

    def _on_pulse(self) -> None:
        """Once a second, with its first board or without one; and for one that came after that."""
        if self._tidy.is_due(now := self.clock.now().mono):
            self._beat += 1
            self._tidy.beat(now)
            if self._hangup is not None:
                self._hangup.check()
        elif self.engine.board(self.stack.id) is self._shown:
            return
        self.redraw(is_beat=True)

    def _settle_in(self) -> None:
        """After the first frame: the logs, and what was to wait for it."""
        self._watch_stack()
        if self._on_first_frame is not None:
            self._on_first_frame()
        self.run_worker(partial(load_rest, self._drills), thread=True, group="rest")

    def _watch_stack(self) -> None:
        stack = self.stack.id
        self.room.log_pane.watch_source(self.engine.logs(stack), partial(self.engine.filtered, stack))
        self.redraw()

    def _on_closed(self, _: object) -> None:
        self.call_after_refresh(self.redraw)

    def _headline(self, moment: Moment) -> HeadlineView:
        host = self.engine.operator.host
        return headline(
            moment.stack, moment.board, moment.now, is_armed=not self.is_watch, beat=self._beat, host=host
        )

    def _notice(self, moment: Moment) -> Spans:
        """A run under way, or a verdict; what was said after that stands before it for its seconds."""
        run = running(moment.board) or self.desk.open_verdict(moment.board)
        said = self._said(moment, None if run is None else run.ended or run.started)
        if said or run is None:
            return said
        return notice_line(run, self.size.width, standing(run, moment.board, moment.now))

    def _said(self, moment: Moment, after: Instant | None = None) -> Spans:
        return () if self._message is None else self._message.line(moment, self.size.width, after)
