"""The command line's part about the journal: ``controlroom audit …``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tui.commands.options import (
    ConfigOption,
    JournalOption,
    JsonOption,
    KindOption,
    LastOption,
    OperationOption,
    SinceOption,
    StackOption,
    session_of,
    stack_of,
)

audit = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The journal: prove it unchanged, look things up, hand on a copy.",
)


@audit.command("verify")
def audit_verify(
    ctx: typer.Context,
    anchor: Annotated[
        bool, typer.Option("--anchor", help="Also ask the anchor: shows an end that was cut off.")
    ] = False,
    head: Annotated[str, typer.Option(help="A head kept elsewhere, NUMBER:HASH, that must be in it.")] = "",
    journal: JournalOption = None,
    config: ConfigOption = None,
) -> None:
    """Check every record. 0 whole, 7 changed or cut off, 5 it cannot be told."""
    from tui.commands.audit import check

    raise typer.Exit(check(session_of(ctx, config), journal, with_anchor=anchor, head=head))


@audit.command("show")
def audit_show(
    ctx: typer.Context,
    since: SinceOption = None,
    operation: OperationOption = None,
    stack: StackOption = None,
    kind: KindOption = None,
    last: LastOption = None,
    json: JsonOption = None,
    journal: JournalOption = None,
    config: ConfigOption = None,
) -> None:
    """Print records, oldest first. A table on a terminal, JSON lines otherwise."""
    from tui.commands.audit import query_of, show

    as_json = not sys.stdout.isatty() if json is None else json
    query = query_of(since, operation, stack_of(ctx, stack), kind, last)
    raise typer.Exit(show(session_of(ctx, config), journal, query, as_json=as_json))


@audit.command("export")
def audit_export(
    ctx: typer.Context,
    target: Annotated[Path, typer.Argument(help="A file that does not exist yet.")],
    since: SinceOption = None,
    operation: OperationOption = None,
    stack: StackOption = None,
    kind: KindOption = None,
    last: LastOption = None,
    journal: JournalOption = None,
    config: ConfigOption = None,
) -> None:
    """Write records to a new file, safe to show anywhere. With the head, and what the check found: 0 whole,
    7 changed or cut off, 5 there is no record."""
    from tui.commands.audit import export, query_of

    query = query_of(since, operation, stack_of(ctx, stack), kind, last)
    raise typer.Exit(export(session_of(ctx, config), journal, query, target))


@audit.command("retire")
def audit_retire(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go, and why the next file stays.")
    ] = False,
    head: Annotated[
        str, typer.Option(help="The newest head kept elsewhere, NUMBER:HASH; only what is before it goes.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Remove what is older than the configuration keeps. 0 done, 7 damaged, 5 it cannot be told."""
    from tui.commands.audit import retire

    raise typer.Exit(retire(session_of(ctx, config), head=head, is_dry=dry_run))


@audit.command("schema")
def audit_schema() -> None:
    """Print the JSON Schema of a record."""
    from tui.commands.audit import schema as show

    raise typer.Exit(show())
