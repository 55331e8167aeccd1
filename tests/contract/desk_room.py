"""An open, armed room on the Hummingbot desk's demo, in any of its generations."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import redis
from msgspec.structs import replace

from backends.config import load
from backends.demo.hummingbot_desk.faults import FAULTS
from backends.demo.hummingbot_desk.generations import GENERATIONS
from backends.engine import Engine, Mode
from backends.generation import settle
from backends.journal.identity import identify
from backends.model.action import Command
from backends.model.examination import Answer
from backends.model.fact import Level
from backends.model.intent import Intent
from backends.model.procedure import RiskClass, Run, Verdict
from backends.model.query import Derivation
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.stack import Environment
from backends.model.trading import TradingState
from backends.model.weigh import word_of
from backends.procedures.confirm import phrase_of
from backends.procedures.trader_latch import ALARM as RESUMED
from tests.contract.armed_room import seen
from tests.contract.hurry import hurried
from tests.servers.demo import DemoWorld, start_demo, switch
from tests.servers.process import wait_until

ID = "hummingbot-desk"
LONGEST = 60.0
CHOSEN = {
    "bot": "bot3",
    "script": "v2_epp_v2_4_bot3_paper_smoke.yml",
    "scenario": "smoke",
    "image": "hummingbot/hummingbot:version-2.12.1",
}
"""What is chosen where a procedure asks for it."""
SCRIPTS = (
    "policy-check", "policy-and-gates", "gates", "secrets-check", "secrets-and-gates", "catalog-check",
    "coordination-check", "bus-strict", "count-check", "day2-evaluate", "accounting-check", "replay",
    "ml-check", "market-data-check", "notrade-check", "upgrade-check",
)  # fmt: skip
"""Procedures that run the desk's programs and do nothing else."""
PRACTISED = ("clear-bytecode", "baseline-preview", "baseline-move", "alert-test", "start-strategy")
"""No stops, and no mere scripts, in an order in which each finds what it needs."""
HELD = (Verdict.VERIFIED, Verdict.ALREADY)


