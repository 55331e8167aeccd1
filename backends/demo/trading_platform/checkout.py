"""The folder of the platform's repository as an operator's host has it: ``.env``, compose file, key pair."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Final

_COMPOSE: Final = """\
services:
  postgres:
    image: postgres:16
    ports:
      - "127.0.0.1:5433:5432"
  redis:
    image: redis:7-alpine
    command: redis-server --appendonly yes
    ports:
      - "127.0.0.1:6379:6379"
  loki_server:
    image: grafana/loki:3.0.0
    user: "0"
    ports:
      - "3100:3100"
  execution_gateway:
    profiles: [dev]
    environment:
      - DATABASE_URL=${DATABASE_URL_DOCKER}
      - REDIS_HOST=redis
"""

_FILES: Final = {
    "docker-compose.yml": _COMPOSE,
    "infra/loki/local-config.yaml": "limits_config:\n  retention_period: 720h\n",
    "infra/prometheus/prometheus.yml": "global:\n  scrape_interval: 15s\nrule_files:\n  - alerts.yml\n",
    "infra/grafana/dashboards/track7-slo.json": "{}\n",
    "db/alembic.ini": "[alembic]\n",
    "notebooks/templates/alpha_research.ipynb": "{}\n",
    "backups/trader-nightly.sql": "--\n-- PostgreSQL database cluster dump\n--\n\n"
    "--\n-- PostgreSQL database cluster dump complete\n--\n",
    "artifacts/mlruns/0/7f0c/meta.yaml": "run_name: alpha_baseline\n",
}


def make_checkout(folder: Path, token_secret: str, keys: tuple[Path, Path]) -> None:
    """Write it into ``folder``, with this secret in ``.env`` and links to the private and public key."""
    for name in ("logs", "backups", "apps/web_console_ng/certs"):
        (folder / name).mkdir(parents=True)
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = folder / ".env"
    env.touch(mode=0o600)
    env.write_text("".join(f"{name}={value}\n" for name, value in _variables(token_secret).items()))
    for name, key in zip(("jwt_private.key", "jwt_public.pem"), keys, strict=True):
        (folder / "apps/web_console_ng/certs" / name).symlink_to(key)


def _variables(token_secret: str) -> dict[str, str]:
    return {
        "ALPACA_API_KEY_ID": f"PK{secrets.token_hex(9).upper()}",
        "ALPACA_API_SECRET_KEY": secrets.token_hex(20),
        "ALPACA_BASE_URL": "https://paper-api.alpaca.markets",
        "ALPACA_FILLS_BACKFILL_ENABLED": "true",
        "DATABASE_URL": "postgresql://trader@localhost:5433/trader",
        "REDIS_URL": "redis://localhost:6379/1",
        "DRY_RUN": "false",
        "CAPITAL": "100000",
        "STRATEGY_ID": "alpha_baseline",
        "WEB_CONSOLE_USER": "operator",
        "WEB_CONSOLE_PASSWORD": secrets.token_urlsafe(12),
        "WEB_CONSOLE_DEV_STRATEGIES": "alpha_baseline",
        "AUTH0_DOMAIN": "",
        "AUTH0_CLIENT_ID": "",
        "AUTH0_CLIENT_SECRET": "",
        "NOTEBOOK_BASE_URL": "http://localhost",
        "NOTEBOOK_LAUNCH_COMMAND": "jupyter lab --port={port}",
        "INTERNAL_TOKEN_SECRET": token_secret,
        "ALERT_RECIPIENT_HASH_SECRET": secrets.token_hex(32),
        "SESSION_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
