"""``controlroom run --list``: what a stack's procedures are, of which class, and what each does."""

from __future__ import annotations

from backends.model.procedure import Procedure
from tui.commands.exitcode import ExitCode, UsageError
from tui.commands.grid import grid
from tui.commands.output import document
from tui.commands.progress import present
from tui.commands.run import only
from tui.commands.session import Session, choose


def show(session: Session, procedure: str | None, wanted: str | None, *, as_json: bool) -> ExitCode:
    """One line for each procedure: its id with what has to be chosen, its class, what happens. UsageError
    where one is named to be run: a list must not be taken for it."""
    if procedure is not None:
        raise UsageError(f"--list runs nothing: leave it out to run {procedure}")
    stack = only(choose(session.config(), wanted))
    procedures = stack.procedures.values()
    if as_json:
        present(document([_data(each) for each in procedures]))
    else:
        present("\n".join(grid([_usage(each), each.risk.value, each.summary] for each in procedures)))
    return ExitCode.VERIFIED


def _usage(procedure: Procedure) -> str:
    return " ".join((procedure.id, *(f"<{param.name}>" for param in procedure.params)))


def _data(procedure: Procedure) -> dict[str, object]:
    return {
        "id": procedure.id,
        "class": procedure.risk.value,
        "title": procedure.title,
        "summary": procedure.summary,
        "params": [param.name for param in procedure.params],
    }
