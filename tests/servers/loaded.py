"""What commands of the program load sooner or later: importing this loads it all."""

from __future__ import annotations

import gc
import pkgutil
from importlib import import_module

import backends
import tui.cli
import tui.commands

for name in ("docker", "httpx", "jwt", "psycopg", "redis.asyncio"):
    import_module(name)
for package in (backends, tui.commands):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.startswith("backends.demo"):
            import_module(found.name)

# What a fork does not look through it does not copy.
gc.collect()
gc.freeze()
