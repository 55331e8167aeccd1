"""The folders on the host: the checkout with its compose files, the secrets, the backups."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Final

from backends.demo.claire_de_binare.containers import SERVICES

_BASE: Final = SERVICES[:6]
_LOGGING: Final = ("cdb_alertmanager", "cdb_loki", "cdb_promtail")
_DEV: Final = tuple(name for name in SERVICES if name not in (*_BASE, *_LOGGING))
_OVERLAYS: Final = ("network-prod", "rollback", "healthchecks-strict", "healthchecks-mounts")
_SECRETS: Final = (
    "REDIS_PASSWORD", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_DSN", "GRAFANA_PASSWORD", "SMTP_USER",
    "SMTP_PASSWORD", "SMTP_FROM", "ALERT_EMAIL_TO", "MEXC_API_KEY.txt", "MEXC_API_SECRET.txt",
)  # fmt: skip


class Project:
    def __init__(self, folder: Path) -> None:
        self.values = {name: secrets.token_urlsafe(24) for name in _SECRETS}
        """What the secret files hold; the stores ask for two of them."""
        self.credentials = {source: folder / f"{source}.password" for source in ("redis", "postgres")}
        """Files of the room's own, by its source."""
        self.checkout = folder / "checkout"
        self.secrets = folder / "secrets"
        self.backups = self.checkout / "infrastructure" / "dr_backups"

    def prepare(self) -> None:
        """Write everything that is there from the start."""
        compose = self.checkout / "infrastructure" / "compose"
        monitoring = self.checkout / "infrastructure" / "monitoring"
        scripts = self.checkout / "infrastructure" / "scripts"
        for folder in (compose, monitoring, scripts, self.backups):
            folder.mkdir(parents=True)
        self.secrets.mkdir(mode=0o700)
        files = {"base": _BASE, "dev": _DEV, "logging": _LOGGING, **dict.fromkeys(_OVERLAYS, _BASE[:1])}
        for name, services in files.items():
            lines = [f"  {service}: {{container_name: {service}}}" for service in services]
            (compose / f"{name}.yml").write_text("services:\n" + "\n".join(lines) + "\n")
        jobs = [f"  - job_name: job_{number}" for number in range(9)]
        (monitoring / "prometheus.yml").write_text("scrape_configs:\n" + "\n".join(jobs) + "\n")
        (scripts / "stack_up.ps1").write_text("# simulated\n")
        tools = self.checkout / "tools" / "replay"
        tools.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("replay.py"), tools)
        for name in _SECRETS:
            self.write_secret(name)
        for source, path in self.credentials.items():
            _write(path, self.values[f"{source.upper()}_PASSWORD"])

    def write_secret(self, name: str) -> None:
        """A secret file as it should be."""
        path = self.secrets / name
        if path.is_dir():
            shutil.rmtree(path)
        _write(path, self.values[name])

    def break_secret(self, name: str) -> None:
        """What Docker makes of a missing file: a folder."""
        (self.secrets / name).unlink()
        (self.secrets / name).mkdir()


def _write(path: Path, value: str) -> None:
    path.touch(mode=0o600)
    path.write_text(value)
