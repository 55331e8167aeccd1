"""Bot 4 without trading: minutes pass at once, and its files are read by the reader that ships."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.ingest import ingest_facts
from backends.model.intent import Intent
from backends.model.procedure import Run, Verdict
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures
from backends.readers.files import FilesFactReader
from backends.stacks.loader import built_in, load_stack
from tests.sim.desk import KIM
from tests.sim.virtual import EPOCH, VirtualClock, simulate
from tests.sim.world import Paper, now

STACK = load_stack(built_in()["hummingbot-desk"])
TYPED = 5.0
"""Seconds after which somebody has typed start."""


@dataclass
class Bot:
    """Writes a minute every sixty seconds; it had orders until it was started without trading."""

    folder: Path
    passes: bool = True
    ordered: frozenset[int] = frozenset()
    """Minutes since that start, from 0, in which it has an order all the same."""

    def write(self) -> None:
        """Everything up to now."""
        minutes, log = ["ts,orders_active"], [self._line(-600, "Preflight validation passed.")]
        for number in range(-4, int((now() - TYPED) // 60) + 1):
            orders = 2 if number < 0 or number in self.ordered else 0
            minutes.append(f"{_moment(TYPED + 60 * number).isoformat()},{orders}")
        if now() >= TYPED:
            log.append(
                self._line(TYPED + 1, f"Preflight {'validation passed.' if self.passes else 'failed'}")
            )
        for name, lines in {"epp_v24/bot4_a/minute.csv": minutes, "logs_bot4.log": log}.items():
            path = self.folder / "data/bot4/logs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n")

    def _line(self, at: float, text: str) -> str:
        return f"{_moment(at):%Y-%m-%d %H:%M:%S},000 - 1 - script_strategy_base - INFO - {text}"


def _moment(passed: float) -> datetime:
    return datetime.fromtimestamp(EPOCH + passed, UTC)


class Looker:
    """Reads the bot's files as they are at that moment."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._files = FilesFactReader(
            replace(STACK.sources["files"], url=f"file://{bot.folder}", deadline=10.0), VirtualClock()
        )

    async def look(self, fact: str, within: float) -> Reading[Any]:
        self._bot.write()
        asked = [STACK.facts[fact]]
        found = await self._files.read(asked)
        return ingest_facts(asked, found, STACK.sources["files"], VirtualClock().now(), {})[fact]


def ran(bot: Bot, again: float | None = None) -> tuple[Run, float]:
    """The finished run, and how many seconds it took; confirmed once more ``again`` seconds later."""

    async def go() -> tuple[Run, float]:
        desk = Procedures(
            STACK, arm(KIM, is_watch=False), {}, Looker(bot), Paper(), VirtualClock(), lambda _run: None,
            Random(1).random, None,
        )  # fmt: skip
        intent = Intent(
            "op-1", STACK.id, "bot4-notrade", KIM, SafeText("no-trade check"), 0, "screen", phrase="bot4"
        )
        running = asyncio.create_task(desk.execute(intent))
        await asyncio.sleep(TYPED)
        desk.attest("op-1", "typed", KIM)
        if again is not None:
            await asyncio.sleep(again)
            desk.attest("op-1", "typed", KIM)
        run = await running
        await desk.close()
        return run, now()

    return simulate(go())


def test_three_minutes_without_an_order_after_the_start_prove_it(tmp_path: Path) -> None:
    run, took = ran(Bot(tmp_path))
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert str(run.sentence).startswith("RUNS, NO ORDERS")
    assert took > TYPED + 180


@pytest.mark.parametrize("again", [0.5, 100.0])
def test_who_confirms_it_twice_shortens_nothing(again: float, tmp_path: Path) -> None:
    run, took = ran(Bot(tmp_path), again)
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert took > TYPED + 180


@pytest.mark.parametrize("minute", [1, 2, 3])
def test_an_order_in_any_of_the_three_minutes_is_no_proof(minute: int, tmp_path: Path) -> None:
    run, _ = ran(Bot(tmp_path, ordered=frozenset({minute})))
    assert run.verdict is Verdict.FAILED, run.sentence
    assert "Bot 4 orders, 3 min reads 2" in run.sentence


def test_a_bot_that_failed_its_preflight_has_not_run_without_orders(tmp_path: Path) -> None:
    run, _ = ran(Bot(tmp_path, passes=False))
    assert run.verdict is not Verdict.VERIFIED
    assert run.steps[1].step == "preflight" and "NOT PROVED" in run.sentence
