"""The procedures of surveillance that restart, resolve and tidy up, each to its verdict on the demo, whose
Redis, PostgreSQL and configuration files are real.

One shift: each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from backends.demo.surveillance.detector import Situation, alert_of
from backends.model.examination import Answer
from backends.model.procedure import Verdict
from tests.contract.surveillance_shift import Shift, on_demo

WORKERS = ("data-ingestion", "metrics-engine", "anomaly-detector")
RESTARTS = {
    "dashboard-restart": ("dashboard",),
    "metrics-restart": ("metrics-engine",),
    "detector-restart": ("anomaly-detector",),
    "ingestion-restart": ("data-ingestion",),
    "gap-reset": ("data-ingestion",),
    "workers-restart": WORKERS,
    "redis-restart": ("redis",),
    "database-restart": ("timescaledb",),
}
"""Which services each restarts."""


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with on_demo(tmp_path_factory.mktemp("journal")) as shift:
        yield shift


def test_an_alert_that_the_detector_forgot_is_resolved_in_both_stores(shift: Shift) -> None:
    with shift.fault("orphan"):
        alert = shift.first("alerts.orphans")
        shift.verify("alert-resolve", alert=alert)
    assert resolved(shift, alert) == ("manual", "manual")
    assert not shift.store.sismember("alerts:active", alert)


def test_an_alert_that_the_detector_knows_is_resolved_while_it_is_stopped(shift: Shift) -> None:
    before = shift.started()
    with shift.fault("thin-books"):
        alert = shift.first("alerts.active")
        shift.verify("alert-resolve-live", alert=alert)
    assert resolved(shift, alert) == ("manual", "manual")
    changed = {name for name, at in shift.started().items() if at != before[name]}
    assert changed == {"anomaly-detector"}


def test_the_planner_s_statistics_are_made_anew(shift: Shift) -> None:
    shift.verify("analyze-metrics")
    shift.verify("analyze-snapshots")


def test_what_is_too_old_is_removed_after_a_backup_and_nothing_younger(shift: Shift) -> None:
    shift.sql("UPDATE metrics SET created_at = now() - interval '100 days'"
              " WHERE ctid IN (SELECT ctid FROM metrics LIMIT 5)")  # fmt: skip
    shift.sql("INSERT INTO order_book_snapshots (local_timestamp, created_at)"
              " SELECT now(), now() - make_interval(days => d) FROM unnest(ARRAY[1, 40]) AS d")  # fmt: skip
    rows = shift.sql("SELECT count(*) FROM metrics WHERE created_at > now() - interval '80 days'")
    shift.verify("backup")
    shift.verify("metrics-drop")
    shift.verify("snapshots-delete")
    assert shift.sql("SELECT count(*) FROM metrics WHERE created_at < now() - interval '91 days'") == [(0,)]
    assert shift.sql("SELECT count(*) FROM order_book_snapshots") == [(1,)]
    assert shift.sql("SELECT count(*) FROM metrics WHERE created_at > now() - interval '80 days'") >= rows


def test_an_instrument_is_enabled_and_tried_by_the_loader(shift: Shift) -> None:
    config = shift.world.config.parent / "project/config/instruments.yaml"
    disabled = config.read_text().count("enabled: false")
    before = shift.started()
    shift.verify("instrument-on", instrument="ETH-USDT-PERP")
    assert config.read_text().count("enabled: false") == disabled - 1
    assert shift.started() == before


@pytest.mark.parametrize("procedure", RESTARTS)
def test_what_is_restarted_does_its_work_again_and_the_rest_was_left_alone(
    shift: Shift, procedure: str
) -> None:
    if procedure == "workers-restart":
        shift.verify("load-config")
    before = shift.started()
    shift.verify(procedure)
    after = shift.started()
    changed = {name for name in after if after[name] != before[name]}
    # Without Redis and without prices workers end, and are started again.
    assert {*RESTARTS[procedure]} <= changed <= {*RESTARTS[procedure], *WORKERS}


def test_reconnects_are_told_of_while_the_feed_still_comes(shift: Shift) -> None:
    """T-03."""
    shift.until(lambda: "okx-reconnects" not in shift.alarms(), "nothing of the kind before")
    with shift.fault("okx-reconnects"):
        shift.until(lambda: "okx-reconnects" in shift.alarms(), "the alarm")
        assert shift.answer("okx-exhausted") is Answer.NO
        assert json.loads(shift.store.get("health:okx") or "{}")["status"] == "connected"


def test_an_adapter_that_was_refused_at_the_start_stays_away_until_ingestion_is_restarted(
    shift: Shift,
) -> None:
    """T-05."""
    with shift.fault("okx-refused"):
        shift.until(lambda: "okx-disconnected" in shift.alarms(), "the alarm")
        assert shift.answer("adapter-never-connected") is Answer.YES
    # OKX takes connections again, and nothing tries one.
    assert shift.answer("adapter-never-connected") is Answer.YES
    shift.verify("ingestion-restart")
    assert shift.answer("adapter-never-connected") is Answer.NO
    shift.until(lambda: "okx-disconnected" not in shift.alarms(), "its return")


def test_a_feed_whose_silence_the_other_exchange_hides_is_found_by_its_book(shift: Shift) -> None:
    """T-07."""
    shift.until(lambda: shift.answer("gap-hidden") is Answer.NO, "all four books")
    with shift.fault("spot-dead"):
        shift.store.delete("orderbook:binance:BTC-USDT-SPOT")  # a minute later
        shift.until(lambda: shift.answer("gap-hidden") is Answer.YES, "the missing book")
        assert shift.sql("SELECT count(*) FROM data_gaps") == [(0,)]
    shift.until(lambda: shift.answer("gap-hidden") is Answer.NO, "its return")


def test_an_alert_of_an_exchange_that_sends_nothing_is_frozen(shift: Shift) -> None:
    """T-08."""
    with shift.fault("orphan"):
        shift.until(lambda: shift.answer("alerts-orphaned") is Answer.YES, "the alert")
        assert shift.answer("alerts-frozen") is Answer.NO
        with shift.fault("okx-exhausted"):
            shift.sql("UPDATE metrics SET created_at = created_at - interval '10 minutes'"
                      " WHERE exchange = 'okx'")  # fmt: skip
            shift.until(lambda: shift.answer("alerts-frozen") is Answer.YES, "nothing to judge it by")
    shift.verify("orphans-resolve")
    assert shift.answer("alerts-frozen") is Answer.NO


def test_a_depth_alert_of_okx_is_found_to_stand_on_five_levels(shift: Shift) -> None:
    """T-10."""
    shift.until(lambda: shift.answer("depth-by-few-levels") is Answer.NO, "no such alert")
    alert = alert_of(Situation("depth_warning", "okx", "BTC-USDT-PERP", 4e5, None, 5e5, None))
    shift.store.set(f"alert:{alert['alert_id']}", json.dumps(alert))
    shift.store.sadd("alerts:active", alert["alert_id"])
    assert shift.answer("depth-by-few-levels") is Answer.YES
    shift.store.srem("alerts:active", alert["alert_id"])
    assert shift.answer("depth-by-few-levels") is Answer.NO


def test_stores_that_are_open_on_all_interfaces_are_not_closed(shift: Shift) -> None:
    """T-15."""
    assert shift.answer("ports-bound") is Answer.YES
    assert shift.answer("stores-closed") is Answer.NO


def test_while_the_database_is_away_alerts_multiply_and_batches_fail(shift: Shift) -> None:
    """T-17, T-18."""
    shift.until(lambda: shift.answer("reconciled") is Answer.YES, "both stores agree")
    assert shift.answer("alerts-flood") is Answer.NO
    before = shift.store.scard("alerts:active")
    with shift.fault("database-down"):
        with shift.fault("thin-books"):
            shift.until(lambda: shift.store.scard("alerts:active") > before + 12, "more than there are")
        shift.until(lambda: shift.answer("batches-fail") is Answer.YES, "a batch that was not written")
    shift.until(lambda: "alerts-only-redis" in shift.alarms(), "the alarm")
    assert shift.answer("alerts-flood") is Answer.YES
    shift.verify("redis-only-resolve")
    shift.until(lambda: shift.answer("alerts-flood") is Answer.NO, "what was left is resolved")


@pytest.mark.parametrize(
    ("procedure", "first", "then"), [("redis-only-resolve", 0, 1), ("alerts-close", 1, 0)]
)
def test_an_alert_that_is_being_raised_is_neither_resolved_nor_closed(
    shift: Shift, procedure: str, first: int, then: int
) -> None:
    """It is in one store a moment before it is in the other, and what the detector remembers is muted."""
    shift.until(lambda: shift.answer("reconciled") is Answer.YES, "both stores agree")
    alert = alert_of(Situation("spread_warning", "okx", "BTC-USDT-PERP", 9.0, 4.0, 5.0, 3.0))
    ident = alert["alert_id"]

    def raised(where: int) -> None:
        if where == 0:
            shift.store.set(f"alert:{ident}", json.dumps(alert))
            shift.store.sadd("alerts:active", ident)
        else:
            shift.sql(
                "INSERT INTO alerts (alert_id, alert_type, priority, severity, trigger_metric, trigger_value,"
                " trigger_threshold, trigger_condition, triggered_at) VALUES"
                f" ('{ident}', 'spread_warning', 'P2', 'warning', 'spread_bps', 9, 5, 'gt', now())"
            )

    raised(first)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(shift.room.perform, procedure)
        shift.until(lambda: procedure in under_way(shift), "the run")
        raised(then)
        run = running.result()
    assert run.verdict is not Verdict.VERIFIED, run.steps
    assert "the detector knows this alert" in run.sentence
    assert shift.store.sismember("alerts:active", ident)
    assert shift.sql(f"SELECT resolved_at FROM alerts WHERE alert_id = '{ident}'") == [(None,)]
    shift.verify("alert-resolve-live", alert=ident)
    if shift.answer("alerts-orphaned") is Answer.YES:  # whatever else was open when the detector was stopped
        shift.verify("orphans-resolve")


def test_keys_that_redis_threw_away_are_counted_for_ever(shift: Shift) -> None:
    """T-09."""
    assert shift.answer("redis-memory") is Answer.YES
    used = int(shift.store.info("memory")["used_memory"])
    shift.store.config_set("maxmemory-policy", "allkeys-lru")
    shift.store.config_set("maxmemory", used + 2_000_000)
    for number in range(40):
        shift.store.set(f"scratch:{number}", "x" * 100_000)
    shift.store.config_set("maxmemory", 0)
    shift.store.delete(*(f"scratch:{number}" for number in range(40)))
    assert shift.answer("redis-memory") is Answer.NO


def under_way(shift: Shift) -> set[str]:
    """The procedures that run, no dry run among them."""
    runs = shift.room.board.runs
    return {run.procedure for run in runs if run.verdict is None and not run.is_dry}


def resolved(shift: Shift, alert: str) -> tuple[object, object]:
    """How it was, by Redis and by the database."""
    document = json.loads(str(shift.store.get(f"alert:{alert}")))
    ((kind,),) = shift.sql(f"SELECT resolution_type FROM alerts WHERE alert_id = '{alert}'")
    return document["resolution_type"], kind
