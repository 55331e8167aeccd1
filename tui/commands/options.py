"""Options that several commands have, each with one name and one sentence, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from tui.commands.exitcode import UsageError
from tui.commands.session import Session

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A config file, over those of the system and the user.")
]
StackOption = Annotated[str | None, typer.Option("--stack", help="Only this stack, by its id.")]
VariantOption = Annotated[
    str | None, typer.Option("--variant", help="The generation, of a stack that has several.")
]
ThemeOption = Annotated[str | None, typer.Option("--theme", help="A colour theme, by its name.")]
JsonOption = Annotated[bool | None, typer.Option("--json/--table", help="JSON, or a table for people.")]
JournalOption = Annotated[
    Path | None, typer.Option("--journal", help="A journal's folder or file; else this operator's own.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="30m, 2h, 7d, or a date and time, UTC unless it says otherwise.")
]
OperationOption = Annotated[str | None, typer.Option("--operation", help="An operation's id, or its start.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="intent, step, outcome, refused, note…")]
LastOption = Annotated[int | None, typer.Option("--last", min=1, help="Only the newest so many.")]


def session_of(ctx: typer.Context, config: Path | None, theme: str | None = None) -> Session:
    """The invocation's session; what stands after the command wins over what stands before it."""
    given: Session = ctx.obj
    return replace(given, config_path=config or given.config_path, theme=theme or given.theme)


def stack_of(ctx: typer.Context, stack: str | None) -> str | None:
    """The stack that was named, before the command or after it. Never one of two."""
    before = ctx.find_object(Session)
    named = None if before is None else before.stack
    if None not in (stack, named) and stack != named:
        raise UsageError(f"which stack: {named} or {stack}?")
    return stack or named
