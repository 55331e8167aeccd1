"""Makes what acts. Every writer is imported inside a function that takes a permit, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from backends.journal.anchorage import Anchor
from backends.journal.due import Retirer
from backends.journal.entry import Session
from backends.loading import LOADING
from backends.model.action import Action, Command, DockerExec
from backends.model.anchor import AnchorPlace
from backends.model.clock import Clock
from backends.model.procedure import Effector, Receipt, ReceiptKind, Step
from backends.model.safetext import SafeText
from backends.model.stack import Source, SourceKind, Stack
from backends.procedures.permit import Permit
from backends.veil import Redact, VeiledEffector, as_cell


def make_effectors(permit: Permit, stack: Stack, redact: Redact) -> dict[str, Effector]:
    """The writers this stack's procedures need, by source; loads their client libraries. ``redact`` takes
    secrets out of what they tell."""
    actions = [step.action for procedure in stack.procedures.values() for step in procedure.steps]
    made: dict[str, Effector] = {}
    with LOADING:
        for name in sorted({action.source for action in actions}):
            # One writer that cannot be made must not take the others with it: its steps will fail, in words.
            try:
                commands = [each for each in actions if isinstance(each, Command) and each.source == name]
                if name in stack.sources:
                    made[name] = _effector(permit, stack.sources[name], stack, redact)
                elif commands:
                    made[name] = _commander(permit, commands, redact, stack)
            except Exception as error:
                made[name] = _Unmade(type(error).__name__)
    return {name: VeiledEffector(each, redact) for name, each in made.items()}


def make_anchor(_permit: Permit, place: AnchorPlace) -> Anchor:
    """The writer of the journal's anchor."""
    with LOADING:
        from backends.writers.anchor import make_anchor

        return make_anchor(place)


def make_retirer(_permit: Permit, folder: Path, keep_days: int, session: Session, clock: Clock) -> Retirer:
    """What removes the journal's files that are older than ``keep_days``."""
    from backends.journal.retire import Retirement

    return Retirement(folder, keep_days, session, clock)


class _Unmade:
    """In place of a writer that could not be made: each of its steps fails and says so."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def act(self, _action: Action, _values: Mapping[str, Any], _step: Step) -> Receipt:
        return Receipt(ReceiptKind.FAILED, SafeText(f"its writer could not be made: {self._why}"))

    async def warm(self) -> None:
        return

    async def close(self) -> None:
        return


def _effector(permit: Permit, source: Source, stack: Stack, redact: Redact) -> Effector:
    if source.kind is SourceKind.DOCKER:
        return _docker(permit, source, stack, redact)
    if source.kind is SourceKind.HOST:
        return _process(permit, source, redact)
    if source.kind is SourceKind.HTTP:
        return _http(permit, source, redact)
    if source.kind not in _EFFECTORS:
        raise ValueError(f"{source.kind.value} cannot be written to")
    return _EFFECTORS[source.kind](permit, source, stack)


def _redis(_permit: Permit, source: Source, _stack: Stack) -> Effector:
    from backends.writers.redis import RedisEffector

    return RedisEffector(source)


def _http(_permit: Permit, source: Source, redact: Redact) -> Effector:
    """What a service answers is cut: it needs to know what must not be cut in half."""
    from backends.writers.http import HttpEffector

    return HttpEffector(source, redact=redact)


def _postgres(_permit: Permit, source: Source, _stack: Stack) -> Effector:
    from backends.writers.postgres import PostgresEffector

    return PostgresEffector(source)


def _systemd(_permit: Permit, source: Source, stack: Stack) -> Effector:
    from backends.writers.systemd import SystemdEffector

    return SystemdEffector(source, stack.services)


def _swarm(_permit: Permit, source: Source, stack: Stack) -> Effector:
    from backends.writers.swarm import SwarmEffector

    return SwarmEffector(source, stack.services)


def _process(_permit: Permit, source: Source, redact: Redact) -> Effector:
    """Which process is meant is known by its command line as the room shows it: without secrets."""
    from backends.writers.process import ProcessEffector

    return ProcessEffector(source, partial(as_cell, redact=redact))


def _docker(_permit: Permit, source: Source, stack: Stack, redact: Redact) -> Effector:
    """What runs programs in containers prints: it needs to know what must not be shown."""
    from backends.writers.docker import DockerEffector

    steps = [step for procedure in stack.procedures.values() for step in procedure.steps]
    programs = [step.action for step in steps if isinstance(step.action, DockerExec)]
    return DockerEffector(source, stack.services, programs, redact)


def _files(_permit: Permit, source: Source, _stack: Stack) -> Effector:
    from backends.writers.files import FilesEffector

    return FilesEffector(source)


def _commander(_permit: Permit, allowed: Sequence[Command], redact: Redact, stack: Stack) -> Effector:
    """What runs this host's programs: those that the stack file lists, and no others."""
    from backends.writers.command import CommandEffector

    held = {name: source.password for name, source in stack.sources.items() if source.password is not None}
    return CommandEffector(allowed, redact, held)


_EFFECTORS: Mapping[SourceKind, Callable[[Permit, Source, Stack], Effector]] = {
    SourceKind.REDIS: _redis,
    SourceKind.POSTGRES: _postgres,
    SourceKind.SYSTEMD: _systemd,
    SourceKind.SWARM: _swarm,
    SourceKind.FILES: _files,
}
