"""What lies in the desk's folder before anything runs: controllers, environment file, limits and policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backends.demo.hummingbot_desk.generation import Generation

_LIVE: Final = "bitget_perpetual"
_PAPER: Final = "bitget_paper_trade"
_TESTNET: Final = "binance_perpetual_testnet"
_SCENARIOS: Final = (
    "smoke",
    "notrade",
    "manual_fee",
    "auto_fee",
    "edge_pause",
    "inventory_guard",
    "cancel_budget",
)
_OTHERS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "bot1": (
        ("epp_v2_4_bot1_bitget_live_microcap", _LIVE),
        ("epp_v2_4_bot1_bitget_live_notrade", _LIVE),
        ("epp_v2_4_binance_demo_smoke", _TESTNET),
        ("epp_v2_4_bitget_paper_smoke", _PAPER),
    ),
    "bot3": (("epp_v2_4_bot3_paper_notrade", _PAPER),),
    "bot4": tuple((f"epp_v2_4_bot4_binance_{scenario}", _TESTNET) for scenario in _SCENARIOS),
}
"""Controllers beside the one that runs, and their connectors."""

PAST: Final[Mapping[str, Mapping[int, Mapping[str, str]]]] = {
    "bot4": {
        1300: {"fee_source": "manual:fee_profiles"},
        1200: {"state": "soft_pause", "risk_reasons": "edge_gate_blocked"},
        1100: {"risk_reasons": "base_pct_below_min"},
        1000: {"risk_reasons": "cancel_budget_repeated_breach"},
    }
}
"""What its scenarios left in a bot's minutes, by minutes ago."""


def controllers(generation: Generation) -> dict[str, dict[str, str]]:
    """By bot: each controller's connector."""
    return {
        bot: {**dict(_OTHERS.get(bot, ())), trader.controller: trader.connector}
        for bot, trader in generation.bots.items()
    }


def variables(generation: Generation) -> dict[str, str]:
    """Of the environment file."""
    return {
        "HUMMINGBOT_IMAGE": generation.bot_image,
        "BOT1_SCRIPT_CONFIG": f"v2_{generation.bots['bot1'].controller}.yml",
        "BOT1_MODE": "paper",
        "KILL_SWITCH_DRY_RUN": "false",
        "KILL_SWITCH_API_KEY": "of-the-demo",
        "KILL_SWITCH_SECRET": "of-the-demo",
        "KILL_SWITCH_PASSPHRASE": "of-the-demo",
        "EXT_SIGNAL_RISK_ENABLED": "true",
        "OPS_DB_PASSWORD": "of-the-demo",
    }


def template(generation: Generation) -> dict[str, str]:
    """Of the template that everybody has: nobody's secrets."""
    return {
        name: f"your_{name.lower()}" if value == "of-the-demo" else value
        for name, value in variables(generation).items()
    }


COMPOSE: Final = """
services:
  postgres:
    environment:
      POSTGRES_PASSWORD: ${OPS_DB_PASSWORD:-hbot_dev_password}
"""
"""As much of the compose file as says what is taken for want of a password."""


def policies(generation: Generation) -> dict[str, dict[str, Any]]:
    """Files of the folder config, without their ending."""
    return {
        "multi_bot_policy_v1": {
            "version": 1,
            "bots": {"bot1": "live", "bot2": "disabled", "bot3": "paper_only"},
        },
        "portfolio_limits_v1": {
            "version": 1,
            "scope": list(generation.risk_scope),
            "daily_loss_cap_pct": 0.03,
        },
        "exchange_account_map": {"bot1": "live", "bot3": "paper_only"},
        "reconciliation_thresholds": {"drift_pct": 0.01},
        "strategy_catalog/catalog_v1": {"version": 1, "strategies": 3},
        "coordination_policy_v1": {"allowed_instances": ["bot1"], "ttl_sec": 60},
        "ml_governance_policy_v1": {"max_age_min": 60, "psi_max": 0.2},
    }
