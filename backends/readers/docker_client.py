"""How to reach one Docker Engine: bounded requests, and raw streams over the SDK's own transport.

The SDK (``docker.APIClient``) knows unix sockets and TLS, so every connection is made by it. What it does
not do is done here: an answer is bounded in bytes and in total time, and a stream is opened without waiting
for its first byte (an engine sends no header for a silent container's log). Its connections are asked
themselves, because a session of requests does as much again around each question.
"""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

from backends.docker_place import PlaceError, connect, host, lead, trouble
from backends.model.fact import SourceError
from backends.model.safetext import SafeText
from backends.readers.failure import certificate_fault
from backends.whereabouts import Whereabouts, peer_of

if TYPE_CHECKING:
    from docker import APIClient

    from backends.model.stack import Source

T = TypeVar("T")

Place = tuple[str, str | None]
"""What the address of the source means, and the network address of the machine while that is known."""

ANSWER_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of one answer that are read; a longer one is an error."""

ALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPALIVE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds and times, by which a silent stream over the network is asked whether its engine is there; the
first two are one, on Linux and on macOS. An ssh of our own asks by itself."""

_READ: Final = 65_536
_SAID: Final = 200


class DockerRefusedError(SourceError):
    """The engine answered, and the answer is an error. ``status`` is the HTTP status code."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(SafeText(f"Docker answered {status}: {said or 'no reason given'}", _SAID))
        self.status = status


class NoWayError(SourceError):
    """The way to the engine cannot be opened: each further question would only try it again."""


class Wire(Protocol):
    """A connected, non-blocking transport on which a request has been sent."""

    def fileno(self) -> int: ...

    def recv(self, limit: int, /) -> bytes: ...

    def close(self) -> None: ...


class DockerClient:
    """One connection pool to one engine. Not for use from two threads at once."""

    def __init__(self, source: Source, deadline: float) -> None:
        """Connect and agree on an API version; raises SourceError in plain words."""
        self._source = source
        self._where = source.url
        self._deadline = deadline
        self._whereabouts = Whereabouts()
        self._connect()
        try:
            self.agree()
        except SourceError as error:
            self.close()
            raise SourceError(str(error)) from None

    def _connect(self) -> None:
        ahead = lead(self._where)
        try:
            self._api = connect(self._source, self._deadline)
            self._pool = _pool(self._api)
        except Exception as error:  # whatever the SDK and its transports raise, in words
            raise NoWayError(explain(error, self._where, self._deadline)) from None
        self._lead = ahead  # not before: the client of the old engine would open its connections again
        self._peer: str | None = None
        self._has_moved = False

    @property
    def place(self) -> Place:
        """Where the engine is that answers now."""
        return self._lead, self._peer or host(self._api)[1]

    def agree(self) -> None:
        """Agree on an API version, anew when the engine may be another by now. Raises SourceError."""
        self._prefix = ""
        about = self.ask("/version", None, json.loads)
        try:
            self._prefix = f"/v{about['ApiVersion']}"
        except (LookupError, TypeError) as error:
            raise SourceError(explain(error, self._where, self._deadline)) from None

    async def follow(self) -> None:
        """Ask the engine that its name leads to now, from the next question on."""
        name, address = host(self._api)
        if await self._whereabouts.has_moved(name, self._peer or address):
            self._has_moved = True

    def get(self, path: str, params: Mapping[str, str] | None = None, within: float | None = None) -> Any:
        """The JSON answer of one GET, at most ``within`` seconds and ``ANSWER_LIMIT`` bytes.

        Raises DockerRefusedError when the engine says no, SourceError when it does not answer.
        """
        return self.ask(path, params, json.loads, within)

    def read(self, path: str, params: Mapping[str, str], within: float) -> bytes:
        """The bytes of one GET whose answer is no JSON, bounded as ``get`` is, with its errors."""
        return self.ask(path, params, bytes, within)

    def ask(
        self,
        path: str,
        params: Mapping[str, str] | None,
        understand: Callable[[bytes], T],
        within: float | None = None,
    ) -> T:
        """What ``understand`` makes of the bytes of one GET, bounded as ``get`` is, with its errors."""
        seconds = self._deadline if within is None else within
        try:
            if self._has_moved or lead(self._where) not in (self._lead, ""):
                self._api.close()
                self._connect()
                self.agree()
            return understand(self._body(path, params or {}, seconds))
        except SourceError:
            raise
        except Exception as error:  # urllib3, json and the SDK each have their own kinds
            raise SourceError(self._explained(error, seconds)) from None

    def _explained(self, error: Exception, seconds: float) -> SafeText:
        said = trouble(self._api)
        return explain(error, self._where, seconds) if said is None else SafeText(said, _SAID)

    def _body(self, path: str, params: Mapping[str, str], seconds: float) -> bytes:
        ends = monotonic() + seconds
        with self._pool.urlopen(
            "GET",
            self._target(path, params),
            retries=False,
            redirect=False,
            timeout=seconds,
            preload_content=False,
        ) as response:
            self._peer = peer_of(response) or self._peer
            body = bytearray()
            for part in response.stream(_READ, decode_content=True):
                body += part
                if len(body) > ANSWER_LIMIT:
                    raise SourceError(f"Docker's answer is longer than {ANSWER_LIMIT >> 20} MiB")
                if monotonic() > ends:
                    raise TimeoutError
            if response.status != 200:
                raise DockerRefusedError(response.status, _message(bytes(body)))
        return bytes(body)

    def _target(self, path: str, params: Mapping[str, str]) -> str:
        root = urlsplit(str(self._api.base_url)).path
        return f"{root}{self._prefix}{path}" + (f"?{urlencode(params)}" if params else "")

    def open(self, path: str, params: Mapping[str, str]) -> Wire:
        """Send one GET and return its transport without waiting for the answer.

        The caller reads head and body itself, and closes it. Raises SourceError.
        """
        try:
            # Private, and what the SDK itself overrides for unix sockets; a contract test guards it.
            connection = self._pool._new_conn()
            headers = {"Host": "docker", "Accept-Encoding": "identity"}
            connection.request("GET", self._target(path, params), headers=headers)
            wire = connection.sock
            wire.settimeout(0.0)
            _keep_asking(wire)
        except Exception as error:  # as above
            raise SourceError(self._explained(error, self._deadline)) from None
        return wire  # type: ignore[no-any-return]  # a socket, a TLS socket or an ssh channel

    def close(self) -> None:
        self._api.close()


def _pool(api: APIClient) -> Any:
    """The connections of the SDK's transport, asked with the headers of its session."""
    import requests  # noqa: PLC0415  # comes with the SDK

    request = api.prepare_request(requests.Request("GET", f"{api.base_url}/"))
    adapter: Any = api.get_adapter(str(api.base_url))
    pool = adapter.get_connection_with_tls_context(request, verify=api.verify, proxies={}, cert=api.cert)
    adapter.cert_verify(pool, request.url, api.verify, api.cert)
    pool.headers = request.headers
    return pool


