"""The procedures of surveillance that restart, resolve and tidy up, each to its verdict on the demo, whose
Redis, PostgreSQL and configuration files are real.

One shift: each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

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


def resolved(shift: Shift, alert: str) -> tuple[object, object]:
    """How it was, by Redis and by the database."""
    document = json.loads(str(shift.store.get(f"alert:{alert}")))
    ((kind,),) = shift.sql(f"SELECT resolution_type FROM alerts WHERE alert_id = '{alert}'")
    return document["resolution_type"], kind
