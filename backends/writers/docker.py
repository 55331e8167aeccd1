"""Orders to a Docker Engine, about containers that the stack file names and programs that it lists."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from backends.loading import LOADING
from backends.model.action import (
    Action,
    DockerCopy,
    DockerExec,
    DockerPrune,
    DockerRemove,
    DockerTag,
    DockerVerb,
)
from backends.model.procedure import Receipt, Step
from backends.model.stack import ServiceSpec, Source
from backends.model.substitution import fill
from backends.writers.answer import failed, unknown
from backends.writers.argument import arguments
from backends.writers.docker_order import (
    CopyOrder,
    ExecOrder,
    Order,
    Patience,
    PruneOrder,
    RemoveOrder,
    Sending,
    TagOrder,
    VerbOrder,
)

VERBS: Final = ("start", "stop", "restart", "kill", "signal", "connect", "disconnect")
_NETWORKED: Final = ("connect", "disconnect")
_SIGNALS: Final = ("HUP", "USR1", "USR2")
"""Those by which programs take orders without ending."""
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CONTAINER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class DockerEffector:
    """Acts on one Docker Engine: on containers, each found by its exact name and aimed at by its id, and on
    their images.

    Every call has a connection and a thread of its own. An order that was sent is not broken off when its
    deadline passes: the engine might leave a container half stopped. Then it is UNKNOWN, and goes on.
    """

    def __init__(
        self,
        source: Source,
        services: Sequence[ServiceSpec],
        programs: Collection[DockerExec] = (),
        redact: Callable[[str], str] = str,
    ) -> None:
        """``services`` are the stack's; those of other sources are left out. ``programs`` are what may be
        run inside containers: what the stack file lists. ``redact`` takes secrets out of what they print.
        """
        self._source = source
        self._names = {spec.name: spec.match for spec in services if spec.source == source.id}
        self._programs = tuple(programs)
        self._redact = redact

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Give the order once. FAILED means nothing happened; UNKNOWN means something may have."""
        try:
            order = self._order(action, values, Patience(step.connect, step.deadline))
        except ValueError as error:
            return failed(str(error))
        perform = await asyncio.to_thread(_load)
        sending = Sending()
        work = _in_thread(lambda: perform(self._source, order, sending.begin))
        limit = step.connect + step.deadline
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(work)
        except TimeoutError:
            text = f"no answer within {limit * 1000:.0f} ms"
            return unknown(text) if sending.give_up() else failed(f"{text}; nothing was sent")
        finally:
            sending.give_up()

    async def warm(self) -> None:
        """Load the library; nothing is sent."""
        await asyncio.to_thread(_load)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _order(self, action: Action, values: Mapping[str, Any], patience: Patience) -> Order:
        """Raises ValueError for what must not be done."""
        match action:
            case DockerVerb():
                return self._verb(action, values, patience)
            case DockerExec():
                return self._exec(action, values, patience)
            case DockerCopy():
                names = self._containers(action.service, values)
                return CopyOrder(
                    names, str(fill(action.path, values)), _target(action.output, values), patience
                )
            case DockerRemove():
                return self._remove(action, values, patience)
            case DockerTag():
                tag = str(fill(action.tag, values))
                if not _TAG.fullmatch(tag):
                    raise ValueError(f"{tag!r} cannot be a tag")
                return TagOrder(self._containers(action.service, values), tag, patience)
            case DockerPrune():
                return PruneOrder(str(fill(action.label, values)), action.keep, patience)
        raise ValueError("does not take this kind of step")

    def _containers(self, service: str, values: Mapping[str, Any]) -> tuple[str, ...]:
        """The names the container of a service may have."""
        name = str(fill(service, values))
        if name not in self._names:
            raise ValueError(f"{name!r} is no service of this stack here; nothing was sent")
        return self._names[name]

    def _verb(self, action: DockerVerb, values: Mapping[str, Any], patience: Patience) -> VerbOrder:
        if action.verb not in VERBS:
            raise ValueError(f"cannot {action.verb} a container")
        names = self._containers(action.service, values)
        network = "" if action.network is None else str(fill(action.network, values))
        if (action.verb in _NETWORKED) is not bool(network):
            raise ValueError("a network belongs to connect and disconnect, and only to them")
        if (action.verb == "signal") is not (action.signal in _SIGNALS):
            raise ValueError(f"signal takes one of {', '.join(_SIGNALS)}, and nothing else takes it")
        return VerbOrder(action.verb, names, network, action.grace, action.signal or "", patience)

    def _exec(self, action: DockerExec, values: Mapping[str, Any], patience: Patience) -> ExecOrder:
        if action not in self._programs:
            raise ValueError("is asked for a program that the stack file does not list; nothing was run")
        names = self._containers(action.service, values)
        argv = tuple(arguments(action.argv, values))
        output = None if action.output is None else _target(action.output, values)
        return ExecOrder(names, argv, action.user, output, self._redact, patience)

    def _remove(self, action: DockerRemove, values: Mapping[str, Any], patience: Patience) -> RemoveOrder:
        name = str(fill(action.container, values))
        if not _CONTAINER.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a container; nothing was sent")
        if any(name in match for match in self._names.values()):
            raise ValueError(f"{name} belongs to this stack and is not removed; nothing was sent")
        return RemoveOrder(name, patience)


def _target(template: str, values: Mapping[str, Any]) -> Path:
    """The file a step fills. Raises ValueError."""
    path = Path(str(fill(template, values)))
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} is no full path; nothing was done")
    return path


def _load() -> Callable[[Source, Order, Callable[[], bool]], Receipt]:
    with LOADING:
        from backends.writers.docker_call import perform  # noqa: PLC0415 (100 ms: not at a stop's start)

    return perform


def _in_thread(what: Callable[[], Receipt]) -> asyncio.Future[Receipt]:
    """``what`` in a thread that does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Receipt] = loop.create_future()

    def settle(receipt: Receipt) -> None:
        if not future.done():
            future.set_result(receipt)

    def run() -> None:
        try:
            receipt = what()
        except Exception as error:
            receipt = unknown(f"a fault in this program: {type(error).__name__}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, receipt)

    threading.Thread(target=run, name="docker-order", daemon=True).start()
    return future
