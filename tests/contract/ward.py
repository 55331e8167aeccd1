"""A demo inside the test's own process, whose every part a test may make ill, and a room that watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from backends.config import load
from backends.demo.dockerd.log_store import LogStore
from backends.demo.world import CONFIG, demo_of, write_config
from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.check import Check, Diagnosis
from backends.model.examination import Answer, Examined, together
from backends.model.stack import Stack
from tests.building import is_known, text
from tests.contract.looking_room import LONGEST, LookingRoom
from tests.servers.demo import isolated_env
from tests.servers.process import drop_home, make_home

T = TypeVar("T")

_SLOWEST = 60.0
"""Seconds for a start or an end on a busy machine."""
_BREAKING_OUT = 30.0
"""Seconds in which all that was brought about has to show."""


class Ward(LookingRoom):
    """``world`` is the simulation; what touches it goes through ``do``."""

    def __init__(self, stack: str, variant: str | None = None) -> None:
        self.generation = variant
        self.home = make_home("ward")
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="ward", daemon=True)
        self._thread.start()
        self.world: Any = demo_of(stack, variant).make(self.home, 7)
        self.do(self.world.start())
        config = self.home / CONFIG
        settings = [] if variant is None else [f'variant = "{variant}"']
        write_config(
            config, stack, "http://127.0.0.1:9", self.world.addresses, self.world.credentials, settings
        )
        (self.stack,) = load(config, env=isolated_env(self.home)).stacks
        self.engine = Engine([self.stack], Mode.WATCH, self.home / "state", identify())
        self.engine.start()
        self.closing = ExitStack()
        """What a test opened for as long as this lasts."""

    def close(self) -> None:
        self.closing.close()
        self.engine.stop(grace=0.0)
        self.do(self.world.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SLOWEST)
        self._loop.close()
        drop_home(self.home)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work`` in the loop of the demo."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SLOWEST)

    def call(self, change: Callable[[], object]) -> None:
        """``change`` in the loop of the demo."""

        async def work() -> None:
            change()

        self.do(work())

    def fault(self, name: str) -> None:
        self.do(self.world.faults.switch(name, True))

    def say(self, service: str, *lines: str) -> None:
        """The service writes these lines."""
        self.call(lambda: self.world.engine.service(service).log.write([line.encode() for line in lines]))

    def examine(self, wanted: Sequence[Check | Diagnosis]) -> dict[str, Examined]:
        """What each says on fresh readings, by its id."""
        found = self.engine.checks(self.stack.id).examine(wanted).result(LONGEST)
        return {key.partition(":")[2]: result for key, result in found.items()}

    def checked(self) -> dict[str, Examined]:
        """What each check of the stack says."""
        return self.examine([*self.stack.checks.values()])

    def diagnosed(self, *names: str) -> dict[str, Examined]:
        """What each of these diagnoses says, or of all."""
        return self.examine([self.stack.diagnoses[name] for name in names or self.stack.diagnoses])

    def failing(
        self,
        allowed: Mapping[str, str],
        of_the_machine: Collection[str] = (),
        untold: Mapping[str, str] | None = None,
    ) -> set[str]:
        """The checks that fail once nothing moves any more, none of them unknown but those of ``untold``;
        both have a word of each one's reason. Those of the machine are left out."""
        seen: dict[str, Examined] = {}
        untold = untold or {}

        def is_settled() -> bool:
            seen.update(self.checked())
            are_read = _named(seen, Answer.UNKNOWN) <= untold.keys()
            return are_read and _named(seen, Answer.NO) - {*of_the_machine} == allowed.keys()

        self.wait(is_settled)
        unknown = {name: text(seen[name]) for name in _named(seen, Answer.UNKNOWN)}
        assert _otherwise(unknown, untold) == {}
        failed = {name: text(seen[name]) for name in _named(seen, Answer.NO) if name not in of_the_machine}
        assert _otherwise(failed, allowed) == {}
        return {*failed}

    def wait(self, is_so: Callable[[], bool]) -> None:
        """Until it is so, or long enough for whoever asks then to say what is wrong."""
        try:
            self.until(is_so, "what was brought about", _BREAKING_OUT)
        except TimeoutError:
            return

    def lists(self, of_the_machine: Collection[str] = ()) -> dict[str, Answer]:
        """What the observed items of every checklist come to: YES with none. Those of the machine and what a
        person confirms are left out."""
        results = self.checked()
        return {
            one.id: together(
                [
                    results[item.check].answer
                    for item in one.items
                    if item.check is not None and item.check not in of_the_machine
                ]
                or [Answer.YES]
            )
            for one in self.stack.checklists.values()
        }


def _named(seen: Mapping[str, Examined], answer: Answer) -> set[str]:
    return {name for name, each in seen.items() if each.answer is answer}


def _otherwise(seen: Mapping[str, str], reasons: Mapping[str, str]) -> dict[str, str]:
    """Of those the ones without a reason, or that say another one."""
    return {name: words for name, words in seen.items() if reasons.get(name, "?") not in words}


@contextmanager
def ward(stack: str, variant: str | None = None) -> Iterator[Ward]:
    """One for a module: making it takes seconds."""
    made = Ward(stack, variant)
    try:
        yield made
    finally:
        made.close()


@dataclass
class Illness:
    """One way to bring a known failure about."""

    bring: Callable[[Ward], object]
    says: str
    """A word of what is told of it: its cause, what to do, or what was read."""
    procedure: str | None = None
    """What it names to mend it."""


Illnesses = Mapping[str, Illness]
"""By the diagnosis that finds it."""


def loops(service: str, *last_words: str) -> Callable[[Ward], object]:
    """The service waits for its next start, after it said this and ended. What still works of it is heard no
    more."""

    def bring(made: Ward) -> None:
        container = made.world.engine.service(service)
        container.log = LogStore()
        made.say(service, "starting", *last_words, "bye")
        made.call(lambda: setattr(container, "state", "restarting"))

    return bring


def outbreak(made: Ward, *waves: Illnesses) -> dict[str, tuple[Answer, Examined]]:
    """Of each diagnosis: what it said in health, and after all of its wave was brought about. A wave finds
    the demo as the one before it left it."""
    before = made.diagnosed(*(name for wave in waves for name in wave))
    found = {}
    for wave in waves:
        for illness in wave.values():
            illness.bring(made)
        after: dict[str, Examined] = {}

        def has_broken_out(wave: Illnesses = wave, after: dict[str, Examined] = after) -> bool:
            after.update(made.diagnosed(*wave))
            return all(each.answer is Answer.YES for each in after.values())

        made.wait(has_broken_out)
        found.update({name: (before[name].answer, after[name]) for name in wave})
    return found


def is_told(stack: Stack, name: str, illness: Illness, seen: tuple[Answer, Examined]) -> None:
    """It was not found in health, is found now, names the cause and a procedure that there is."""
    before, after = seen
    assert before is not Answer.YES
    is_known(stack, name, illness.says, illness.procedure, after)
