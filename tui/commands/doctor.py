"""``controlroom doctor``: every configured source tried once; what works, what does not, why, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError

from backends.checks.examiner import LONGEST
from backends.config import Config
from backends.journal.drills import RECORDS
from backends.model.board import SERVICE, Board
from backends.model.examination import Answer, Results, key_of
from backends.model.reading import Outcome
from backends.model.stack import Source, Stack
from backends.state_folder import closed
from tui.commands import status
from tui.commands.ability import ability, is_probe, with_probes
from tui.commands.examination import diagnosis_lines
from tui.commands.exitcode import ExitCode
from tui.commands.grid import grid
from tui.commands.output import answer
from tui.commands.session import Session, choose, engine_of, wait_answered

SLACK = 5.0
"""Seconds beyond the diagnoses' own bound before the room gives up on itself."""

PATIENCE = 15.0
"""Seconds for all sources together; each also has its own deadline."""

_STATE = ("journal", "journal/[!.]*", "plans", "approvals", RECORDS)
"""What every account that shares a state folder must be able to use."""

NAMED = 4
"""Values that are named of those which could not be read for one reason."""

_ADVICE = (
    (("refuses the connection", "no such file"), "Start it, or correct the address: {setting}."),
    (
        ("no answer", "timed out", "time-out", "timeout", "deadline", "hang"),
        "Silent. Look at its own log and load; a firewall that drops packets looks the same.",
    ),
    (
        ("resolve", "name or service", "getaddrinfo", "unknown host"),
        "The host's name is not known here: {setting}.",
    ),
    (
        ("host key verification", "publickey"),
        "`ssh` to that machine must log in as this user and ask nothing: its host key known, and a key of"
        " ours that is in an agent or has no passphrase.",
    ),
    (
        ("password", "credential", "auth", "denied", "forbidden", "401", "403", "noperm", "permission"),
        "It answers and does not let us in. Check {credential}; for Docker, who may use the socket.",
    ),
    (("answered 5",), "It runs and fails by itself: look at its own log."),
    (
        ("certificate", "tls", "ssl"),
        "The secure connection fails: check the certificate, and whether the URL should say TLS.",
    ),
)
_OTHERWISE = "See what answers there; if it is not the right place, correct {setting}."


def examine(session: Session, wanted: str | None) -> ExitCode:
    """Print the report; 0 when every source answered completely, what ``status`` looks at is well, and no
    known failure was found."""
    config = session.config()
    stacks = tuple(with_probes(stack) for stack in choose(config, wanted))
    engine = engine_of(config, stacks, may_act=False)
    engine.start()
    try:
        wait_answered(engine, PATIENCE)
        boards = [engine.board(stack.id) for stack in stacks]
        # All at once: one that is dead takes its time beside the others.
        looks = [engine.checks(stack.id).examine(tuple(stack.diagnoses.values())) for stack in stacks]
        diagnoses = [_diagnosed(look) for look in looks]
    finally:
        engine.stop(grace=0.0)
    lines, shut = list(_settings(config)), closed(config.state_dir, *_STATE)
    if shut is not None:
        lines += ["State folder", f"  why: {shut[0]}", f"  do:  {shut[1]}"]
    for stack, board, results in zip(stacks, boards, diagnoses, strict=True):
        lines += report(stack, board)
        lines += findings(stack, results)
    lines += status.overview(boards)
    answer("\n".join(lines))
    examined = zip(stacks, boards, diagnoses, strict=True)
    worst = max(exit_code(stack, board, results) for stack, board, results in examined)
    return worst if shut is None else max(worst, ExitCode.PARTIAL)


def exit_code(stack: Stack, board: Board, results: Results) -> ExitCode:
    """What a script is told about one stack: what ``status`` would say, or what was found beyond that."""
    if stack.diagnoses and not results:
        return max(status.exit_code(board), ExitCode.UNKNOWN)  # nobody looked for the known failures
    is_well = all(works(stack, board, ident) for ident in stack.sources)
    is_found = any(it.answer is Answer.YES for it in results.values())
    own = ExitCode.PARTIAL if is_found or not is_well else ExitCode.VERIFIED
    return max(status.exit_code(board), own)


