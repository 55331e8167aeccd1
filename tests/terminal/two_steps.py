"""A config file with one stack: two switches in one Redis, and procedures that wait before they send."""

from __future__ import annotations

from pathlib import Path

STACK = Path(__file__).with_name("two_steps.toml")


def configured(folder: Path, redis: str) -> Path:
    """The file; everything the room keeps is below ``folder``."""
    config = folder / "config.toml"
    config.write_text(
        f'[room]\nstate_dir = "{folder / "state"}"\n[stack.two-steps]\nfile = "{STACK}"\n'
        f'[stack.two-steps.source.redis]\nurl = "{redis}"\n'
    )
    return config
