"""The command line. Each command's code is imported when it runs: a stop never waits for the screen's.

``controlroom`` alone opens the room. Exit statuses are those of ``tui.commands.exitcode``.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from backends import VERSION
from tui.cli_audit import audit
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.options import (
    ConfigOption,
    JsonOption,
    StackOption,
    ThemeOption,
    VariantOption,
    session_of,
    stack_of,
)
from tui.commands.output import complain
from tui.commands.session import Session
from tui.crash import crashed, harden

app = typer.Typer(
    add_completion=False,
    # Both would load rich, and its tracebacks print the values of variables.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A control room for trading stacks: see whether trading is alive and allowed, and stop it.",
)

app.add_typer(audit, name="audit")

_OF_A_STACK = ("watch", "status", "check", "doctor", "run", "approve", "audit")
"""The commands that also take a stack named before them."""


@app.callback(invoke_without_command=True)
def room(
    ctx: typer.Context,
    config: ConfigOption = None,
    stack: StackOption = None,
    theme: ThemeOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Read only, whatever the command.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Open the room on the configured stacks, or run one command."""
    if version:
        typer.echo(f"controlroom {VERSION}")
        raise typer.Exit
    ctx.obj = Session(config, watch, theme, stack=stack)
    if stack is not None and ctx.invoked_subcommand not in (None, *_OF_A_STACK):
        raise UsageError(
            f"`{ctx.invoked_subcommand}` is about no configured stack; leave --stack {stack} out"
        )
    if ctx.invoked_subcommand is None:
        from tui.commands.room import open_room

        raise typer.Exit(open_room(ctx.obj, stack))


@app.command()
def watch(
    ctx: typer.Context, config: ConfigOption = None, stack: StackOption = None, theme: ThemeOption = None
) -> None:
    """The room for the wall: without the code that could write."""
    from tui.commands.room import open_room

    raise typer.Exit(open_room(session_of(ctx, config, theme).watching(), stack_of(ctx, stack)))


@app.command()
def demo(
    ctx: typer.Context,
    stack: Annotated[str, typer.Argument(help="The stack to simulate.")] = "trading-platform",
    fault: Annotated[list[str] | None, typer.Option(help="Start with this fault; may be repeated.")] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Serve the stack without a screen, until SIGTERM.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Every stack there is a demo of.")] = False,
    variant: VariantOption = None,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same world.")] = None,
    theme: ThemeOption = None,
) -> None:
    """The room on a simulated stack. Real servers, of its own; nothing else on this machine is touched."""
    from tui.commands.demo import demo as run_demo
    from tui.commands.demo import demo_all

    options: list[str] = []
    for name in fault or []:
        options += ["--fault", name]
    if seed is not None:
        options += ["--seed", str(seed)]
    if variant is not None:
        options += ["--variant", variant]
    if every:
        if fault or variant:
            raise UsageError("faults and variants belong to one stack: name the stack instead of --all")
        raise typer.Exit(demo_all(session_of(ctx, None, theme), options, headless=headless))
    raise typer.Exit(run_demo(session_of(ctx, None, theme), stack, options, headless=headless))


@app.command()
def status(
    ctx: typer.Context,
    stack: StackOption = None,
    json: JsonOption = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=120.0, help="Seconds to wait for answers.")] = 10.0,
    config: ConfigOption = None,
) -> None:
    """Ask every source once and print what is known. A table on a terminal, JSON otherwise."""
    from tui.commands.status import show

    as_json = not sys.stdout.isatty() if json is None else json
    raise typer.Exit(show(session_of(ctx, config), stack_of(ctx, stack), as_json=as_json, seconds=timeout))


@app.command()
def check(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A check, checklist or diagnosis, or `all` checks; none lists them.")
    ] = None,
    stack: StackOption = None,
    attest: Annotated[
        list[str] | None, typer.Option(help="Confirm this item of the checklist, in your name.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Begin the checklist anew.")] = False,
    wait: Annotated[
        float, typer.Option(min=0.0, max=900.0, help="Seconds to watch at most, for rates and the like.")
    ] = 15.0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Run checks on fresh readings. 0 all passed, 4 something failed, 5 something unknown or open."""
    from tui.commands.check import CheckOptions
    from tui.commands.check import check as run_checks

    options = CheckOptions(tuple(attest or ()), reset, json, wait)
    raise typer.Exit(run_checks(session_of(ctx, config), name, stack_of(ctx, stack), options))


@app.command()
def doctor(ctx: typer.Context, stack: StackOption = None, config: ConfigOption = None) -> None:
    """Try every source once, then look for known failures. What does not work, why, and what to do."""
    from tui.commands.doctor import examine

    raise typer.Exit(examine(session_of(ctx, config), stack_of(ctx, stack)))


@app.command()
def run(
    ctx: typer.Context,
    procedure: Annotated[str | None, typer.Argument(help="A procedure of the stack: halt.")] = None,
    stack: StackOption = None,
    reason: Annotated[str, typer.Option(help="For the journal and the platform's own history.")] = "",
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    param_file: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH: a secret value, from a file only you can read.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Print the stack's procedures.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; send nothing.")] = False,
    plan: Annotated[
        str | None, typer.Option(help="The hash that a dry run printed, 120 s ago at most.")
    ] = None,
    confirm: Annotated[str | None, typer.Option(help="What the dry run says has to be typed.")] = None,
    approval: Annotated[str | None, typer.Option(help="Code of a second person's approval.")] = None,
    attest: Annotated[
        list[str] | None,
        typer.Option(help="Confirm this step beforehand; at a terminal you are asked when it comes."),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Leave at a stop's verdict; else it is watched for 5 s.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the finished run as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Run a procedure and prove it. A stop starts at once; the others need a dry run's plan."""
    if listing:
        from tui.commands.procedure_list import show

        raise typer.Exit(show(session_of(ctx, config), procedure, stack_of(ctx, stack), as_json=json))
    from tui.commands.run import run as run_procedure
    from tui.commands.run_options import RunOptions

    options = RunOptions(
        reason, tuple(param or ()), tuple(param_file or ()), plan, confirm, approval, tuple(attest or ()),
        is_dry=dry_run, as_json=json, watches=not no_wait,
    )  # fmt: skip
    raise typer.Exit(run_procedure(session_of(ctx, config), procedure, stack_of(ctx, stack), options))


