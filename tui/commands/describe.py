"""What the program says about itself: its keys, its files, its demo's faults, its stack-file schema."""

from __future__ import annotations

import json

from backends.model.safetext import SafeText
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.grid import grid
from tui.commands.output import answer
from tui.commands.session import Session


def keys() -> ExitCode:
    """Print the key table, the same rows as help, footer and README."""
    from tui.actions import ACTIONS, key_text, keys_text

    rows = []
    for it in ACTIONS:
        confirm = "" if it.confirm is None else f", then {key_text(it.confirm.upper())}"
        rows.append([keys_text(it) + confirm, it.where.value, it.description])
    _print(grid(rows, indent=""))
    return ExitCode.VERIFIED


def faults(stack: str, variant: str | None = None) -> ExitCode:
    """Print the faults this stack's demo can be given."""
    from backends.demo.world import NoSuchStackError, demo_of

    try:
        demo = demo_of(stack, variant)
    except NoSuchStackError as error:
        raise UsageError(str(error)) from None
    rows = ([name, str(SafeText(fault.title))] for name, fault in demo.faults.items())
    _print(grid(rows, indent=""))
    return ExitCode.VERIFIED


def paths(session: Session) -> ExitCode:
    """Print where configuration is looked for and where state is kept."""
    from backends.config import search_paths
    from backends.settings import present

    looked_at = search_paths(session.config_path)
    there = present(looked_at)
    rows = [[str(path), "read" if path in there else "not there"] for path in looked_at]
    _print(["Configuration, a later one wins:", *grid(rows)])
    config = session.config()
    _print(["State (journal):", *grid([[str(config.state_dir), ""]])])
    return ExitCode.VERIFIED


def schema() -> ExitCode:
    """Print the JSON Schema of stack files."""
    from backends.stacks.schema import json_schema

    _print([json.dumps(json_schema(), indent=2)])
    return ExitCode.VERIFIED


def _print(lines: list[str]) -> None:
    answer("\n".join(lines))
