"""No demo can be broken in a way that no test breaks it in: each generation of a demo by its own tests."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from backends.demo.claire_de_binare import faults as claire_de_binare
from backends.demo.faults import Catalogue
from backends.demo.hummingbot_desk import faults as hummingbot_desk
from backends.demo.surveillance import faults as surveillance
from backends.demo.trading_bot import faults as trading_bot
from backends.demo.trading_platform import faults as trading_platform

CONTRACT = Path(__file__).parents[1] / "contract"
GENERATIONS = "test_demo_generations.py"
DEMOS: dict[str, tuple[Catalogue, tuple[str, ...]]] = {
    "claire-de-binare": (claire_de_binare.FAULTS, ("test_claire_*.py",)),
    "surveillance": (surveillance.FAULTS, ("test_surveillance_demo.py", "test_surveillance_routines.py")),
    "trading-bot": (trading_bot.FAULTS, ("test_trading_bot_desk.py", "test_trading_bot_procedures.py")),
    "trading-platform": (
        trading_platform.FAULTS,
        ("test_demo_faults.py", "test_demo_auth.py", "test_platform_doctor.py"),
    ),
    "hummingbot-desk R1": (hummingbot_desk.FAULTS["R1"], ("test_demo_hummingbot.py",)),
    "hummingbot-desk R0": (
        hummingbot_desk.FAULTS["R0"],
        (f"{GENERATIONS}:Each", f"{GENERATIONS}:TestBefore"),
    ),
    "hummingbot-desk H": (hummingbot_desk.FAULTS["H"], (f"{GENERATIONS}:Each", f"{GENERATIONS}:TestAfter")),
}
"""Each menu, and the tests that run its demo: whole files, or single classes of one."""


def named(places: Collection[str]) -> Iterator[str]:
    """Every word that stands alone as a text in the code of these places."""
    for place in places:
        files, _, wanted = place.partition(":")
        for path in CONTRACT.glob(files):
            for node in ast.parse(path.read_text()).body:
                if not wanted or getattr(node, "name", None) == wanted:
                    constants = (each for each in ast.walk(node) if isinstance(each, ast.Constant))
                    yield from (each.value for each in constants if isinstance(each.value, str))


def test_every_generation_of_a_demo_is_here() -> None:
    desks = {name.rpartition(" ")[2] for name in DEMOS if name.startswith("hummingbot-desk ")}
    assert desks == {*hummingbot_desk.FAULTS}


@pytest.mark.parametrize("demo", DEMOS)
def test_every_fault_of_a_demo_is_switched_on_by_a_test_of_it(demo: str) -> None:
    faults, places = DEMOS[demo]
    assert set(faults) - {*named(places)} == set()