@app.command()
def approve(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(help="The code that the other person's dry run printed.")],
    stack: StackOption = None,
    confirm: Annotated[str | None, typer.Option(help="The word that is printed with it.")] = None,
    config: ConfigOption = None,
) -> None:
    """Show what somebody else asks for, and consent to it. Once, within five minutes."""
    from tui.commands.approve import approve as consent

    raise typer.Exit(consent(session_of(ctx, config), code, stack_of(ctx, stack), confirm))


@app.command()
def drill(
    ctx: typer.Context,
    procedure: Annotated[str, typer.Argument(help="The procedure to practise: halt.")],
    stack: Annotated[str, typer.Option(help="The stack to simulate.")] = "trading-platform",
    fault: Annotated[list[str] | None, typer.Option(help="With this fault; may be repeated.")] = None,
    first: Annotated[list[str] | None, typer.Option(help="Do this procedure before, untimed.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    variant: VariantOption = None,
    screen: Annotated[bool, typer.Option("--screen", help="Practise it yourself, in the room.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the finished run as JSON.")] = False,
) -> None:
    """Practise a procedure in a demo of its own, and time it. The record is kept."""
    from tui.commands.drill import Drill, practise

    many = (tuple(fault or ()), tuple(first or ()), tuple(param or ()))
    wanted = Drill(stack, procedure, *many, json, variant, screen)
    raise typer.Exit(practise(session_of(ctx, None), wanted))


@app.command()
def keys() -> None:
    """Print the key table."""
    from tui.commands.describe import keys as show

    raise typer.Exit(show())


@app.command()
def faults(
    stack: Annotated[str, typer.Argument(help="The simulated stack.")] = "trading-platform",
    variant: VariantOption = None,
) -> None:
    """Print the faults a stack's demo can be given."""
    from tui.commands.describe import faults as show

    raise typer.Exit(show(stack, variant))


@app.command()
def paths(ctx: typer.Context, config: ConfigOption = None) -> None:
    """Print where configuration is looked for and where state is kept."""
    from tui.commands.describe import paths as show

    raise typer.Exit(show(session_of(ctx, config)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of stack files."""
    from tui.commands.describe import schema as show

    raise typer.Exit(show())


@audit.callback()
def journal(ctx: typer.Context) -> None:
    """The journal: prove it unchanged, look things up, hand on a copy."""
    if stack_of(ctx, None) and ctx.invoked_subcommand not in ("show", "export"):
        raise UsageError(f"`audit {ctx.invoked_subcommand}` is about the whole journal: leave --stack out")


def program() -> NoReturn:
    """The process's beginning and end.

    What a library still does on a thread of its own at the end, such as loading, is not waited for: the
    interpreter's way out stops such threads where they stand, and may then wait for what they hold.
    """
    status: int | str | None = ExitCode.FAULT
    try:
        main()
    except SystemExit as end:
        status = end.code
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
        status = ExitCode.FAULT
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(status or ExitCode.VERIFIED)


def main() -> None:
    """What the command line says. Ends with SystemExit, and never with 0 unless a command said so."""
    harden()
    try:
        # Not ``app()``: typer then puts a crash report of its own, with all secrets, in the place of ours.
        typer.main.get_command(app)(prog_name="controlroom")
    except UsageError as error:
        complain(str(error))
        sys.exit(ExitCode.USAGE)
    except OSError as error:
        # In the midst of telling what is wrong with the command line, where nobody can be told.
        sys.exit(getattr(error.__context__, "exit_code", None) or crashed(error))
    except Exception as error:  # the last resort of the process: reported without values, exit 1
        sys.exit(crashed(error))


if __name__ == "__main__":
    program()
