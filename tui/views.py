"""Opening what lies over the room: details with their known failures, checks, the runbook; and loading what
opens more of it."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from backends.model.board import SERVICE
from backends.model.check import Check, Diagnosis
from backends.model.safetext import SafeText
from tui.moment import Moment
from tui.presenters.detail import detail_lines, title_of
from tui.presenters.findings import detail, diagnosis_lines, item_lines
from tui.screens.text import TextScreen
from widgets.span import Spans

if TYPE_CHECKING:
    from backends.journal.drills import DrillBook
    from tui.app import ControlRoom

_REST: Final = ("tui.presenters.help", "tui.screens.fleet", "tui.screens.procedures", "tui.palette")


def load_rest(drills: DrillBook) -> None:
    """What no first frame needs, in a thread and before a key needs it: on a disk that hangs by then a key
    would wait for it, and with it the next key, which may be a stop's."""
    drills.load()
    for name in _REST:
        import_module(name)


def open_detail(app: ControlRoom, key: str, *, is_alarm: bool) -> None:
    """All about a row; for a service its known failures are looked for, which only reads."""
    moment = app.moment()
    service = _service(moment, key, is_alarm=is_alarm)
    if service is not None:
        app.engine.checks(moment.stack.id).diagnose(service)

    def lines(at: Moment, width: int) -> tuple[Spans, ...]:
        known = detail_lines(at.stack, at.board, key, at.now, width, is_alarm=is_alarm)
        if service is None:
            return known
        desk = app.engine.checks(at.stack.id)
        return (*known, *diagnosis_lines(at.stack, service, desk, width))

    title = title_of(moment.stack, moment.board, key, is_alarm=is_alarm)
    section = _section(moment, key, is_alarm=is_alarm)
    book = None if section is None else partial(open_runbook, app, section)
    app.put_on_top(TextScreen(title, moment, lines, is_watch=app.is_watch, show_runbook=book))


def open_checks(app: ControlRoom) -> None:
    """The stack's checks."""
    from tui.screens.checks import CheckScreen  # noqa: PLC0415  not for the first frame

    moment, who = app.moment(), app.engine.operator.user
    app.put_on_top(CheckScreen(app.engine.checks, who, _Front(app), moment, is_watch=app.is_watch))


def open_runbook(app: ControlRoom, section: str | None) -> None:
    """The stack's runbook, at a section when one is named."""
    from tui.presenters.runbook import read  # noqa: PLC0415  not for the first frame
    from tui.screens.runbook import RunbookScreen  # noqa: PLC0415

    moment = app.moment()
    book = read(moment.stack.runbook)
    app.put_on_top(RunbookScreen(book, section, moment, is_watch=app.is_watch))


def open_faults(app: ControlRoom, control: str | None) -> None:
    """The faults of the demo at that address; nothing without one. In watch mode it says why not."""
    if control is None:
        return
    if app.is_watch:
        app.say("WATCH – READ ONLY: no fault is switched here", "state-warn")
        return
    from tui.demo_faults import FAILURES, DemoFaults  # noqa: PLC0415  only a demo needs it
    from tui.screens.faults import FaultScreen  # noqa: PLC0415

    app.put_on_top(FaultScreen(DemoFaults(control), FAILURES, app.moment()))


def section_under(app: ControlRoom) -> str | None:
    """The section for the row under the cursor: of the alarm, or of the first alarm about a value."""
    return _section(app.moment(), app.room.selected(), is_alarm=app.room.current == "alerts")


def _section(moment: Moment, key: str | None, *, is_alarm: bool) -> str | None:
    if is_alarm:
        return next((it.section for it in moment.board.alarms if it.id == key), None)
    return next((it.section for it in moment.stack.alarms if it.fact == key), None)


class _Front:
    """What the check screen uses of the room."""

    def __init__(self, app: ControlRoom) -> None:
        self.say = app.say
        self.show_check = partial(_open_check, app)
        self.show_item = partial(_open_item, app)
        self.show_runbook = partial(open_runbook, app)


def _open_check(app: ControlRoom, it: Check | Diagnosis) -> None:
    def lines(at: Moment, width: int) -> tuple[Spans, ...]:
        return detail(at.stack, it, app.engine.checks(at.stack.id), at.now, width)

    title = SafeText("Check" if isinstance(it, Check) else "Known failure")
    app.put_on_top(TextScreen(title, app.moment(), lines, is_watch=app.is_watch))


def _open_item(app: ControlRoom, place: tuple[str, str]) -> None:
    def lines(at: Moment, width: int) -> tuple[Spans, ...]:
        return item_lines(at.stack, place, app.engine.checks(at.stack.id), width)

    app.put_on_top(TextScreen(SafeText("Item"), app.moment(), lines, is_watch=app.is_watch))


def _service(moment: Moment, key: str, *, is_alarm: bool) -> str | None:
    if is_alarm:
        alarm = next((it for it in moment.board.alarms if it.id == key), None)
        key = "" if alarm is None else alarm.subject
    return key.removeprefix(SERVICE) if key.startswith(SERVICE) else None
