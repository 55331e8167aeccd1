"""What the trading bots' programs really write, read from a real Redis as their stack file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.derivation import Deriver
from backends.model.clock import SystemClock
from backends.model.fact import Absent, Broken, Finding, Found, Level, Table
from backends.model.judge import level_of
from backends.model.reading import Quality
from backends.model.stack import Source, Stack
from backends.readers.files import FilesFactReader
from backends.readers.host import HostFactReader
from backends.readers.redis import RedisFactReader
from backends.stacks.loader import built_in, load_stack
from tests.building import START, is_found, ok, running
from tests.contract.redis_reading import source
from tests.servers.redis import RedisServer

SHAPE_A_ENTRY = '{"position":0.02,"entry_price":96500.0}'
SHAPE_A = f'{{"BTCUSDT": {SHAPE_A_ENTRY}}}'
SHAPE_B = json.dumps({"BTC": 0.25, "ETH": 1.5})


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["trading-bot"])


async def read(redis_db: RedisServer, stack: Stack, ident: str, holds: Mapping[str, Any]) -> Finding:
    """The fact, after the keys were written: a text, a hash, or a list."""
    for key, value in holds.items():
        if isinstance(value, Mapping):
            redis_db.command("HSET", key, *(word for pair in value.items() for word in pair))
        elif isinstance(value, list):
            redis_db.command("RPUSH", key, *value)
        else:
            redis_db.command("SET", key, value)
    reader = RedisFactReader(source(redis_db.port))
    try:
        return (await reader.read([stack.facts[ident]]))[ident]
    finally:
        await reader.close()


VENUES = {
    "tca:venue:binance": {"fill_rate": "np.float64(0.91)", "lat_ms": "np.float64(88.1)"},
    "tca:venue:ftx": {"fill_rate": "np.float64(0.61)", "lat_ms": "np.float64(1203.4)"},
}


@pytest.mark.parametrize(
    ("fact", "holds", "expected"),
    [
        ("mode", {"mode": "halt"}, "halt"),
        ("mode", {"mode": "halt "}, "halt "),
        ("capital.effective", {"risk:capital_effective": "20000.0"}, 20000.0),
        ("capital.effective", {"risk:capital_effective": " 0.4\n"}, 0.4),
        ("influence.pct", {"policy:allowed_influence_pct": "10.9"}, 10.9),
        ("risk.drawdown", {"risk:stats": {"drawdown": "-0.07"}}, -0.07),
        ("policy.heartbeat", {"policy:last_update_ts": "1768212000"}, 1768212000.0),
        ("policy.heartbeat", {"policy:last_update_ts": "1768212000.53"}, 1768212000.53),
        ("policy.current_at", {"policy:current": {"timestamp": "1768212000530"}}, 1768212000.53),
        ("slo.current", {"slo:current_tier": '{"tier":"tier_b","evaluation_time":1768212000.1}'}, "tier_b"),
        ("drift.flag", {"drift:flag": "0"}, "0"),
        ("tca.venue_poor", VENUES, 1),
        ("latency.slow", {"latency:venue": {"binance": "123.45", "deribit": "1203.4"}}, 1),
        ("latency.raised", {"latency:venue": {"binance": "123.45", "deribit": "501"}}, 1),
        ("influence.assets_on", {"policy:allowed_influence_pct:SOL-USD": "5", "other": "9"}, 1),
        ("influence.ramp_on", {"influence:SOL-USD": "13.5", "influence:BTC-USD": "0"}, 1),
        ("influence.ramp_on", {}, 0),
    ],
)
async def test_values_are_read_as_upstream_writes_them(
    redis_db: RedisServer, stack: Stack, fact: str, holds: Mapping[str, Any], expected: Any
) -> None:
    found = await read(redis_db, stack, fact, holds)
    assert isinstance(found, Found), found
    assert found.value == expected


@pytest.mark.parametrize(
    ("fact", "holds", "why"),
    [
        ("capital.effective", {"risk:capital_effective": "nan"}, "a number expected"),
        ("capital.effective", {"risk:capital_effective": "np.float64(nan)"}, "a number expected"),
        ("capital.effective", {"risk:capital_effective": "inf"}, "a number expected"),
        ("capital.effective", {"risk:capital_effective": {"a": "1"}}, "hash"),
        ("risk.drawdown", {"risk:stats": "text"}, "string"),
        ("recon.mismatches", {"recon:position_mismatches": "1.5"}, "whole number"),
        ("slo.current", {"slo:current_tier": '{"tier":"tier_b"'}, "not JSON"),
        ("slo.current", {"slo:current_tier": '{"tier":"tier_b"}'}, "no member 'evaluation_time'"),
        ("tca.venue_poor", {"tca:venue:x": {"fill_rate": "nan"}}, "a number expected"),
        ("tca.venue_poor", {"tca:venue:x": {"score": "1"}}, "no column fill_rate"),
        ("policy.heartbeat", {"policy:last_update_ts": "soon"}, "a time expected"),
    ],
)
async def test_what_is_no_value_is_never_zero(
    redis_db: RedisServer, stack: Stack, fact: str, holds: Mapping[str, Any], why: str
) -> None:
    found = await read(redis_db, stack, fact, holds)
    assert isinstance(found, Broken), found
    assert why in found.why


@pytest.mark.parametrize("stamp", ["1768212000", "1768212000530"], ids=["s", "ms"])
@pytest.mark.parametrize(
    ("fact", "field", "expected"),
    [("policy.entropy", "np.float64(1.42)", 1.42), ("policy.collapse", "LOW", "LOW")],
)
async def test_a_state_that_outlives_the_policy_is_as_old_as_it_says(
    redis_db: RedisServer, stack: Stack, fact: str, field: str, expected: object, stamp: str
) -> None:
    """T6: its hash has no expiry."""
    name = {"policy.entropy": "entropy", "policy.collapse": "collapse_risk"}[fact]
    found = await read(redis_db, stack, fact, {"policy:current": {name: field, "timestamp": stamp}})
    assert isinstance(found, Found), found
    assert found.value == expected
    assert found.observed_wall is not None and int(found.observed_wall) == 1768212000
    old = ok(fact, found.value, observed_lag=7 * 3600.0, max_age=stack.facts[fact].max_age)
    assert old.quality(START) is Quality.STALE


@pytest.mark.parametrize("fact", ["policy.entropy", "policy.collapse"])
async def test_a_state_of_the_policy_without_a_time_is_no_state(
    redis_db: RedisServer, stack: Stack, fact: str
) -> None:
    assert await read(redis_db, stack, fact, {}) == Absent()
    fields = {"entropy": "1.4", "collapse_risk": "LOW"}
    assert isinstance(await read(redis_db, stack, fact, {"policy:current": fields}), Broken)


@pytest.mark.parametrize("fact", ["mode", "capital.effective", "slo.tier", "risk.drawdown", "recon.checked"])
async def test_a_key_that_is_not_there_is_missing(redis_db: RedisServer, stack: Stack, fact: str) -> None:
    assert await read(redis_db, stack, fact, {}) == Absent()


@pytest.mark.parametrize(
    ("book", "rows", "is_dashboards"),
    [
        (SHAPE_A, (("BTCUSDT", SHAPE_A_ENTRY),), True),
        (SHAPE_B, (("BTC", "0.25"), ("ETH", "1.5")), False),
    ],
    ids=["A, of a dashboard", "B, as reconciliation expects it"],
)
async def test_both_shapes_of_the_positions_are_shown_and_told_apart(
    redis_db: RedisServer, stack: Stack, book: str, rows: tuple[tuple[str, str], ...], is_dashboards: bool
) -> None:
    found = await read(redis_db, stack, "positions.book", {"portfolio_positions": book})
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert (found.value.columns, found.value.rows) == (("field", "value"), rows)
    nested = await read(redis_db, stack, "positions.nested", {"portfolio_positions": book})
    assert isinstance(nested, Found)
    assert level_of(stack.facts["positions.nested"], nested.value) is (
        Level.WARN if is_dashboards else Level.OK
    )
    readings = (running("recon"), ok("positions.nested", nested.value))
    assert is_found(stack, "recon-shape", *readings) is is_dashboards


async def test_alerts_of_both_writers_stand_in_one_list(redis_db: RedisServer, stack: Stack) -> None:
    entries = ["1768212000:NaN_LOSS:loss is NaN", json.dumps({"alert_type": "stale", "success": False})]
    found = await read(redis_db, stack, "policy.error_rate", {"alerts:policy": entries})
    assert isinstance(found, Found)
    assert isinstance(found.value, Table)
    assert found.value.total == 2


SOCKETS = {
    "tcp": ("0100007F:1F40", "00000000:1F90", "00000000:1770"),
    "tcp6": ("00000000000000000000000001000000:1F40",),
}
"""As the kernel lists them: 8000 for this host alone, twice; 8080 and 6000 for everybody."""


async def test_a_port_that_clears_a_panic_for_everybody_is_told_from_one_of_this_host_alone(
    tmp_path: Path, stack: Stack
) -> None:
    (tmp_path / "net").mkdir()
    for name, sockets in SOCKETS.items():
        lines = [f" 0: {each} 00000000:0000 0A 0:0 00:0 0 0 0 {17 + n}" for n, each in enumerate(sockets)]
        (tmp_path / "net" / name).write_text("\n".join(("  sl", *lines, "")))
    reader = HostFactReader(there(stack, "host", f"host://localhost{tmp_path}"), SystemClock())
    found = await reader.read([stack.facts[name] for name in ("panic.ports", "panic.ports_here")])
    readings = {name: ok(name, each.value) for name, each in found.items() if isinstance(each, Found)}
    assert {name: reading.value.total for name, reading in readings.items()} == {
        "panic.ports": 3, "panic.ports_here": 2,
    }  # fmt: skip
    (row,) = Deriver(stack).make("panic.open", readings, START).value.rows
    assert row[:2] == ("8080", "0.0.0.0")


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-01-12T10:00:00Z",
        "2026-01-12T10:00:00+00:00Z",
        "2026-01-12 10:00:00",
        "2026-01-12T12:00:00+02:00",
    ],
)
async def test_a_report_s_time_is_one_moment_in_whatever_form_it_stands(
    tmp_path: Path, stack: Stack, stamp: str
) -> None:
    report = tmp_path / "artifacts" / "20260112_120000" / "rl" / "gate_report.md"
    report.parent.mkdir(parents=True)
    report.write_text(f"# RL Gate Report\n\n**Timestamp:** {stamp}\n")
    reader = FilesFactReader(there(stack, "app", f"file://{tmp_path}"))
    found = (await reader.read([stack.facts["gate.stamp"]]))["gate.stamp"]
    assert isinstance(found, Found)
    assert found.value == 1768212000.0


def there(stack: Stack, source: str, url: str) -> Source:
    return replace(stack.sources[source], url=url, deadline=10.0)


@pytest.mark.parametrize(
    ("line", "is_slow"),
    [
        ("Order latency: 612 ms", True),
        ("Order latency: 500.0ms", True),
        ("latency 1234.56 ms", True),
        ("latency 2104ms", True),
        ("latency p99=612.4 ms of 200 orders", True),
        ("latency 499.9 ms", False),
        ("latency 0.6125 ms", False),
        ("latency 88.1 ms of order 612", False),
        ("latency 45 ms, order id 123456", False),
    ],
)
async def test_a_slow_call_is_known_by_the_number_before_its_unit(
    tmp_path: Path, stack: Stack, line: str, is_slow: bool
) -> None:
    """9-D23: the runbook's search misses 1000 to 1499 ms and whatever has a decimal."""
    (tmp_path / "trader").mkdir()
    (tmp_path / "trader/bot.log").write_text(f"{line}\n")
    fact = stack.facts["logs.slow"]
    reader = FilesFactReader(replace(stack.sources[fact.source], url=f"file://{tmp_path}", deadline=10.0))
    found = (await reader.read([fact]))[fact.id]
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert (found.value.total == 1) is is_slow
