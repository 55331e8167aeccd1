"""The four configuration files, and how the system's own loader understands them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

FILES: Final = ("exchanges", "instruments", "alerts", "features")
COMPOSE: Final = """\
# The demo's containers are not made by compose: a name of its own keeps it from touching any others.
name: controlroom-demo
services: {}
"""
USER: Final = "trader"
"""The role of every demo's database; here it also stands for the image's own superuser."""
PASSWORD: Final = "of-the-demo"  # noqa: S105 # of a demo
HERE: Final = Path(__file__).parent


class RefusedError(Exception):
    """A file is not what the loader accepts: every worker that starts now ends."""


def load(folder: Path) -> dict[str, Any]:
    """Exchanges, instruments, basis pairs and limits. Raises RefusedError; unknown keys are dropped."""
    said = {name: _yaml(folder / f"{name}.yaml") for name in FILES}
    exchanges = said["exchanges"].get("exchanges")
    instruments = said["instruments"].get("instruments")
    if not isinstance(exchanges, dict) or not isinstance(instruments, list):
        raise RefusedError("Field required: exchanges, instruments")
    for name, entry in exchanges.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("enabled"), bool):
            raise RefusedError(f"exchanges.{name}.enabled: Input should be a valid boolean")
    for entry in instruments:
        missing = {"id", "name", "type", "base", "quote"} - set(entry)
        if missing:
            raise RefusedError(f"instruments: Field required: {', '.join(sorted(missing))}")
    known = {entry["id"] for entry in instruments}
    pairs = said["instruments"].get("basis_pairs") or []
    if unknown := {leg for pair in pairs for leg in pair.values()} - known:
        raise RefusedError(f"basis_pairs: unknown instrument {', '.join(sorted(unknown))}")
    limits = said["alerts"].get("thresholds")
    if not isinstance(limits, dict) or not all(isinstance(block, dict) for block in limits.values()):
        raise RefusedError("thresholds: Input should be a valid dictionary")
    return {"exchanges": exchanges, "instruments": instruments, "basis_pairs": pairs, "thresholds": limits}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = YAML(typ="safe", pure=True).load(path)
    except (OSError, YAMLError) as error:
        raise RefusedError(f"{path.name}: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise RefusedError(f"{path.name}: no mapping")
    return found


def lay_out(project: Path, backups: Path) -> None:
    """Make the project's folder as it stands on a host."""
    (project / "config").mkdir(parents=True, mode=0o700)
    backups.mkdir(mode=0o700)
    for name in FILES:
        (project / "config" / f"{name}.yaml").write_text((HERE / f"{name}.yaml").read_text())
    (project / "docker-compose.yml").write_text(COMPOSE)
    env = project / ".env"
    env.touch(mode=0o600)
    env.write_text(f"DB_PASSWORD={PASSWORD}\nLOG_LEVEL=INFO\nSLACK_WEBHOOK_URL=\n")
