"""One order to a Docker Engine: found, sent once, and what was said of it. Loads the SDK."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from math import ceil
from typing import Any, Final
from urllib.parse import quote

from backends.model.procedure import Receipt
from backends.model.stack import Source
from backends.writers.answer import already, done, failed, unknown
from backends.writers.docker_api import Answer, Container, CutOffError, DockerApi, NothingSentError
from backends.writers.docker_copy import copy_out
from backends.writers.docker_exec import run_inside
from backends.writers.docker_image import prune, tag
from backends.writers.docker_order import (
    CopyOrder,
    ExecOrder,
    Order,
    PruneOrder,
    RemoveOrder,
    TagOrder,
    VerbOrder,
)

_AFTERWARDS: Final = 30.0
"""Seconds a sent order is waited for beyond its grace, so that closing the connection does not disturb it."""

_PAST: Final = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "kill": "killed",
    "signal": "signalled",
    "disconnect": "disconnected",
    "connect": "connected",
}
_NETWORKED: Final = {"connect": "to", "disconnect": "from"}

MaySend = Callable[[], bool]
"""Asked right before something is changed: whether it still may be."""


def perform(source: Source, order: Order, may_send: MaySend) -> Receipt:
    """Find what the order is about and give it. Blocks, at the longest for the grace and half a minute."""
    try:
        with closing(DockerApi(source, order.patience)) as api:
            return _give(api, order, _guarded(may_send))
    except NothingSentError as error:
        return failed(str(error))
    except CutOffError as error:
        return unknown(str(error))
    except (KeyError, TypeError):
        # Only questions are understood member by member; what was sent is judged by its status.
        return failed("does not speak Docker's language; nothing was sent")


def _guarded(may_send: MaySend) -> Callable[[], None]:
    def begin() -> None:
        if not may_send():
            raise NothingSentError("was too slow to answer; nothing was sent")

    return begin


def _give(api: DockerApi, order: Order, begin: Callable[[], None]) -> Receipt:
    match order:
        case VerbOrder():
            return _verb(api, order, begin)
        case ExecOrder():
            return run_inside(api, order, begin)
        case CopyOrder():
            return copy_out(api, order, begin)
        case RemoveOrder():
            return _remove(api, order, begin)
        case TagOrder():
            return tag(api, order, begin)
        case PruneOrder():
            return prune(api, order, begin)


def _verb(api: DockerApi, order: VerbOrder, begin: Callable[[], None]) -> Receipt:
    found = api.find(order.names)
    path, body, params = f"/containers/{found.ident}/{order.verb}", None, {}
    if order.verb in _NETWORKED:
        path, body = f"/networks/{_network(api, order.network, found)}/{order.verb}", _member(order, found)
    elif order.verb in ("stop", "restart"):
        params = {"t": str(ceil(order.grace))}
    elif order.verb == "signal":
        path, params = f"/containers/{found.ident}/kill", {"signal": order.signal}
    begin()
    wait = order.patience.deadline + order.grace + _AFTERWARDS
    return _receipt(order, found.name, api.send("POST", path, wait, params, body))


def _network(api: DockerApi, name: str, container: Container) -> str:
    """The engine's id of the network that compose knows as ``name`` in the container's project, else the
    name itself, for the engine to know."""
    wanted = {"com.docker.compose.project": container.project, "com.docker.compose.network": name}
    for each in api.ask("/networks") or ():
        labels = each.get("Labels") or {}
        if container.project and wanted.items() <= labels.items():
            return str(each["Id"])
    return quote(name, safe="")


def _member(order: VerbOrder, container: Container) -> dict[str, Any]:
    return {"Container": container.ident} | ({"Force": False} if order.verb == "disconnect" else {})


def _receipt(order: VerbOrder, name: str, answer: Answer) -> Receipt:
    what = f"{name} {_PAST[order.verb]}"
    if order.network:
        what += f" {_NETWORKED[order.verb]} {order.network}"
    if order.signal:
        what += f" with {order.signal}"
    if answer.status in (200, 204):
        return done(what)
    is_so = answer.status == 304
    is_so = is_so or (order.verb == "kill" and answer.status == 409 and "is not running" in answer.said)
    is_so = is_so or (order.verb == "disconnect" and "is not connected to" in answer.said)
    is_so = is_so or (order.verb == "connect" and "already exists in network" in answer.said)
    if is_so:
        return already(f"{what} already")
    if 400 <= answer.status < 500:
        return failed(f"refused to {order.verb} {name}: answered {answer.status}{answer.said}")
    # The engine fell over in the middle: a restart may have stopped it and not started it again.
    return unknown(f"answered {answer.status} when told to {order.verb} {name}{answer.said}")


def _remove(api: DockerApi, order: RemoveOrder, begin: Callable[[], None]) -> Receipt:
    found = api.find((order.name,))
    if found.is_running:
        return failed(f"{order.name} runs: only what is stopped is removed; nothing was sent")
    begin()
    # Not forced: one that was started meanwhile stays.
    path, params = f"/containers/{found.ident}", {"v": "false", "force": "false"}
    answer = api.send("DELETE", path, order.patience.deadline + _AFTERWARDS, params)
    if answer.status == 204:
        return done(f"{order.name} removed, its volumes kept")
    if 400 <= answer.status < 500:
        return failed(f"refused to remove {order.name}: answered {answer.status}{answer.said}")
    return unknown(f"answered {answer.status} when told to remove {order.name}{answer.said}")
