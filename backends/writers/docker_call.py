"""One order to a Docker Engine, over the SDK's transports; the only writer module that loads the SDK."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from math import ceil
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import docker
import requests
from docker.errors import DockerException

from backends.docker_place import PlaceError, connect
from backends.model.procedure import Receipt
from backends.model.stack import Source
from backends.writers.answer import already, done, failed, reason, unknown
from backends.writers.docker_order import Order

_ANSWER_LIMIT: Final = 1 << 20
"""Bytes of an answer that are read."""

_AFTERWARDS: Final = 30.0
"""Seconds a sent order is waited for beyond its grace, so that closing the connection does not disturb it."""

_PAST: Final = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "kill": "killed",
    "disconnect": "disconnected",
}

_NOT_CONNECTED: Final = frozenset(
    {errno.ENOENT, errno.ECONNREFUSED, errno.EACCES, errno.EPERM, errno.EHOSTUNREACH, errno.ENETUNREACH}
)


class UnreachableError(Exception):
    """The engine did not answer a question; nothing was ordered. The message says why."""


def perform(source: Source, order: Order, may_send: Callable[[], bool]) -> Receipt:
    """Find the container and give the order. Blocks, at the longest for the grace and half a minute."""
    try:
        api = connect(source, order.connect + order.deadline)
    except (PlaceError, DockerException, OSError, ValueError) as error:
        return failed(f"no connection, nothing was sent: {reason(error)}")
    with closing(api):
        try:
            ends = monotonic() + order.connect + order.deadline
            prefix = f"{api.base_url}/v{_ask(api, f'{api.base_url}/version', order, ends)['ApiVersion']}"
            found = _find(api, prefix, order, ends)
        except UnreachableError as error:
            return failed(f"{error}; nothing was sent")
        except (KeyError, TypeError, ValueError):
            return failed("does not speak Docker's language; nothing was sent")
        if found is None:
            return failed(f"has no container named {' or '.join(order.names)}; nothing was sent")
        if not may_send():
            return failed("was too slow to answer; nothing was sent")
        return _give(api, prefix, order, *found)


def _find(api: docker.APIClient, prefix: str, order: Order, ends: float) -> tuple[str, str] | None:
    """Id and name of the first container there is; None when the engine has none of them."""
    for name in order.names:
        answer = _ask(api, f"{prefix}/containers/{quote(name, safe='')}/json", order, ends)
        # The engine takes the beginning of an id for a name, too.
        if answer is not None and answer["Name"] == f"/{name}":
            return str(answer["Id"]), name
    return None


def _ask(api: docker.APIClient, url: str, order: Order, ends: float) -> Any:
    """The JSON answer of a GET; None for 404."""
    left = ends - monotonic()
    if left <= 0:
        raise UnreachableError("was too slow to answer")
    try:
        with api.get(url, timeout=(order.connect, left), stream=True) as answer:
            body = _body(answer)
            if answer.status_code == 404:
                return None
            if answer.status_code != 200:
                raise UnreachableError(f"answered {answer.status_code}{_said(body)}")
            return json.loads(body)
    except (requests.ConnectTimeout, requests.Timeout):
        raise UnreachableError("was too slow to answer") from None
    except (requests.RequestException, DockerException, OSError) as error:
        raise UnreachableError(f"cannot be reached: {_cause(error)}") from None


def _give(api: docker.APIClient, prefix: str, order: Order, ident: str, name: str) -> Receipt:
    url, body, params = f"{prefix}/containers/{ident}/{order.verb}", None, {}
    if order.verb == "disconnect":
        url = f"{prefix}/networks/{quote(order.network, safe='')}/disconnect"
        body = {"Container": ident, "Force": False}
    elif order.verb in ("stop", "restart"):
        params = {"t": str(ceil(order.grace))}
    patience = order.deadline + order.grace + _AFTERWARDS
    try:
        with api.post(
            url, params=params, json=body, timeout=(order.connect, patience), stream=True
        ) as answer:
            return _receipt(order, name, answer.status_code, _said(_body(answer)))
    except requests.ConnectTimeout:
        return failed("no connection in time; nothing was sent")
    except (requests.RequestException, DockerException, OSError) as error:
        if any(_is_not_connected(cause) for cause in _causes(error)):
            return failed(f"no connection, nothing was sent: {_cause(error)}")
        return unknown(f"cut off before it answered: {_cause(error)}")


def _receipt(order: Order, name: str, status: int, said: str) -> Receipt:
    what = f"{name} {_PAST[order.verb]}" + (f" from {order.network}" if order.network else "")
    if status in (200, 204):
        return done(what)
    is_so = status == 304
    is_so = is_so or (order.verb == "kill" and status == 409 and "is not running" in said)
    is_so = is_so or (order.verb == "disconnect" and "is not connected to" in said)
    if is_so:
        return already(f"{what} already")
    if 400 <= status < 500:
        return failed(f"refused to {order.verb} {name}: answered {status}{said}")
    # The engine fell over in the middle: a restart may have stopped it and not started it again.
    return unknown(f"answered {status} when told to {order.verb} {name}{said}")


def _body(answer: requests.Response) -> bytes:
    return bytes(answer.raw.read(_ANSWER_LIMIT, decode_content=True))


def _said(body: bytes) -> str:
    """What an error body says."""
    try:
        said = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        said = body[:200].decode("utf-8", "backslashreplace")
    words = " ".join(str(said).split())
    return f": {words[:200]}" if words else ""


def _is_not_connected(cause: BaseException) -> bool:
    return isinstance(cause, socket.gaierror) or (
        isinstance(cause, OSError) and cause.errno in _NOT_CONNECTED
    )


def _cause(error: BaseException) -> str:
    """The innermost reason, in words: the libraries wrap it several times."""
    known = [cause for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    return str(known[-1].strerror).lower() if known else type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it wraps: the libraries nest in three different ways."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting and len(seen) < 20:
        current = waiting.pop(0)
        if current not in seen:
            seen.append(current)
            yield current
            inner = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
            waiting.extend(item for item in inner if isinstance(item, BaseException))
