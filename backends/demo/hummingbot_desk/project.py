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
from backends.demo.hummingbot_desk.clickhouse import INGEST
from backends.demo.hummingbot_desk.configuration import COMPOSE, controllers, policies, template, variables
from backends.demo.hummingbot_desk.evidence import FORCED, OTHERS, PAST, REPORTS, SCRIPTS
from backends.demo.hummingbot_desk.generation import Generation

_PROGRAM: Final = '''\
"""Stands for the desk's own script: writes the report that this one writes, and more where it is forced."""

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
    forced = json.loads({forced!r}) if "--force" in sys.argv else {{}}
    for report, fields in {{REPORT: FIELDS, **forced}}.items():
        path = os.path.join(root, "reports", report.replace("STAMP", now.strftime("%Y%m%dT%H%M%SZ")))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            json.dump({{**fields, "ts_utc": now.isoformat()}}, file)
print("[demo] done=true")
'''


_PAST: Final = 3 * 86_400.0
"""Seconds since what is there from before was written."""
_GATE_OF: Final = {
    "policy/latest.json": "multi_bot_policy_scope",
    "policy/coordination_policy_latest.json": "coordination_policy_scope",
}
"""The gates that rest on a check, by its report."""


_STALE: Final = 3600.0
"""Seconds since when services that write nothing any more have not."""


def now_text(ago: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).isoformat()