def findings(stack: Stack, results: Results) -> Iterator[str]:
    """The known failures that are there, each with its cause and what mends it, and what cannot be told."""
    if not stack.diagnoses:
        return
    known = [(it, results.get(key_of(it))) for it in stack.diagnoses.values()]
    yield f"  {len(known)} known failures looked for"
    for it, examined in known:
        if examined is not None and examined.answer is Answer.YES:
            yield from diagnosis_lines(stack, it, examined, indent="    ")
    untold = [it.title for it, examined in known if examined is None or examined.answer is Answer.UNKNOWN]
    if untold:
        yield f"    cannot tell: {'; '.join(untold)}"
    if not any(examined is not None and examined.answer is Answer.YES for _, examined in known):
        yield "    none found" + (" among the others" if untold else "")


def _diagnosed(look: Future[Results]) -> Results:
    try:
        return look.result(LONGEST + SLACK)
    except LateError:
        return {}


def works(stack: Stack, board: Board, source: str) -> bool:
    """Whether the source answered everything it was asked."""
    health = board.sources.get(source)
    return health is not None and bool(health.is_up) and not _unread(stack, board, source)


def report(stack: Stack, board: Board) -> Iterator[str]:
    """One block a source: the verdict, the effective values with their origin, and the advice."""
    yield f"{stack.id}: {stack.title} [{stack.environment.value}]"
    yield f"  trading          {board.trading.state.value}: {board.trading.because}"
    for ident, source in stack.sources.items():
        health = board.sources.get(ident)
        unread = _unread(stack, board, ident)
        if health is not None and health.is_up:
            word = "works" if not unread else "works in part"
        elif health is None or health.is_up is None:
            word = "NO ANSWER"
        else:
            word = "DOES NOT WORK"
        yield f"  {ident:<16} {word}"
        yield from grid([*_values(source), *ability(source, board)], indent="      ", widest=90)
        if health is not None and health.error is not None:
            yield f"      why: {health.error}"
            yield f"      do:  {advice(stack, source, str(health.error))}"
        elif word == "NO ANSWER":
            yield f"      do:  {advice(stack, source, 'no answer')}"
        yield from _not_read(unread, None if health is None or health.error is None else str(health.error))
        yield from _absent_services(stack, board, ident)


def advice(stack: Stack, source: Source, error: str) -> str:
    """What an operator should do about this error of this source."""
    lowered = error.lower()
    texts = (text for words, text in _ADVICE if any(word in lowered for word in words))
    place = f"stack.{stack.id}.source.{source.id}"
    return next(texts, _OTHERWISE).format(
        setting=f"[{place}] url, now from {source.origin}",
        credential=f"[{place}] username, password_env or password_file",
    )


def _values(source: Source) -> Iterator[list[str]]:
    yield ["url", source.url, f"from {source.origin}"]
    yield ["asked", f"every {source.every:g} s", f"deadline {source.deadline:g} s"]
    if source.username is not None or source.password is not None:
        password = "none" if source.password is None else source.password.mask()
        yield ["user", source.username or "none", f"password {password}"]
    if source.auth != "none":
        yield ["auth", source.auth, ""]


def _unread(stack: Stack, board: Board, source: str) -> list[tuple[str, str]]:
    """Facts the source did not give although it was asked, and why. Missing ones were answered: not here."""
    unread = []
    for fact in stack.facts.values():
        reading = board.readings.get(fact.id)
        is_ours = fact.source == source and not is_probe(fact)
        if is_ours and reading is not None and reading.outcome is Outcome.FAILED:
            unread.append((fact.label, str(reading.error or "no reason given")))
    return unread


def _not_read(unread: list[tuple[str, str]], known: str | None) -> Iterator[str]:
    """A line for each reason, so that one silent source does not fill the screen; ``known`` was told."""
    by_reason: dict[str, list[str]] = {}
    for label, why in unread:
        by_reason.setdefault(why, []).append(label)
    for why, labels in by_reason.items():
        if why != known and len(labels) == 1:
            yield f"      not read: {labels[0]}: {why}"
            continue
        told = "for that reason" if why == known else why
        more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
        yield f"      not read: {', '.join(labels[:NAMED])}{more}: {told}"


def _absent_services(stack: Stack, board: Board, source: str) -> Iterator[str]:
    for spec in stack.services:
        reading = board.readings.get(SERVICE + spec.name)
        if spec.source == source and reading is not None and reading.outcome is Outcome.MISSING:
            need = "expected" if spec.is_required else "optional"
            yield f"      not there: {spec.name} ({need}; looked for {', '.join(spec.match)})"


def _settings(config: Config) -> Iterator[str]:
    yield "Effective settings"
    yield from grid(([key, value] for key, value in sorted(config.origins.items())), widest=90)
