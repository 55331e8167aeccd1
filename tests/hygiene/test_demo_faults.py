"""No demo can be broken in a way that no test breaks it in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backends.demo.claire_de_binare import faults as claire_de_binare
from backends.demo.faults import Catalogue
from backends.demo.hummingbot_desk import faults as hummingbot_desk
from backends.demo.surveillance import faults as surveillance
from backends.demo.trading_bot import faults as trading_bot
from backends.demo.trading_platform import faults as trading_platform

CONTRACT = Path(__file__).parents[1] / "contract"
DEMOS: dict[str, tuple[Catalogue, tuple[str, ...]]] = {
    "claire-de-binare": (claire_de_binare.FAULTS, ("test_claire_*.py",)),
    "surveillance": (surveillance.FAULTS, ("test_surveillance_demo.py", "test_surveillance_routines.py")),
    "trading-bot": (trading_bot.FAULTS, ("test_trading_bot_desk.py", "test_trading_bot_procedures.py")),
    "trading-platform": (
        trading_platform.FAULTS,
        ("test_demo_faults.py", "test_demo_auth.py", "test_platform_doctor.py"),
    ),
    **{
        f"hummingbot-desk {name}": (faults, ("test_demo_hummingbot.py", "test_demo_generations.py"))
        for name, faults in hummingbot_desk.FAULTS.items()
    },
}
"""Each menu, and the tests that run its demo."""


@pytest.mark.parametrize("demo", DEMOS)
def test_every_fault_of_a_demo_is_switched_on_by_a_test_of_it(demo: str) -> None:
    faults, tests = DEMOS[demo]
    text = "".join(path.read_text() for name in tests for path in CONTRACT.glob(name))
    named = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', text))
    assert set(faults) - named == set()