@dataclass
class Room:
    """An open, armed room on the demo."""

    generation: str
    world: DemoWorld
    opens: Callable[[], Engine]
    """What opens a room on the demo; it lasts until it is told to stop."""
    engine: Engine
    changed: threading.Event
    folder: Path
    by_hand: Callable[[str], object] = print
    """What is done when a step waits for a person."""
    longest: float = LONGEST
    """Seconds a run may take."""
    has_stopped: bool = False
    """Whether a stop was run since all began anew."""

    def run(self, procedure: str, phrase: str | None = None, *, is_dry: bool = False, **params: str) -> Run:
        """The run at its verdict; the one before may still be at its last words."""
        while True:
            run = self._once(procedure, phrase, params, is_dry)
            if not any("is running; wait" in text for text in run.blockers):
                return run
            time.sleep(0.2)

    def practise(self, name: str) -> Run:
        """One that is no stop, with what there is to choose and to type; its bot is started again where it
        waits for a person."""
        stack = self.engine.stacks[0]
        procedure = stack.procedures[name]
        chosen = {param.name: CHOSEN[param.name] for param in procedure.params}
        bot = "bot4" if name.startswith("bot4") else "bot3"
        before, self.by_hand = self.by_hand, lambda _step: self.type_again(bot)
        try:
            return self.run(name, phrase_of(procedure, stack, chosen), **chosen)
        finally:
            self.by_hand = before

    def scripts(self) -> set[str]:
        """Procedures that run the desk's programs and do nothing else, but for those that move something: the
        event store's baseline, or the cursor of what is in ClickHouse."""
        return {
            name
            for name, each in self.engine.stacks[0].procedures.items()
            if all(isinstance(step.action, Command) and "python3" in step.action.argv for step in each.steps)
        } - {*PRACTISED, "clickhouse-once"}

    def pause(self, bot: str) -> None:
        """To its proof, which may come after the first verdict."""
        wait_until(lambda: self.run("pause-bot", bot=bot).verdict in HELD, LONGEST, f"{bot} to be paused")

    def pause_by_bus(self, bot: str) -> None:
        """Until it says so: where all share one group another one may take the order."""
        controller = GENERATIONS[self.generation].bots[bot].controller
        soft = {"instance_name": bot, "controller_id": controller, "action": "soft_pause"}

        def is_paused() -> bool:
            bus.xadd("hb.execution_intent.v1", {"payload": json.dumps(soft)})
            return word_of(self.value(f"{bot}.state")) == "soft_pause"

        with self.bus() as bus:
            wait_until(is_paused, 20.0, f"{bot} to be paused by the bus", every=1.0)

    @contextlib.contextmanager
    def bus(self) -> Iterator[redis.Redis]:
        password = GENERATIONS[self.generation].password
        with contextlib.closing(redis.Redis.from_url(self.world["redis"], password=password)) as client:
            yield client

    def letters(self) -> str:
        """The newest dead letters."""
        with self.bus() as bus:
            return str(bus.xrevrange("hb.dead_letter.v1", count=20))

    def pause_and_resume(self, bot: str) -> None:
        """Each to its proof."""
        self.pause(bot)
        # What is confirmed is held to what is shown, and that is looked at every few seconds.
        paused, seen_since = self.engine.clock.now().mono, ("halt.files", "halt.order")
        wait_until(
            lambda: all(self.engine.board(ID).readings[it].received.mono > paused for it in seen_since),
            30.0,
            "the pause to be shown",
        )
        wait_until(lambda: self.engine.held(ID, "resume-bot") > 1.5, 30.0, "all to have been well")
        controller = GENERATIONS[self.generation].bots[bot].controller
        run = self.run("resume-bot", f"RESUME {ID}", bot=bot, controller=controller)
        assert run.verdict is Verdict.VERIFIED, (run.sentence, run.blockers)
        assert bot.replace("bot", "Bot ") not in self.resumed()

    def start_past_a_halt(self, bot: str) -> None:
        """After a halt of all: the one that somebody starts by hand is the loudest alarm, and it alone."""
        self.reopen()
        self.wait_for_state(TradingState.HALTED)
        assert self.resumed() == ""
        self.start_by_hand(bot)
        title = wait_until(self.resumed, 20.0, "the alarm of a resume that nobody explains")
        assert re.fullmatch(rf"UNEXPLAINED RESUME: Bot {bot[3:]} halted [0-9:]+Z, trading now", title)
        self.engine.acknowledge_resume(ID)
        wait_until(lambda: not self.resumed(), 20.0, "it to be taken note of")

    def _once(self, procedure: str, phrase: str | None, params: Mapping[str, str], is_dry: bool) -> Run:
        ident = str(uuid.uuid4())
        shown = seen(self.engine, self.engine.stacks[0], procedure)
        self.has_stopped |= self.engine.stacks[0].procedures[procedure].risk is RiskClass.STOP
        self.engine.submit(
            Intent(
                ident, ID, procedure, self.engine.operator, SafeText("practice on the demo"), 0, "screen",
                params=params, phrase=phrase, is_dry=is_dry, shown=shown,
            )
        )  # fmt: skip
        ends = time.monotonic() + self.longest
        while time.monotonic() < ends:
            run = self.engine.run(ident)
            if run is not None and run.verdict is not None:
                return run
            if run is not None and run.awaits is not None:
                self.by_hand(run.awaits)
                self.engine.attest(ID, run.operation, run.awaits)
            self.changed.wait(0.02)
            self.changed.clear()
        raise AssertionError(f"{procedure} came to no verdict")

    def value(self, fact: str) -> Any:
        return self.engine.board(ID).readings[fact].value

    def silence(self, bot: str) -> float:
        """Seconds since it said anything on the bus."""
        return self.engine.board(ID).readings[f"{bot}.state"].observed_age(self.engine.clock.now()) or 0.0

    def environment(self) -> Environment:
        """As of the last look at everything; asks for another one."""
        self.engine.refresh(ID)
        return self.engine.board(ID).environment

    def finds(self, diagnosis: str) -> str | None:
        """What mends the failure, if the doctor finds it now."""
        known = self.engine.stacks[0].diagnoses[diagnosis]
        (result,) = self.engine.checks(ID).examine([known]).result(LONGEST).values()
        return known.procedure if result.answer is Answer.YES else None

    def wait_for_state(self, state: TradingState) -> None:
        wait_until(lambda: self.engine.board(ID).trading.state is state, 20.0, f"the desk to be {state}")

    def wait_for(self, fact: str, word: str) -> None:
        """``fact`` may be a service, which reads as its state."""
        ends = time.monotonic() + 20.0
        while (found := word_of(self.value(fact))) != word:
            assert time.monotonic() < ends, f"{fact} reads {found}, not {word}"
            time.sleep(0.05)

    def switch(self, fault: str, *, is_on: bool) -> None:
        switch(self.world, fault, is_on=is_on)

    def unread(self) -> dict[str, object]:
        """Facts that tell an operator nothing, and what they say instead. Bot 2 is absent, as policy demands;
        what looks back needs its time."""
        facts = {
            ident: fact
            for ident, fact in self.engine.stacks[0].facts.items()
            if not (isinstance(fact.query, Derivation) and fact.query.looks_back)
            and not ident.startswith("bot2.")
        }
        desk = self.engine.checks(ID)
        readings = {**self.engine.board(ID).readings, **desk.looked}
        wanting = {
            ident: (readings[ident].outcome, readings[ident].error) if ident in readings else "not asked"
            for ident, fact in facts.items()
            if ident not in readings
            or readings[ident].outcome in (Outcome.FAILED, Outcome.NEVER)
            or (readings[ident].outcome is Outcome.MISSING and fact.missing is Level.UNKNOWN)
        }
        # Some at a time: nobody asks a source for everything at once, and its time is for one answer.
        desk.look(list(filter(lambda ident: facts[ident].on_demand, wanting))[:30])
        return wanting

    def wait_for_facts(self) -> None:
        """Until every fact is read; AssertionError with those that are not."""
        ends = time.monotonic() + 20.0
        while (unread := self.unread()) and time.monotonic() < ends:
            time.sleep(0.3)
        assert not unread, unread

    def type_again(self, bot: str) -> None:
        """What typing stop and start in the bot's terminal comes to, or making it anew where it has none."""
        with self.docker() as client:
            client.restart(f"{GENERATIONS[self.generation].prefix}{bot}")

    def begin_anew(self) -> None:
        """Every bot trades, with no fault and no switch set, and nothing of a stop before goes on."""
        if self.has_stopped:
            self.reopen()
        for name in FAULTS[self.generation]:
            self.switch(name, is_on=False)
        for bot in GENERATIONS[self.generation].bots:
            if word_of(self.value(f"{bot}.state")) == "soft_pause":
                self.type_again(bot)  # what the bus told it would last for half a minute, or for good
        wait_until(self._all_begun, 30.0, "every bot to trade again", every=0.5)

    def reopen(self) -> None:
        """A stop goes on for a minute to bring every path to say the same, but not past its room."""
        self.engine.stop(2.0)
        self.engine = self.opens()
        self.has_stopped = False

    def start_by_hand(self, bot: str) -> None:
        """Past every room: its file allows it to trade, and its container is started."""
        for path in self.folder.glob(f"data/{bot}/conf/controllers/*.yml"):
            if "manual_kill_switch: true" in (text := path.read_text()):
                path.write_text(text.replace("manual_kill_switch: true", "manual_kill_switch: false"))
        with self.docker() as client:
            client.start(f"{GENERATIONS[self.generation].prefix}{bot}")

    def resumed(self) -> str:
        """Which bots trade again without a reason, as the alarm says it; empty when none does."""
        alarms = self.engine.board(ID).alarms
        return next((str(alarm.title) for alarm in alarms if alarm.id == RESUMED), "")

    def _all_begun(self) -> bool:
        bots = GENERATIONS[self.generation].bots
        for bot in bots:
            self.start_by_hand(bot)
        return all(word_of(self.value(f"{bot}.state")) in ("running", "soft_pause") for bot in bots)

    @contextlib.contextmanager
    def docker(self) -> Iterator[docker.APIClient]:
        with contextlib.closing(docker.APIClient(self.world["docker"])) as client:
            yield client


@contextlib.contextmanager
def desk_room(state: Path, *options: str) -> Iterator[Room]:
    """A room on a demo of its own, which ends with the block."""
    world = start_demo(ID, *options)
    try:
        stack = settle(load(world.config, env=os.environ).stacks)[0]
        assert stack.generation is not None
        soon = {name: hurried(each, 1.0) for name, each in stack.procedures.items()}
        alone = replace(stack, is_single_operator=True, procedures=soon)
        changed = threading.Event()

        def opens() -> Engine:
            engine = Engine([alone], Mode.ARMED, state, identify())
            engine.subscribe(changed.set)
            engine.start()
            wait_until(lambda: engine.wait_asked(ID, 0.1), 20, "a first look at everything")
            return engine

        folder = Path(world.config).parent / "hbot"
        room = Room(stack.generation.id, world, opens, opens(), changed, folder)
        yield room
        room.engine.stop(2.0)
    finally:
        world.stop()
