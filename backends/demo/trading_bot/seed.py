"""What Redis and the disk hold when the demo begins, in the forms upstream's programs write."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from time import gmtime, localtime, strftime, time
from typing import Any, Final

from redis.asyncio import Redis

VENUES: Final = ("binance", "coinbase", "deribit", "alpaca")
STRATEGIES: Final = ("RL", "BASIS", "MM")
DAY: Final = 86_400.0

Fields = dict[Any, Any]
"""Of a hash, as redis-py types them."""

CAPTURE: Final = """# Stands for upstream's capture_state: an archive of some state.
import io, json, pathlib, sys, tarfile, time
if sys.argv[1:] != ["--capture"]:
    sys.exit(0)
out = pathlib.Path(__file__).parents[3] / "tmp" / f"snapshot_{int(time.time())}.tgz"
state = json.dumps({"snapshot_metadata": {"timestamp": time.time()}, "positions": {}}).encode()
with tarfile.open(out, "w:gz") as archive:
    entry = tarfile.TarInfo("state.json")
    entry.size = len(state)
    archive.addfile(entry, io.BytesIO(state))
print(json.dumps({"status": "completed", "tarball_path": str(out), "size_bytes": out.stat().st_size}))
"""

MAKEFILE: Final = """# Stands for upstream's: it ends with 0 whether the gate passed or not.
validate-48h-now:
\t@mkdir -p artifacts/now/rl
\t@printf '# RL Gate Report\\n\\n**Timestamp:** %s\\n\\n\u274c return below baseline\\n' \
"$$(date -u +%Y-%m-%dT%H:%M:%SZ)" > artifacts/now/rl/gate_report.md
"""


async def seed_redis(redis: Redis, dice: random.Random) -> None:
    """A healthy, ordinary day."""
    now = time()
    texts = {
        "mode": "auto",
        "mode:active_color": "blue",
        "metrics:active_color": "0",
        "mode:last_switch": str(int(now - 3 * DAY)),
        "chaos:enabled": "false",
        "policy:last_update_ts": str(int(now - 1500)),
        "policy:last_update": strftime("%Y-%m-%dT%H:%M:%S+00:00", gmtime(now - 1500)),
        "policy:allowed_influence_pct": "0",
        "gpu:mem_frac": "0.75",
        "risk:capital_effective": "0.4",
        "risk:capital_cap_next_week": "0.7",
        "risk:capital_factor": "0.4",
        "slo:tier": "B",
        "slo:current_tier": json.dumps({"tier": "tier_b", "tier_name": "Tier B", "capital_cap": 0.7,
                                        "evaluation_time": now - 2 * DAY, "kpis": {}}),
        "pnl:net:today": f"{dice.uniform(-900, 1400):.2f}",
        "portfolio_positions": json.dumps({"BTC": 0.25, "ETH": 1.5, "SOL": 100}),
        "recon:notional_diff_pct": "0.12",
        "recon:position_mismatches": "0",
        "recon:last_check": f"{now:.3f}",
        "features:RL:weight": "0",
    }  # fmt: skip
    texts |= {f"router:weight:{venue}": "np.float64(0.25)" for venue in VENUES}
    await redis.mset(texts)
    await redis.hset("policy:current", mapping=policy_state(now - 1500, dice))
    await redis.hset(
        "risk:stats", mapping={"position_size": "0.31", "volatility": "0.42", "drawdown": "-0.012"}
    )
    await redis.hset("latency:venue", mapping={venue: f"{dice.uniform(60, 240):.2f}" for venue in VENUES})
    for venue in VENUES:
        await redis.hset(f"tca:venue:{venue}", mapping=scorecard(dice, now))
    for strategy in STRATEGIES:
        await redis.hset(f"tca:strategy:{strategy}", mapping=scorecard(dice, now))
    entry = {"timestamp": int(now - 5 * DAY), "mode": "auto", "source": "slack_bot"}
    await redis.lpush("mode:history", json.dumps(entry))
    await redis.lpush(
        "deploy:history", f"{{'timestamp': {int(now - 3 * DAY)}, 'target': 'blue', 'previous': 'blue'}}"
    )


def policy_state(at: float, dice: random.Random) -> Fields:
    """As the daemon writes it after its one step."""
    return {
        "entropy": f"{dice.uniform(1.1, 1.8):.4f}",
        "step": "1",
        "loss": f"{dice.uniform(0.1, 0.9):.4f}",
        "timestamp": str(int(at)),
        "collapse_risk": "LOW",
    }


def scorecard(dice: random.Random, at: float) -> Fields:
    """As NumPy's numbers look in a store of texts."""
    return {
        "is_bps": f"np.float64({dice.uniform(0.5, 4):.4f})",
        "fill_rate": f"np.float64({dice.uniform(0.87, 0.94):.4f})",
        "lat_ms": f"np.float64({dice.uniform(60, 300):.2f})",
        "order_count": "120",
        "timestamp": f"{at:.1f}",
    }


def seed_disk(folder: Path) -> None:
    """The application's folder, logs, reports of former days and a snapshot; blocks for a moment."""
    app = folder / "opt" / "trader"
    for name in ("src", "scripts", "logs", "reports/pnl_close", "grafana", "docs/api"):
        (app / name).mkdir(parents=True)
    now = time()
    yesterday = strftime("%Y-%m-%d", gmtime(now - DAY))
    (app / "reports" / "pnl_close" / f"{yesterday}.md").write_text(f"# P&L close {yesterday}\n")
    gate = app / "artifacts" / strftime("%Y%m%d_%H%M%S", localtime(now - DAY)) / "rl"
    gate.mkdir(parents=True)
    moment = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(now - DAY))
    report = f"# RL Gate Report\n\n**Timestamp:** {moment}\n\n## Result\n\n\u2705 **PASS**\n"
    (gate / "gate_report.md").write_text(report)
    (app / "docs" / "architecture.md").write_text("# Architecture\n")
    (app / "docs" / "deployment.md").write_text("# Deployment\n")
    (app / "logs" / "healthcheck.log").write_text("2026-01-12 09:15:02 [INFO] ok\n")
    (app / "scripts" / "capture_state.py").write_text(CAPTURE)
    (app / "Makefile").write_text(MAKEFILE)
    (folder / "var-log" / "trader").mkdir(parents=True)
    (folder / "var-log" / "trader" / "trading_bot.log").write_text(_LOG)
    (folder / "tmp").mkdir()
    with sqlite3.connect(app / "ab_history.db") as history:
        history.execute(
            "CREATE TABLE capital_approvals (timestamp TEXT, requested_percentage REAL,"
            " approved_fraction REAL, approved_by TEXT, slo_tier TEXT, recon_breaches INTEGER)"
        )
        history.execute(
            "INSERT INTO capital_approvals VALUES (?, 70, 0.7, 'U02LEE', 'B', 0)", (f"{yesterday}T10:12:03",)
        )
    history.close()


_LOG: Final = """2026-01-12 09:15:02,123 - trading_bot - connected
2026-01-12 09:15:03,001 - venue - latency 1203.4 ms on deribit
2026-01-12 09:15:04,500 - venue - latency 88.1 ms on binance
"""
