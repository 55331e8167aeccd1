"""What the desk's scripts write: their reports, with the members and the words of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

GATES: Final = {
    **dict.fromkeys(
        (
            "preflight_checks",
            "multi_bot_policy_scope",
            "strategy_catalog_consistency",
            "coordination_policy_scope",
            "unit_service_integration_tests",
            "secrets_hygiene",
            "smoke_checks",
            "paper_smoke_matrix",
            "replay_regression_first_class",
            "ml_signal_governance",
            "regression_backtest_harness",
            "reconciliation_status",
            "parity_thresholds",
            "portfolio_risk_status",
            "accounting_integrity_v2",
            "alerting_health",
            "event_store_integrity_freshness",
            "day2_event_store_gate",
        ),
        "critical",
    ),
    **dict.fromkeys(
        ("market_data_freshness", "validation_ladder_paper_soak", "validation_ladder_post_trade"), "warning"
    ),
}
"""Gate to severity."""

_WINDOWS: Final = [
    {"min_events": size, "rc": 0, "status": "pass", "deterministic_repeat_pass": True}
    for size in (500, 1000, 2000)
]
_BUS: Final = {
    "status": "pass",
    "label": "pre_restart",
    "max_delta_observed": 1.0,
    "previous_checkpoint_path": "reports/bus_recovery/bus_recovery_pre_restart_20260227T090000Z.json",
    "checks": {
        "count_check_exit_ok": True,
        "missing_correlation_zero": True,
        "delta_not_worse_than_previous": True,
        "delta_since_baseline_within_tolerance": True,
    },
}

Script = tuple[str, Mapping[str, Any] | None, Mapping[str, str]]
"""Report (STAMP is the time), its members (None for those of the gates), and members that options name."""

_NONE: Final[Mapping[str, str]] = {}
SCRIPTS: Final[Mapping[str, Script]] = {
    "release/check_multi_bot_policy.py": ("policy/latest.json", {"status": "pass", "errors": []}, _NONE),
    "release/run_promotion_gates.py": ("promotion_gates/latest.json", None, _NONE),
    "release/run_secrets_hygiene_check.py": (
        "security/latest.json",
        {"status": "pass", "finding_count": 0, "include_logs": True, "findings": []},
        _NONE,
    ),
    "release/check_strategy_catalog_consistency.py": (
        "strategy_catalog/latest.json",
        {"status": "pass", "errors": []},
        _NONE,
    ),
    "release/check_coordination_policy.py": (
        "policy/coordination_policy_latest.json",
        {"status": "pass", "errors": []},
        _NONE,
    ),
    "release/run_bus_recovery_check.py": ("bus_recovery/latest.json", _BUS, {"label": "--label"}),
    "utils/event_store_count_check.py": (
        "event_store/source_compare_STAMP.json",
        {"delta_produced_minus_ingested_since_baseline": {"hb.market_data.v1": 1, "hb.audit.v1": 0}},
        _NONE,
    ),
    "utils/day2_gate_evaluator.py": (
        "event_store/day2_gate_eval_latest.json",
        {"go": False, "checks": []},
        _NONE,
    ),
    "utils/reset_event_store_baseline.py": (
        "event_store/baseline_reset_preview_STAMP.json",
        {"status": "preview"},
        {"reason": "--reason"},
    ),
    "release/check_accounting_integrity_v2.py": ("accounting/latest.json", {"status": "pass"}, _NONE),
    "release/run_replay_regression_multi_window.py": (
        "replay_regression_multi_window/latest.json",
        {"status": "pass", "failed_windows": 0, "windows": _WINDOWS},
        _NONE,
    ),
    "release/check_ml_signal_governance.py": (
        "policy/ml_governance_latest.json",
        {"status": "pass", "ml_enabled": False, "checks": []},
        _NONE,
    ),
    "release/check_market_data_freshness.py": (
        "market_data/latest.json",
        {"status": "pass", "checks": {"events_file_fresh": True, "market_data_rows_present": True}},
        _NONE,
    ),
    "release/check_hb_upgrade_readiness.py": (
        "upgrade/latest.json",
        {
            "status": "pass",
            "target_image": "hummingbot/hummingbot:version-2.12.1",
            "current_default_image": "hummingbot/hummingbot:version-2.12.0",
        },
        {"target_image": "--target-image"},
    ),
    "release/validate_notrade_window.py": ("notrade_validation/latest.json", {"status": "pass"}, _NONE),
    "release/recover_event_store_stack_and_strict_cycle.py": (
        "recovery/latest.json",
        {"status": "pass", "service_states": {"redis": "healthy", "event-store-service": "healthy"}},
        _NONE,
    ),
}

FORCED: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "utils/reset_event_store_baseline.py": {
        "event_store/baseline_counts_backup_STAMP.json": {},
        "event_store/baseline_reset_apply_STAMP.json": {"status": "applied"},
    },
}
"""What a script writes besides when it is told --force."""

REPORTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "promotion_gates/strict_cycle_latest.json": {
        "strict_gate_rc": 0,
        "strict_gate_status": "PASS",
        "critical_failures": [],
    },
    "tests/latest.json": {"status": "pass", "rc": 0, "runtime_used": "host", "fallback_reason": None},
    "ci_pipeline/latest.json": {"status": "pass", "dry_run": False, "failed_steps": [], "steps": [1, 2, 3]},
    "paper_soak/latest.json": {"status": "PASS", "kpis": {}},
    "readiness/final_decision_latest.json": {"status": "HOLD", "blockers": ["day2_event_store_gate"]},
    **{
        report: fields
        for report, fields, _ in SCRIPTS.values()
        if fields is not None and "STAMP" not in report and not report.startswith("event_store")
    },
}
"""What is there when the demo begins."""

OTHERS: Final = (
    "tests/latest.md", "tests/coverage.xml", "tests/coverage.json", "ci_pipeline/latest.md",
    "replay_regression_multi_window/latest.md", "accounting/accounting_integrity_20260227T090000Z.json",
    "policy/ml_governance_check_20260227T090000Z.json",
    "event_store/source_compare_20260227T090000Z.json",
)  # fmt: skip
"""Evidence of which only the age is looked at."""

PAST: Final[Mapping[str, str]] = {
    "event_store/baseline_reset_preview_20260225T090000Z.json": '{"status": "preview"}',
    "event_store/baseline_reset_apply_20260225T091000Z.json": '{"status": "applied"}',
    "event_store/baseline_counts_backup_20260225T091000Z.json": "{}",
    "ops_db/postgres_dump_20260225T100000Z.sql": "--\n-- PostgreSQL database dump complete\n--\n",
}
"""Files of three days ago."""
