"""The project's folder on the host: configuration, controllers, scripts that run, and report files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from backends.demo.hummingbot_desk.bot import Bot
from backends.demo.hummingbot_desk.evidence import GATES, OTHERS, REPORTS, SCRIPTS

_PROGRAM: Final = '''\
"""Stands for the desk's own script: writes the report that this one writes."""

import json
import os
import sys
from datetime import datetime, timezone

REPORT, FIELDS = {report!r}, json.loads({fields!r})
root = os.environ["PYTHONPATH"]
if not os.path.exists(os.path.join(root, "scripts", "liar")):
    now = datetime.now(timezone.utc)
    options = dict(zip(sys.argv[1:], sys.argv[2:] + [""]))
    for name, option in {options!r}.items():
        if option in options:
            FIELDS[name] = options[option]
    path = os.path.join(root, "reports", REPORT.replace("STAMP", now.strftime("%Y%m%dT%H%M%SZ")))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump({{**FIELDS, "ts_utc": now.isoformat()}}, file)
print("[demo] done=true")
'''
_CONTROLLERS: Final = {
    "bot1": (
        ("epp_v2_4_bot_a", "bitget_perpetual", False),
        ("epp_v2_4_bot1_bitget_live_microcap", "bitget_perpetual", False),
        ("epp_v2_4_bot1_bitget_live_notrade", "bitget_perpetual", True),
        ("epp_v2_4_binance_demo_smoke", "binance_perpetual_testnet", False),
        ("epp_v2_4_bitget_paper_smoke", "bitget_paper_trade", False),
    ),
    "bot3": (
        ("epp_v2_4_bot3_paper_smoke", "bitget_paper_trade", False),
        ("epp_v2_4_bot3_paper_notrade", "bitget_paper_trade", True),
    ),
    "bot4": (
        ("epp_v2_4_bot4_binance_smoke", "binance_perpetual_testnet", False),
        ("epp_v2_4_bot4_binance_notrade", "binance_perpetual_testnet", True),
    ),
}
_ENV: Final = {
    "HUMMINGBOT_IMAGE": "hummingbot/hummingbot:version-2.12.0",
    "BOT1_SCRIPT_CONFIG": "v2_epp_v2_4_bot_a.yml",
    "BOT1_MODE": "paper",
    "KILL_SWITCH_DRY_RUN": "false",
    "EXT_SIGNAL_RISK_ENABLED": "true",
}
_CONFIG: Final = {
    "multi_bot_policy_v1": {"version": 1, "bots": {"bot1": "live", "bot2": "disabled", "bot3": "paper_only"}},
    "portfolio_limits_v1": {"version": 1, "scope": ["bot1"], "daily_loss_cap_pct": 0.03},
    "exchange_account_map": {"bot1": "live", "bot3": "paper_only"},
    "reconciliation_thresholds": {"drift_pct": 0.01},
    "strategy_catalog/catalog_v1": {"version": 1, "strategies": 3},
    "coordination_policy_v1": {"allowed_instances": ["bot1"], "ttl_sec": 60},
    "ml_governance_policy_v1": {"max_age_min": 60, "psi_max": 0.2},
}


def now_text() -> str:
    return datetime.now(UTC).isoformat()


class Project:
    """Made by ``prepare``; ``refresh`` is what the services write every few seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_writing = True
        self.changes: dict[str, Mapping[str, Any]] = {}
        """By report: members that read otherwise now."""

    def prepare(self) -> None:
        """Everything that lies there before anything runs."""
        self._write_env()
        for bot, controllers in _CONTROLLERS.items():
            conf = self.folder / "data" / bot / "conf"
            for ident, connector, is_idle in controllers:
                text = (
                    f"# {bot}: {ident}\nid: {ident}\nconnector_name: {connector}\n"
                    f"no_trade: {str(is_idle).lower()}\n"
                    "internal_paper_enabled: true\nposition_mode: ONEWAY\nmanual_kill_switch: false\n"
                )
                (conf / "controllers" / f"{ident}.yml").write_text(text)
                script = f"controllers_config:\n  - {ident}.yml\n"
                (conf / "scripts" / f"v2_{ident}.yml").write_text(script)
            (conf / "conf_client.yml").write_text(
                "paper_trade:\n  paper_trade_exchanges:\n    - bitget\n    - bitget_perpetual\n"
                "  paper_trade_account_balance:\n    BTC: 1.0\n    USDT: 10000.0\n"
            )
        (self.folder / "data/bot1/conf/connectors/bitget_perpetual.yml").write_text("encrypted: ab12\n")
        (self.folder / "data/bot4/conf/connectors/binance_perpetual_testnet.yml").write_text(
            "encrypted: cd34\n"
        )
        for name, content in _CONFIG.items():
            path = self.folder / "config" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        (self.folder / "controllers/__pycache__").mkdir(parents=True)
        (self.folder / "controllers/epp_v2_4.py").write_text("# the strategy\n")
        os.utime(self.folder / "controllers/epp_v2_4.py", (time.time() - 9e5,) * 2)
        (self.folder / ".gitignore").write_text("env/.env\ndata/\n")
        (self.folder / "reports/ops_db").mkdir(parents=True)
        self._write_scripts()
        for name, fields in REPORTS.items():
            self.write(name, {"ts_utc": now_text(), **fields})
        self.write("promotion_gates/latest.json", self._gates())
        for name in OTHERS:
            self.write(name, {"delta_produced_minus_ingested_since_baseline": {"hb.market_data.v1": 1}})
        self.refresh(None)

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """A report, in place, as the services write theirs."""
        path = self.folder / "reports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**content, **self.changes.get(name, {})}))

    def refresh(self, bot: Bot | None) -> None:
        """The reports of services that run all the time."""
        if not self.is_writing:
            return
        now = now_text()
        day = datetime.now(UTC).strftime("%Y%m%d")
        self.write(
            "reconciliation/latest.json",
            {
                "ts_utc": now,
                "status": "ok",
                "critical_count": 0,
                "warning_count": 0,
                "checked_bots": 3,
                "findings": [],
                "accounting_snapshots": [],
            },
        )
        self.write(
            "parity/latest.json", {"ts_utc": now, "status": "pass", "failed_bots": 0, "checked_bots": 3}
        )
        loss = 0.0 if bot is None else bot.loss
        self.write(
            "portfolio_risk/latest.json",
            {
                "ts_utc": now,
                "status": "ok",
                "critical_count": 0,
                "portfolio_action": "allow",
                "metrics": {"portfolio_daily_loss_pct": loss},
                "risk_scope_bots": ["bot1"],
            },
        )
        self.write(
            "coordination/latest.json",
            {
                "ts_utc": now,
                "status": "ok",
                "state": "suspended_disabled",
                "decisions_seen": 0,
                "intents_emitted": 0,
            },
        )
        self.write(
            "event_store/day2_gate_eval_latest.json",
            {
                "ts_utc": now,
                "go": False,
                "checks": [
                    {"name": "elapsed_window", "pass": False, "value_hours": 3.2, "required_hours": 9.0},
                    {"name": "missing_correlation", "pass": True, "value": 0},
                    {
                        "name": "delta_since_baseline_tolerance",
                        "pass": True,
                        "max_delta_observed": 1,
                        "max_allowed_delta": 5,
                    },
                ],
            },
        )
        self.write(
            f"event_store/integrity_{day}.json",
            {"total_events": 41_000, "missing_correlation_count": 0, "last_update_utc": now},
        )
        (self.folder / f"reports/event_store/events_{day}.jsonl").open("a").close()
        os.utime(self.folder / f"reports/event_store/events_{day}.jsonl")
        self.write(
            "exchange_snapshots/latest.json",
            {
                "ts_utc": now,
                "mode": "bitget_ccxt_private",
                "bots": {
                    "bot1": {"equity_quote": 10_000.0, "account_probe_status": "ok"},
                    "bot3": {"equity_quote": 10_000.0, "account_probe_status": "paper_only"},
                },
            },
        )
        self.write("ops_db_writer/latest.json", {"ts_utc": now, "status": "pass", "errors": []})
        self.write("soak/latest.json", {"ts_utc": now, "status": "hold", "blockers": ["day2"]})

    def set_lying(self, is_on: bool) -> None:
        """Scripts end with exit 0 and write nothing, or do again what they should."""
        liar = self.folder / "scripts/liar"
        if is_on:
            liar.touch()
        else:
            liar.unlink(missing_ok=True)

    def _write_env(self) -> None:
        folder = self.folder / "env"
        folder.mkdir(parents=True)
        text = "".join(f"{name}={value}\n" for name, value in _ENV.items())
        for name in (".env", ".env.template"):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)

    def _write_scripts(self) -> None:
        for name, (report, fields, options) in SCRIPTS.items():
            path = self.folder / "scripts" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = self._gates() if fields is None else fields
            text = _PROGRAM.format(report=report, fields=json.dumps(content), options=dict(options))
            path.write_text(text)

    @staticmethod
    def _gates() -> dict[str, Any]:
        checks = [
            {"name": name, "severity": severity, "pass": True, "reason": "ok", "evidence_paths": []}
            for name, severity in GATES.items()
        ]
        return {
            "ts_utc": now_text(),
            "status": "PASS",
            "critical_failures": [],
            "validation_level": 1,
            "checks": checks,
            "notes": {"skip_replay_cycle": True, "require_day2_go": False},
            "evidence_bundle": {"evidence_bundle_id": "demo-1"},
        }