class Project:
    """Made by ``prepare``; ``refresh`` is what the services write every few seconds."""

    def __init__(self, folder: Path, generation: Generation) -> None:
        self.folder = folder
        self._is = generation
        self._is_writing = True
        self.changes: dict[str, Mapping[str, Any]] = {}
        """By report: members that read otherwise now."""
        self.unwritten: set[str] = set()
        """Reports whose service does not come to write them."""

    def prepare(self) -> None:
        """Everything that lies there before anything runs."""
        self._write_env()
        for bot, each in controllers(self._is).items():
            conf = self.folder / "data" / bot / "conf"
            for ident, connector in each.items():
                text = (
                    f"# {bot}: {ident}\nid: {ident}\nconnector_name: {connector}\n"
                    f"no_trade: {str(ident.endswith('notrade')).lower()}\n"
                    "internal_paper_enabled: true\nposition_mode: ONEWAY\nmanual_kill_switch: false\n"
                )
                (conf / "controllers" / f"{ident}.yml").write_text(text)
                script = f"controllers_config:\n  - {ident}.yml\n"
                (conf / "scripts" / f"v2_{ident}.yml").write_text(script)
            listed = "".join(f"    - {exchange}\n" for exchange in self._is.paper_exchanges)
            (conf / "conf_client.yml").write_text(
                f"paper_trade:\n  paper_trade_exchanges:\n{listed}"
                "  paper_trade_account_balance:\n    BTC: 1.0\n    USDT: 10000.0\n"
            )
            if not self._is.bots[bot].connector.endswith("paper_trade"):
                (conf / f"connectors/{self._is.bots[bot].connector}.yml").write_text("encrypted: ab12\n")
        for name, content in policies(self._is).items():
            path = self.folder / "config" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        (self.folder / "controllers/__pycache__").mkdir(parents=True)
        self._write_past("controllers/epp_v2_4.py", "# the strategy\n")
        self._write_past(
            "data/bot3/scripts/paper_quotes.py", 'markets = {"bitget_paper_trade": {"BTC-USDT"}}\n'
        )
        (self.folder / ".gitignore").write_text(f"{self._is.env_file}\ndata/\n")
        self._write_scripts()
        for name, fields in REPORTS.items():
            self.write(name, {"ts_utc": now_text(), **fields, **self._is.failing.get(name, {})})
        self.write("promotion_gates/latest.json", {"ts_utc": now_text(), **self._gates()})
        for name in OTHERS:
            self.write(name, {"delta_produced_minus_ingested_since_baseline": {"hb.market_data.v1": 1}})
        for name, text in PAST.items():
            self._write_past(f"reports/{name}", text)
        self.refresh(None)

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """A report, in place, as the services write theirs."""
        if name in self.unwritten:
            return
        path = self.folder / "reports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**content, **self.changes.get(name, {})}))

    def go_stale(self, is_on: bool) -> None:
        """The services have written nothing for an hour, or begin to write again."""
        if is_on:
            self.refresh(None, _STALE)
        self._is_writing = not is_on

    def refresh(self, bot: Bot | None, ago: float = 0.0) -> None:
        """The reports of services that run all the time, as of ``ago`` seconds before."""
        if not self._is_writing:
            return
        now = now_text(ago)
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
        metric = {"metric": "fill_ratio_delta", "value": 0.98, "delta": 0.01, "pass": True, "note": ""}
        self.write(
            "parity/latest.json",
            {
                "ts_utc": now,
                "status": "pass",
                "failed_bots": 0,
                "checked_bots": len(self._is.bots),
                "bots": [{"bot": bot, "pass": True, "metrics": [metric]} for bot in self._is.bots],
            },
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
                "risk_scope_bots": list(self._is.risk_scope),
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
            {
                "total_events": 41_000,
                "missing_correlation_count": 0,
                "last_update_utc": now,
                **({"ts_utc": now} if self._is.stamps_integrity else {}),
            },
        )
        path = self.folder / f"reports/event_store/events_{day}.jsonl"
        with path.open("a") as events:
            events.write(json.dumps({"event_type": "market_snapshot", "ts_utc": now}) + "\n")
        os.utime(path, (time.time() - ago,) * 2)
        self.write(
            "exchange_snapshots/latest.json",
            {
                "ts_utc": now,
                "mode": "bitget_ccxt_private",
                "bots": {
                    bot: {
                        "equity_quote": 10_000.0,
                        "account_probe_status": "ok" if bot == "bot1" else "paper_only",
                    }
                    for bot in self._is.bots
                },
            },
        )
        self.write("ops_db_writer/latest.json", {"ts_utc": now, "status": "pass", "errors": []})
        self.write("soak/latest.json", {"ts_utc": now, "status": "hold", "blockers": ["day2"]})
        if "ops-scheduler" in self._is.parts:
            self.write("ops_scheduler/heartbeat.json", {"ts_utc": now, "alive_threads": 5})

    def prepare_ingest(self, port: int) -> Path:
        """The program that fills ClickHouse on this port."""
        self._write_script("services/clickhouse_ingest/main.py", INGEST.format(port=port))
        self._write_past("reports/clickhouse_ingest/state.before-dry-run.json", "{}")
        return self.folder / "services/clickhouse_ingest/main.py"

    def set_lying(self, is_on: bool) -> None:
        """Scripts end with exit 0 and write nothing, or do again what they should."""
        liar = self.folder / "scripts/liar"
        if is_on:
            liar.touch()
        else:
            liar.unlink(missing_ok=True)

    def _write_env(self) -> None:
        path = self.folder / self._is.env_file
        path.parent.mkdir(parents=True)
        for name, of in ((path.name, variables(self._is)), (".env.template", template(self._is))):
            path.with_name(name).touch(mode=0o600)
            path.with_name(name).write_text("".join(f"{key}={value}\n" for key, value in of.items()))
        compose = path.parents[1] / "compose/docker-compose.yml"
        compose.parent.mkdir()
        compose.write_text(COMPOSE)

    def _write_scripts(self) -> None:
        for name, (report, fields, options) in SCRIPTS.items():
            content = self._gates() if fields is None else {**fields, **self._is.failing.get(report, {})}
            text = _PROGRAM.format(
                report=report, fields=json.dumps(content), options=dict(options),
                forced=json.dumps(FORCED.get(name, {})),
            )  # fmt: skip
            self._write_script(f"scripts/{name}", text)

    def _write_past(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (time.time() - _PAST,) * 2)

    def _write_script(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _gates(self) -> dict[str, Any]:
        failed = {_GATE_OF[report] for report in self._is.failing if report in _GATE_OF}
        checks: list[dict[str, Any]] = [
            {
                "name": name,
                "severity": severity,
                "pass": name not in failed,
                "reason": "its check fails" if name in failed else "ok",
                "evidence_paths": [],
            }
            for name, severity in self._is.gates.items()
        ]
        return {
            "status": "FAIL" if failed else "PASS",
            "critical_failures": sorted(failed),
            "validation_level": 1,
            "checks": checks,
            "notes": {"skip_replay_cycle": True, "require_day2_go": False},
            "evidence_bundle": {"evidence_bundle_id": "demo-1"},
        }
