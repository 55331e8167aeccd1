"""Where an account keeps its files: the folders of XDG, also where no environment says so."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path


def xdg_folder(env: Mapping[str, str], name: str, below_home: str) -> Path:
    """The folder that variable ``name`` says when it is absolute (as XDG demands), else below the home."""
    return Path(env[name]) if env.get(name, "").startswith("/") else _home(env) / below_home


def _home(env: Mapping[str, str]) -> Path:
    """HOME; without it, as in many a service or job, the account's own, and / for an account that the host
    does not know: neither is the user's file passed over in silence, nor a stop refused."""
    if env.get("HOME", "").startswith("/"):
        return Path(env["HOME"])
    try:
        return Path("/", pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")