def _keep_asking(wire: socket.socket) -> None:
    """From a host that vanished not even an end comes: its log would be silent for ever, and look quiet."""
    if wire.family not in (socket.AF_INET, socket.AF_INET6):
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in ALIVE.items():
        if hasattr(socket, name):
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _message(body: bytes) -> str:
    try:
        said = json.loads(body)
    except ValueError:
        return body[:_SAID].decode("utf-8", "backslashreplace").strip()
    return str(said.get("message", "")) if isinstance(said, dict) else ""


def explain(error: BaseException, where: str, seconds: float) -> SafeText:
    """Why the engine at ``where`` did not answer, in the operator's words."""
    place = where.removeprefix("unix://") or "its usual socket"
    known = (_words(cause, place, seconds) for cause in _causes(error))
    words = next((text for text in known if text), None)
    return SafeText(words or f"Docker at {place} cannot be reached: {type(error).__name__}", _SAID)


def _words(cause: BaseException, place: str, seconds: float) -> str | None:
    """What one exception of the chain says, or None when only the next one knows."""
    words: str | None = None
    if isinstance(cause, (SourceError, PlaceError)):
        words = str(cause)
    elif isinstance(cause, ssl.SSLCertVerificationError):
        words = certificate_fault(cause, f"Docker at {place}")
    elif isinstance(cause, ssl.SSLError):
        words = f"TLS with Docker at {place} failed: {cause.reason or cause}"
    elif isinstance(cause, TimeoutError) or type(cause).__name__ in ("ReadTimeout", "ConnectTimeout"):
        words = f"Docker at {place} did not answer within {seconds:g} s"
    elif isinstance(cause, socket.gaierror):
        words = f"the host name of {place} is not known"
    elif isinstance(cause, ConnectionError) and cause.errno is None:
        words = _ERRNO[errno.ECONNRESET].format(place=place)
    elif isinstance(cause, OSError) and cause.errno in _ERRNO:
        words = _ERRNO[cause.errno].format(place=place)
    elif isinstance(cause, (http.client.HTTPException, json.JSONDecodeError, KeyError, TypeError)):
        words = f"what answers at {place} does not speak Docker's language"
    return words


_ERRNO: Final = {
    errno.ENOENT: "the Docker socket {place} does not exist: Docker is not running here, or elsewhere",
    errno.EACCES: "no permission to open {place}: this user is not in the docker group",
    errno.EPERM: "no permission to open {place}: this user is not in the docker group",
    errno.ECONNREFUSED: "nothing answers at {place}: Docker is not running",
    errno.ECONNRESET: "Docker at {place} broke the connection off",
    errno.EPIPE: "Docker at {place} broke the connection off",
    errno.EHOSTUNREACH: "no route to the host of {place}",
    errno.ENETUNREACH: "no route to the host of {place}",
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it wraps, innermost included: the libraries nest in three different ways."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting and len(seen) < 20:
        current = waiting.pop(0)
        if current in seen:
            continue
        seen.append(current)
        yield current
        inner = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting.extend(item for item in inner if isinstance(item, BaseException))
