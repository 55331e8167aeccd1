"""The checks, checklists and known failures of the trading bots on one demo: what is answered in health, and
what the doctor finds of each failure that is brought about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from backends.model.examination import Answer, Examined
from backends.model.reading import Reading
from tests.building import is_found, missing, ok
from tests.contract.ward import Illness, Illnesses, Ward, is_told, outbreak, ward

ID = "trading-bot"

AS_SHIPPED = {
    "watchdog": "unit.watchdog_status reads 2",
    "halted-fully": "mode reads auto",
    "switched-green": "color reads blue",
}
"""What a calm desk does not meet, and why: its watchdog never worked, and nothing was halted or switched."""
OF_THE_MACHINE = {"resources", "snapshots-kept"}
"""The disk, memory and load of whoever runs this."""
ALWAYS = {"hours-guard-idle", "watchdog-never-worked"}
"""What is wrong with the bots as they are shipped."""
OF_THE_NETWORK = {"binance-slow", "coinbase-slow", "binance-no-name", "interface-errors", "port-8000"}
"""Told of the host on which this runs."""


@pytest.fixture(scope="module")
def bots() -> Iterator[Ward]:
    with ward(ID) as made:
        yield made


def test_every_check_is_answered_in_health_and_only_these_fail(bots: Ward) -> None:
    assert bots.failing(AS_SHIPPED, OF_THE_MACHINE) == AS_SHIPPED.keys()


def test_every_checklist_is_done_but_that_of_a_halt(bots: Ward) -> None:
    lists = bots.lists(OF_THE_MACHINE)
    assert {name for name, answer in lists.items() if answer is not Answer.YES} == {"close-positions"}
    assert lists.keys() == {"morning", "evening", "weekly", "close-positions"}


def test_in_health_the_doctor_finds_only_what_is_wrong_as_shipped(bots: Ward) -> None:
    found = {name for name, each in bots.diagnosed().items() if each.answer is Answer.YES}
    assert found - OF_THE_NETWORK == ALWAYS


# Known failures


def unit(name: str, **state: str) -> Callable[[Ward], object]:
    """What systemd says of it from now on."""
    return lambda bots: bots.world.units.change(f"{name}.service", **state)


def removed(name: str) -> Callable[[Ward], object]:
    return lambda bots: bots.world.units.remove(f"{name}.service")


def redis(*command: str) -> Callable[[Ward], object]:
    return lambda bots: bots.do(bots.world.redis.execute_command(*command))


def fault(name: str) -> Callable[[Ward], object]:
    return lambda bots: bots.fault(name)


def both(*ways: Callable[[Ward], object]) -> Callable[[Ward], object]:
    return lambda bots: [way(bots) for way in ways]


def report_of_last_week(bots: Ward) -> None:
    """The file is new: somebody copied it. What it says of itself is old."""
    (report,) = (bots.home / "opt" / "trader" / "artifacts").glob("*/rl/gate_report.md")
    report.write_text(re.sub(r"\d{4}-\d\d-\d\dT", f"{date.today() - timedelta(7)}T", report.read_text()))


ENDED = {"ActiveState": "inactive", "SubState": "dead"}
LOOPS = {"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "17", "Result": "exit-code"}
FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "start-limit-hit"}
ABANDONED = '{"position_id": "ADA-1", "symbol": "ADAUSDT", "entry_time": 1768212000.0, "status": "open"}'
QUOTE = '{"quote_id": "q1", "symbol": "XRPUSDT", "side": "bid", "price": 2.1, "timestamp": 1768212000.0}'
FIRST: Illnesses = {
    "gate-report-old": Illness(report_of_last_week, "rl-validation.timer does not run", "validate"),
    "bot-down": Illness(unit("trading_bot", **ENDED), "its journal says which", "restart-trading-bot"),
    "ops-bot-down": Illness(unit("ops_bot", **ENDED), "Slack commands go unanswered", "restart-ops-bot"),
    "luld-loops": Illness(unit("halts_luld", **LOOPS), "a name it never imports"),
    "basis-abandoned": Illness(redis("SET", "strategy:basis:ADAUSDT:pos", ABANDONED), "ADAUSDT"),
    "capital-snapped": Illness(
        redis("SET", "risk:capital_effective", "1.0"), "Somebody wrote dollars", "halt-starve"
    ),
    "policy-one-shot": Illness(fault("policy-stale"), "inactive is no fault of its own", "restart-policy"),
    "halt-does-not-stay": Illness(fault("halt-erased"), "It deletes the mode", "stop-eraser"),
    "recon-reverts": Illness(fault("recon-breach"), "writes halt every 30 s"),
    "colour-green-as-blue": Illness(
        redis("MSET", "mode:active_color", "green", "metrics:active_color", "0"), "by hand", "canary-green"
    ),
    "redis-unit-down": Illness(unit("redis", **ENDED), "split brain"),
}
AFTERWARDS: Illnesses = {
    "bot-loops-silent": Illness(unit("trading_bot", **LOOPS), "without a word", "stop-trading-bot"),
    "policy-failed": Illness(unit("rl-policy", **FAILED), "ended with an error", "restart-policy"),
    "policy-start-limit": Illness(unit("rl-policy", **FAILED), "Three starts within 60 s", "restart-policy"),
    "basis-left": Illness(unit("basis_carry", **ENDED), "without a halt a tick before"),
    "quotes-left": Illness(
        both(redis("SET", "mm:quote:XRPUSDT:bid", QUOTE), unit("mm_as", **ENDED)), "mm:quote:"
    ),
    "redis-no-unit": Illness(removed("redis"), "the container trading_redis"),
    "heartbeat-forged": Illness(fault("failover"), "writes the heartbeat", "stop-eraser"),
    "recon-invents": Illness(redis("DEL", "portfolio_positions"), "it invents BTC 0.25"),
}
AT_LAST: Illnesses = {
    "bot-not-installed": Illness(removed("trading_bot"), "The repository ships no such unit"),
}
WAVES = (FIRST, AFTERWARDS, AT_LAST)


@pytest.fixture(scope="module")
def seen(bots: Ward) -> dict[str, tuple[Answer, Examined]]:
    return outbreak(bots, *WAVES)


@pytest.mark.parametrize("name", [name for wave in WAVES for name in wave])
def test_the_doctor_finds_it_says_why_and_names_what_mends_it_if_anything_here_does(
    bots: Ward, seen: Mapping[str, tuple[Answer, Examined]], name: str
) -> None:
    is_told(bots.stack, name, {**FIRST, **AFTERWARDS, **AT_LAST}[name], seen[name])


INVENTED = [
    ("binance-slow", [ok("net.binance", 612.0)], [ok("net.binance", 41.0)]),
    ("coinbase-slow", [ok("net.coinbase", 500.0)], [ok("net.coinbase", 499.0)]),
    ("binance-no-name", [missing("net.binance_dns")], [ok("net.binance_dns", 2)]),
    ("interface-errors", [ok("net.rising", 1)], [ok("net.rising", 0)]),
    ("port-8000", [ok("host.port_8000", "python3 (4711)")], [missing("host.port_8000")]),
]
"""What only the host or its network brings about: the readings of it, and others that are none."""


@pytest.mark.parametrize(("name", "ill", "well"), INVENTED)
def test_what_the_host_brings_about_is_known_by_its_readings(
    bots: Ward, name: str, ill: list[Reading[Any]], well: list[Reading[Any]]
) -> None:
    assert is_found(bots.stack, name, *ill)
    assert not is_found(bots.stack, name, *well)
