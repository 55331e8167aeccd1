"""``controlroom approve``: a second person's consent to exactly one plan that somebody else asked for."""

from __future__ import annotations

from backends.engine import Mode
from backends.model.clock import SystemClock
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures.approval import VALID, ApprovalError, Request
from backends.state_folder import closed
from tui.commands.exitcode import ExitCode
from tui.commands.progress import say
from tui.commands.run import NO_REASON, only
from tui.commands.session import Session, choose, engine_of, journal_refusal


def approve(session: Session, code: str, wanted: str | None, confirm: str | None) -> ExitCode:
    """Print what is asked for; with ``confirm`` the word that was printed with it, consent to it.

    VERIFIED when it was approved now, PRECONDITION when it was not, FORBIDDEN where one only watches. A
    consent stands although it could not be put on record, and that is said.
    """
    config = session.config()
    stack = only(choose(config, wanted))
    engine = engine_of(config, (stack,), observe=False)
    book = engine.approvals()
    shut = closed(config.state_dir, "approvals")
    asked = None if shut else next((each for each in book.pending() if each.code == code), None)
    what = f"approval of {SafeText(code, 40)}"
    if engine.mode is Mode.WATCH:
        journal_refusal(config, stack, what, "this room only watches")
        say("REFUSED: this room only watches")
        return ExitCode.FORBIDDEN
    if asked is None or asked.stack != stack.id:
        journal_refusal(config, stack, what, "nobody waits for it")
        say(
            f"REFUSED: nobody waits for {code} on {stack.id}; a request holds for {VALID / 60:.0f} minutes,"
            f" and is approved once. Requests are looked for in {config.state_dir / 'approvals'}"
            + (f"; but {shut[0]}: see `controlroom doctor`" if shut else "")
        )
        return ExitCode.PRECONDITION
    _describe(asked, stack)
    if confirm != asked.word:
        if confirm is not None:
            journal_refusal(config, stack, what, "it is not what was confirmed", asked.procedure)
        say(f"NOT APPROVED. To approve exactly this: --confirm {asked.word}")
        return ExitCode.PRECONDITION
    engine.start()
    try:
        book.approve(code, engine.operator, asked)
        engine.record("approved", stack.id, asked.procedure, _story(asked, "approved", engine.operator.user))
    except (ApprovalError, OSError) as error:
        why = str(error.strerror if isinstance(error, OSError) else error)
        engine.record("refused", stack.id, asked.procedure, f"{what} refused: {why}")
        say(f"REFUSED: {why}")
        return ExitCode.PRECONDITION
    finally:
        engine.stop(grace=1.0)
    say(f"APPROVED. {asked.user} may now run it once: --approval {code}, within {VALID / 60:.0f} minutes.")
    if engine.unwritten:
        folder = config.state_dir / "journal"
        say(f"NOT ON RECORD: {folder} could not be written. Once it is used, the run's own record names you.")
    return ExitCode.VERIFIED


def _describe(asked: Request, stack: Stack) -> None:
    procedure = stack.procedures.get(asked.procedure)
    past = SystemClock().now().wall - asked.at
    say(f"{asked.user} on {asked.host} asked {past:.0f} s ago")
    if asked.owner != asked.user:
        say(f"  beware     {asked.user} is only what it says: the request is a file of {asked.owner}")
    say(f"  to run     {asked.procedure} on {stack.title}{': ' + procedure.title if procedure else ''}")
    if procedure is not None:
        say(f"  effect     {procedure.summary}")
    for name, value in asked.params.items():
        say(f"  {name:<10} {value}")
    say(f"  because    {asked.reason or NO_REASON}")
    say(f"  plan       {asked.plan}")


def _story(asked: Request, what: str, who: str) -> str:
    return f"{who} {what} {asked.procedure} of {asked.user}, request {asked.code}, plan {asked.plan}"
