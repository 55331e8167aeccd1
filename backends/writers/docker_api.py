"""One connection to a Docker Engine for one order, over the SDK's transports.

Three errors tell what is known afterwards: nothing was ordered, the engine said no, or it may have happened.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import requests
from docker.errors import DockerException
from msgspec import Struct

from backends.docker_place import PlaceError, connect
from backends.model.stack import Source
from backends.writers.answer import reason
from backends.writers.docker_order import Patience

_ANSWER_LIMIT: Final = 1 << 20
"""Bytes of an answer to an order that are read."""
_LIST_LIMIT: Final = 16 << 20
"""Bytes of an answer to a question."""

_NOT_CONNECTED: Final = frozenset(
    {errno.ENOENT, errno.ECONNREFUSED, errno.EACCES, errno.EPERM, errno.EHOSTUNREACH, errno.ENETUNREACH}
)


class NothingSentError(Exception):
    """Nothing was ordered. The message says why."""


class CutOffError(Exception):
    """The order went out and no answer came. The message says why."""


class Container(Struct, frozen=True):
    """One that was found by its exact name."""

    ident: str
    name: str
    image: str
    """Id of the image it was made from."""
    reference: str
    """What its image was called when it was made."""
    is_running: bool
    project: str
    """Its compose project; empty for one of none."""


class Answer(Struct, frozen=True):
    status: int
    body: bytes

    @property
    def said(self) -> str:
        """What an error body says, after a colon; empty for nothing."""
        try:
            said = json.loads(self.body)["message"]
        except (ValueError, KeyError, TypeError):
            if self.status == HTTPStatus.FORBIDDEN:
                # The engine always gives its reason as JSON.
                return ": refused by a proxy before Docker, not by Docker itself"
            said = self.body[:200].decode("utf-8", "backslashreplace")
        words = " ".join(str(said).split())
        return f": {words[:200]}" if words else ""


class DockerApi:
    """Questions are bounded by the order's patience; an order is waited for as long as its sender says."""

    def __init__(self, source: Source, patience: Patience) -> None:
        """Connect and agree on the version. Raises NothingSentError."""
        self._patience = patience
        self._ends = monotonic() + patience.connect + patience.deadline
        try:
            self._api = connect(source, patience.connect + patience.deadline)
        except (PlaceError, DockerException, OSError, ValueError) as error:
            raise NothingSentError(f"no connection, nothing was sent: {reason(error)}") from None
        try:
            self._prefix = self._api.base_url
            self._prefix = f"{self._api.base_url}/v{self.ask('/version')['ApiVersion']}"
        except BaseException:
            self._api.close()
            raise

    def close(self) -> None:
        self._api.close()

    def ask(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON answer of a GET; None for 404. Raises NothingSentError: a question orders nothing."""
        left = self._ends - monotonic()
        if left <= 0:
            raise NothingSentError("was too slow to answer; nothing was sent")
        try:
            limits = (self._patience.connect, left)
            with self._api.get(f"{self._prefix}{path}", params=params, timeout=limits, stream=True) as answer:
                found = Answer(answer.status_code, answer.raw.read(_LIST_LIMIT, decode_content=True))
        except (requests.ConnectTimeout, requests.Timeout):
            raise NothingSentError("was too slow to answer; nothing was sent") from None
        except (requests.RequestException, DockerException, OSError) as error:
            raise NothingSentError(f"cannot be reached: {_cause(error)}; nothing was sent") from None
        if found.status == 404:
            return None
        if found.status != 200:
            raise NothingSentError(f"answered {found.status}{found.said}; nothing was sent")
        try:
            return json.loads(found.body)
        except ValueError:
            raise NothingSentError("does not speak Docker's language; nothing was sent") from None

    def find(self, names: tuple[str, ...]) -> Container:
        """The first container there is of these names. Raises NothingSentError for none."""
        for name in names:
            said = self.ask(f"/containers/{quote(name, safe='')}/json")
            # The engine takes the beginning of an id for a name, too.
            if said is not None and said["Name"] == f"/{name}":
                # A stop needs the id alone, and is not kept from acting by what else is not said.
                config = said.get("Config") or {}
                labels = config.get("Labels") or {}
                return Container(
                    ident=str(said["Id"]),
                    name=name,
                    image=str(said.get("Image", "")),
                    reference=str(config.get("Image", "")),
                    is_running=bool((said.get("State") or {}).get("Running")),
                    project=str(labels.get("com.docker.compose.project", "")),
                )
        raise NothingSentError(f"has no container named {' or '.join(names)}; nothing was sent")

    def send(
        self, method: str, path: str, wait: float, params: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """What the engine answers within ``wait`` seconds. Raises NothingSentError, CutOffError."""
        with self.stream(method, path, wait, params, body) as answer:
            return Answer(answer.status_code, answer.raw.read(_ANSWER_LIMIT, decode_content=True))

    @contextmanager
    def stream(
        self, method: str, path: str, wait: float, params: Mapping[str, str] | None = None, body: Any = None
    ) -> Iterator[requests.Response]:
        """Likewise, with the answer to be read by the caller; ``wait`` is between two pieces of it."""
        url = f"{self._prefix}{path}"
        limits = (self._patience.connect, wait)
        try:
            with closing(
                self._api.request(method, url, params=params, json=body, timeout=limits, stream=True)
            ) as answer:
                yield answer
        except requests.ConnectTimeout:
            raise NothingSentError("no connection in time; nothing was sent") from None
        except (requests.RequestException, DockerException, OSError) as error:
            if any(_is_not_connected(cause) for cause in _causes(error)):
                raise NothingSentError(f"no connection, nothing was sent: {_cause(error)}") from None
            raise CutOffError(f"cut off before it answered: {_cause(error)}") from None


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
