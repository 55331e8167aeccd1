"""The checks, checklists and known failures of surveillance on one demo: what is answered in health, and what
the doctor finds of each failure that is brought about."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from backends.model.examination import Answer, Examined
from backends.model.fact import Table
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from tests.building import is_found, ok
from tests.contract.ward import Illness, Illnesses, Ward, is_told, loops, outbreak, ward

ID = "surveillance"

_NEVER_LOADED = "load.at missing"
NOT_YET = {
    "zscores-eth": "db.zscore_eth missing",
    "exchanges-reached": "reach.spot missing",
    "instruments-file": _NEVER_LOADED,
    "limits-file": _NEVER_LOADED,
    "pairs-file": _NEVER_LOADED,
    "symbol-mapping": _NEVER_LOADED,
    "exchange-entry": "load.exchanges missing",
    "eth-captured": "config.eth reads false",
    "stores-closed": "port.redis reads 1: 6379; port.postgres reads 1: 5432",
}
"""What a calm system does not meet, and why: ETH is off, nothing was tried from the container, and its stores
are open to the network."""


@pytest.fixture(scope="module")
def system() -> Iterator[Ward]:
    with ward(ID) as made:
        yield made


def test_every_check_is_answered_in_health_and_only_what_was_never_tried_fails(system: Ward) -> None:
    assert system.failing(NOT_YET) == NOT_YET.keys()


def test_every_checklist_is_done_but_those_of_what_was_never_tried(system: Ward) -> None:
    lists = system.lists()
    undone = {"new-instrument", "new-exchange"}
    assert {name for name, answer in lists.items() if answer is Answer.NO} == undone
    assert {name for name, answer in lists.items() if answer is Answer.YES} == {"quick-start", "fresh-start"}


def test_in_health_the_doctor_finds_nothing(system: Ward) -> None:
    assert [name for name, each in system.diagnosed().items() if each.answer is Answer.YES] == []


# Known failures


def log(service: str, *lines: str) -> Callable[[Ward], object]:
    """The service writes these lines."""
    return lambda system: system.say(service, *lines)


def fault(name: str) -> Callable[[Ward], object]:
    return lambda system: system.fault(name)


def second_thresholds(system: Ward) -> None:
    """Somebody adds a block at the end: the last one is all that the loader takes."""
    path = system.world.project / "config" / "alerts.yaml"
    path.write_text(path.read_text() + "\nthresholds:\n  ETH-USDT-PERP: {}\n")


def both(*ways: Callable[[Ward], object]) -> Callable[[Ward], object]:
    return lambda system: [way(system) for way in ways]


def book_gone(system: Ward) -> None:
    """As after its minute to live."""
    system.do(system.world.redis.delete("orderbook:binance:BTC-USDT-SPOT"))


def frozen(service: str) -> Callable[[Ward], object]:
    """It runs, and does nothing."""

    def bring(system: Ward) -> None:
        one = system.world.engine.service(service)
        one.state = "running"
        system.do(one.pause())

    return bring


def ended(service: str) -> Callable[[Ward], object]:
    """Somebody stopped it."""

    def bring(system: Ward) -> None:
        one = system.world.engine.service(service)
        one.state = "running"
        system.do(one.stop())

    return bring


def as_hash(exchange: str) -> Callable[[Ward], object]:
    """What the project's papers have, once nobody writes over it."""

    async def write(system: Ward) -> None:
        await system.world.redis.delete(f"health:{exchange}")
        await system.world.redis.hset(f"health:{exchange}", "status", "connected")

    return lambda system: system.do(write(system))


def port_taken(system: Ward) -> None:
    """By this process, unless another has it anyway."""
    held = socket.socket()
    system.closing.callback(held.close)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with suppress(OSError):
        held.bind(("127.0.0.1", 8050))
        held.listen()


