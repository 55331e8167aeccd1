"""Checks, checklists and known failures: run on demand, on readings taken for them; items are confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar, Final, Protocol

from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.checks.desk import NotWrittenError
from backends.model.check import Check, Diagnosis
from backends.model.safetext import SafeText
from tui.moment import Moment
from tui.presenters import findings
from tui.presenters.findings import ITEM, LIST, item_of, subject
from tui.screens.overlay import Overlay
from widgets.grid import Grid
from widgets.pane import Pane
from widgets.roles import Role

SURE: Final = 5.0
"""Seconds in which the second press of a key that signs must come."""


class Desk(findings.Findings, Protocol):
    """A stack's checks, as ``backends.checks.desk.CheckDesk`` has them."""

    def examine(self, wanted: Sequence[Check | Diagnosis]) -> Future[Any]: ...
    def read_journal(self) -> Future[Any]: ...
    def attest(self, checklist: str, item: str, via: str) -> Future[Any]: ...
    def reset(self, checklist: str, via: str) -> Future[Any]: ...


class Front(Protocol):
    """What it needs of the room around it."""

    def say(self, text: str, role: Role = "strong") -> None: ...
    def show_check(self, it: Check | Diagnosis) -> None: ...
    def show_item(self, place: tuple[str, str]) -> None: ...
    def show_runbook(self, section: str | None) -> None: ...


class CheckScreen(Overlay):
    """One row a checklist, check and known failure; Enter runs it and tells all about it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "close", "close", show=False),
        Binding("a", "run_all", "run all", show=False),
        Binding("A", "attest", "confirm", show=False),
        Binding("R", "begin_anew", "begin anew", show=False),
        Binding("o", "runbook", "runbook", show=False),
    ]

    OTHER_KEYS = (("Enter", "run"), ("a", "all"), ("A", "confirm"), ("o", "runbook"), ("Esc", "close"))

    def __init__(
        self, desk: Callable[[str], Desk], who: str, front: Front, moment: Moment, *, is_watch: bool
    ) -> None:
        """``desk`` finds a stack's checks by its id; ``who`` is the name that confirms."""
        super().__init__(SafeText("Checks"), moment, is_watch=is_watch)
        self._desk_of = desk
        self._who = who
        self._front = front
        self._opened: set[str] = set()
        self._asked: tuple[str, str, float] | None = None
        """Key and row of the first press of what signs, and until when the second may come."""

    def body(self) -> Sequence[Widget]:
        return [Grid(findings.columns(), SafeText("this stack names no checks"), id="checks")]

    def on_mount(self) -> None:
        self._wait(self._desk.read_journal())

    def show_body(self) -> None:
        it = self.moment
        self.query_one(Grid).show(findings.rows(it.stack, self._desk, self._opened, it.now))
        self.query_one(Pane).label(
            findings.summary(it.stack, self._desk), SafeText("A, twice: confirm   R, twice: begin anew")
        )

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        event.stop()
        key = event.key
        it = subject(self.moment.stack, key)
        if key.startswith(LIST):
            self._opened ^= {key}
            if key in self._opened:
                self._run(self._of_list(key.removeprefix(LIST)))
            self.show_body()
        elif it is not None:
            self._run([it])
            self._front.show_check(it)
        elif (place := item_of(key)) is not None:
            self._front.show_item(place)

    def action_run_all(self) -> None:
        stack = self.moment.stack
        self._run([*stack.checks.values(), *stack.diagnoses.values()])

    def action_attest(self) -> None:
        place = item_of(self.query_one(Grid).cursor or "")
        item = self._attested_item(*place) if place is not None else None
        if self._is_watch:
            self._front.say("WATCH – READ ONLY: nobody is confirmed here", "state-warn")
        elif place is None or item is None:
            self._front.say("only an item that a person confirms can be confirmed")
        elif self._is_second("A", ITEM + "/".join(place), f"A again confirms as {self._who}: {item}"):
            self._wait(self._desk.attest(*place, "screen"))

    def action_begin_anew(self) -> None:
        key = self.query_one(Grid).cursor or ""
        place = item_of(key)
        name = place[0] if place is not None else key.removeprefix(LIST)
        if self._is_watch:
            self._front.say("WATCH – READ ONLY: nothing is begun anew here", "state-warn")
        elif name not in self.moment.stack.checklists:
            self._front.say("go to a checklist to begin it anew")
        elif self._is_second("R", name, f"R again begins {name} anew: what was confirmed counts no more"):
            self._wait(self._desk.reset(name, "screen"))

    def action_runbook(self) -> None:
        key = self.query_one(Grid).cursor
        self._front.show_runbook(None if key is None else findings.section_of(self.moment.stack, key))

    @property
    def _desk(self) -> Desk:
        return self._desk_of(self.moment.stack.id)

    def _attested_item(self, checklist: str, item: str) -> str | None:
        items = self.moment.stack.checklists[checklist].items
        return next((it.attest for it in items if it.id == item), None)

    def _of_list(self, name: str) -> list[Check | Diagnosis]:
        stack = self.moment.stack
        named = (it.check for it in stack.checklists[name].items if it.check is not None)
        return [stack.checks[it] for it in dict.fromkeys(named)]

    def _is_second(self, key: str, target: str, question: str) -> bool:
        """Whether this is the second press in a row for the same target; else it is asked for."""
        now = self.moment.now.mono
        asked, self._asked = self._asked, None
        if asked is not None and asked[:2] == (key, target) and now <= asked[2]:
            return True
        self._asked = (key, target, now + SURE)
        self._front.say(question, "state-warn")
        return False

    def _run(self, wanted: Sequence[Check | Diagnosis]) -> None:
        if wanted:
            self._wait(self._desk.examine(wanted))
            self.show_body()

    def _wait(self, future: Future[Any]) -> None:
        async def work() -> None:
            try:
                await asyncio.wrap_future(future)
            except NotWrittenError as error:
                self._front.say(f"not confirmed: {error}", "state-bad")
            if self.is_mounted:
                self.show_body()

        self.run_worker(work(), group="checks")
