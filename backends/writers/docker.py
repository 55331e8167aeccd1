"""Starting, stopping and cutting off containers, and only those that the stack file names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from backends.loading import LOADING
from backends.model.action import Action, DockerVerb
from backends.model.procedure import Receipt, Step
from backends.model.stack import ServiceSpec, Source
from backends.model.substitution import fill
from backends.writers.answer import failed, unknown
from backends.writers.docker_order import Order, Sending

VERBS: Final = ("start", "stop", "restart", "kill", "disconnect")


class DockerEffector:
    """Acts on containers of one Docker Engine, each found by its exact name and aimed at by its id.

    Every call has a connection and a thread of its own. An order that was sent is not broken off when its
    deadline passes: the engine might leave a container half stopped. Then it is UNKNOWN, and goes on.
    """

    def __init__(self, source: Source, services: Sequence[ServiceSpec]) -> None:
        """``services`` are the stack's; those of other sources are left out."""
        self._source = source
        self._names = {spec.name: spec.match for spec in services if spec.source == source.id}

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Give the order once. FAILED means nothing happened; UNKNOWN means something may have."""
        if not isinstance(action, DockerVerb):
            return failed("does not take this kind of step")
        try:
            order = self._order(action, values, step)
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

    def _order(self, action: DockerVerb, values: Mapping[str, Any], step: Step) -> Order:
        """Raises ValueError for what must not be done."""
        service = str(fill(action.service, values))
        if action.verb not in VERBS:
            raise ValueError(f"cannot {action.verb} a container")
        if service not in self._names:
            raise ValueError(f"{service!r} is no service of this stack here; nothing was sent")
        network = "" if action.network is None else str(fill(action.network, values))
        if (action.verb == "disconnect") is not bool(network):
            raise ValueError("a network belongs to disconnect, and only to it")
        return Order(action.verb, self._names[service], network, action.grace, step.connect, step.deadline)


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