FIRST: Illnesses = {
    "zscores-reset": Illness(fault("gap"), "gaps_last_hour never falls back", "gap-reset"),
    "gaps-frequent": Illness(fault("time-gaps"), "The feeds break off", "reach"),
    "condition-muted": Illness(fault("bare-srem"), "taken out of alerts:active", "alerts-close"),
    "alerts-orphaned": Illness(fault("orphan"), "before its last start", "orphans-resolve"),
    "alerts-flood": Illness(fault("redis-only"), "the insert fails", "redis-only-resolve"),
    "limits-replaced": Illness(second_thresholds, "the last one replaces the first", "load-config"),
    "batches-fail": Illness(
        log("metrics-engine", '{"event": "batch_write_error", "level": "error"}'),
        "kept in memory",
        "metrics-restart",
    ),
    "adapter-never-connected": Illness(
        log("data-ingestion", '{"event": "adapter_connection_failed", "exchange": "okx"}'),
        "never begun",
        "ingestion-restart",
    ),
    "database-refuses": Illness(
        log("data-ingestion", '{"event": "postgres_connection_failed", "level": "error"}'),
        "DB_PASSWORD was changed",
    ),
    "modules-missing": Illness(
        log("data-ingestion", "ModuleNotFoundError: No module named 'src.services'"),
        "The checkout lacks src/services",
        "load-config",
    ),
    "resolutions-fail": Illness(
        log("anomaly-detector", '{"event": "alert_not_found_for_resolution"}'),
        "taken out of the set",
        "detector-restart",
    ),
    "dashboard-store-off": Illness(
        log("dashboard", '{"event": "redis_connection_failed"}'),
        "did not answer when it started",
        "dashboard-restart",
    ),
}
AFTERWARDS: Illnesses = {
    "binance-half-dead": Illness(both(fault("spot-dead"), book_gone), "two sockets", "ingestion-restart"),
    "okx-exhausted": Illness(fault("okx-exhausted"), "Ten reconnects", "gap-reset"),
    "metrics-behind": Illness(frozen("metrics-engine"), "is slow", "metrics-restart"),
}
AT_LAST: Illnesses = {
    "binance-key-type": Illness(
        both(ended("data-ingestion"), as_hash("binance")), "reads hash", "ingestion-restart"
    ),
    "okx-key-type": Illness(as_hash("okx"), "reads hash", "ingestion-restart"),
    "dashboard-down": Illness(
        ended("dashboard"),
        "see its log",
        "dashboard-restart",
    ),
    "port-8050-taken": Illness(port_taken, "host.port reads", "dashboard-restart"),
}
LAST_WORDS = {
    "redis": ("Bad file format reading the append only file: make a backup, FATAL", "redis-restart"),
    "timescaledb": ("FATAL:  could not write lock file: No space left on device", "database-restart"),
    "data-ingestion": ("pydantic_core.ValidationError: 1 validation error for Config", "ingestion-restart"),
    "metrics-engine": ("redis.exceptions.TimeoutError: Timeout reading from socket", "metrics-restart"),
    "anomaly-detector": ("ModuleNotFoundError: No module named 'src.detection'", "detector-restart"),
    "dashboard": ('{"event": "postgres_connection_failed", "level": "error"}', "dashboard-restart"),
}
"""Of each service, what it says before it ends, and what starts it at once."""


LOOPS: Illnesses = {
    f"restarting-{name}": Illness(loops(name, words), words, procedure)
    for name, (words, procedure) in LAST_WORDS.items()
}
WAVES = (FIRST, LOOPS, AFTERWARDS, AT_LAST)


@pytest.fixture(scope="module")
def seen(system: Ward) -> dict[str, tuple[Answer, Examined]]:
    return outbreak(system, *WAVES)


@pytest.mark.parametrize("name", [name for wave in WAVES for name in wave])
def test_the_doctor_finds_it_says_why_and_names_what_mends_it_if_anything_here_does(
    system: Ward, seen: Mapping[str, tuple[Answer, Examined]], name: str
) -> None:
    is_told(system.stack, name, {**FIRST, **AFTERWARDS, **AT_LAST, **LOOPS}[name], seen[name])


def test_every_service_has_its_own_words_when_it_is_started_again_and_again(system: Ward) -> None:
    assert {service.name for service in system.stack.services} == LAST_WORDS.keys()


def open_alert(holds: str) -> Table:
    return Table(("alert_id", "holds"), ((SafeText("a1"), SafeText(holds)),), 1)


TIMED_OUT = ok("error.metrics-engine", "Timeout reading from socket")
INVENTED = [
    ("alerts-not-firing", [ok("db.unseen", 1)], [ok("db.unseen", 0)]),
    ("lag-of-binance", [ok("binance.lag_median", 700.0)], [ok("binance.lag_median", 3.0)]),
    ("lag-of-okx", [ok("okx.lag_median", 700.0)], [ok("okx.lag_median", 3.0)]),
    ("alerts-frozen", [ok("alerts.open", open_alert("unknown"))], [ok("alerts.open", open_alert("yes"))]),
    ("binance-exhausted", [ok("binance.reconnects", 10)], [ok("binance.reconnects", 9)]),
    ("silence-cascade", [ok("workers.restarting", 1), TIMED_OUT], [ok("workers.restarting", 0), TIMED_OUT]),
    (
        "dashboard-empty",
        [ok("dashboard.page", "200"), ok("dashboard.okx_chart", 0)],
        [ok("dashboard.page", "200"), ok("dashboard.okx_chart", 9)],
    ),
]
"""What takes minutes or a second exchange to bring about: the readings of it, and others that are none."""


@pytest.mark.parametrize(("name", "ill", "well"), INVENTED)
def test_what_takes_long_to_bring_about_is_known_by_its_readings(
    system: Ward, name: str, ill: list[Reading[Any]], well: list[Reading[Any]]
) -> None:
    assert is_found(system.stack, name, *ill)
    assert not is_found(system.stack, name, *well)
