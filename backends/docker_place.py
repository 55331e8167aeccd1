"""How one Docker Engine is reached: a socket, TCP with TLS, ssh, or a context of the docker command line."""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from backends.ssh_tunnel import Tunnel, TunnelError

if TYPE_CHECKING:
    from docker import APIClient
    from docker.tls import TLSConfig

    from backends.model.stack import Source

_ANY_VERSION: Final = "1.41"
"""A fixed version keeps the SDK from asking for it while it connects, without bounds."""

CONTEXT: Final = "context://"
SSH: Final = "ssh://"
_WAY: Final = "controlroom-ssh://"
DEFAULT: Final = "default"
"""The context that means this machine's own engine."""
HERE: Final = "unix:///var/run/docker.sock"


class PlaceError(Exception):
    """The address leads nowhere. The message is short and in plain words."""


def connect(source: Source, seconds: float) -> APIClient:
    """A client of the SDK for the source; each of its calls waits at most ``seconds``.

    ``cert_path`` among the options is a folder with ``ca.pem``, ``cert.pem`` and ``key.pem``. Raises
    PlaceError, or what the SDK raises: over ssh the way is opened at once, elsewhere at the first call.
    """
    import docker  # noqa: PLC0415  # 100 ms: only for a stack with Docker, and not in the first frame

    url, tls = source.url or None, _tls(source.options.get("cert_path"))
    if url is not None and url.startswith(CONTEXT):
        url, tls = _context(url.removeprefix(CONTEXT))
    tunnel = None
    if url is not None and url.startswith(SSH):
        tunnel = _tunnel(url, source.username, seconds)
        url = f"unix://{tunnel.socket}"
    try:
        api = docker.APIClient(url, _ANY_VERSION, timeout=ceil(seconds), tls=tls or False)
    except BaseException:
        if tunnel is not None:
            tunnel.close()
        raise
    if tunnel is not None:
        # It ends with the client: what is mounted there is closed with it. Or with the program.
        api.mount(_WAY, _Way(tunnel))  # type: ignore[arg-type]  # it only closes
        weakref.finalize(api, tunnel.close)
    # Proxies, ~/.netrc and REQUESTS_CA_BUNDLE are about the web; the last would outrank the engine's own CA.
    api.trust_env = False
    return api


def lead(url: str) -> str:
    """What tells where the address leads: of a context its file, which the docker command may change at any
    time. Empty when that cannot be read."""
    name = url.removeprefix(CONTEXT)
    if name in (url, DEFAULT):
        return url
    try:
        return _said_of(name).decode("utf-8", "replace")
    except OSError:
        return ""


def trouble(api: APIClient) -> str | None:
    """What ssh says of why nothing comes through, where the way leads over ssh."""
    way = api.adapters.get(_WAY)
    return way.tunnel.trouble() if isinstance(way, _Way) else None


def host(api: APIClient) -> tuple[str | None, str | None]:
    """The host of the engine, as it is named, and of one over ssh the address it had, once that is known."""
    way: object = api.adapters.get(_WAY)
    if isinstance(way, _Way):
        return way.tunnel.host, way.tunnel.address
    return urlsplit(str(api.base_url)).hostname, None


class _Way:
    """Of an SDK's client: no request goes over it."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel

    def close(self) -> None:
        self.tunnel.close()


def _tunnel(url: str, username: str | None, seconds: float) -> Tunnel:
    name = f"{username}@" if username else ""
    try:
        return Tunnel(f"{SSH}{name}{url.removeprefix(SSH)}", seconds)
    except TunnelError as error:
        raise PlaceError(str(error)) from None


def _tls(folder: str | None) -> TLSConfig | None:
    if not folder:
        return None
    from docker.tls import TLSConfig  # noqa: PLC0415  # with the SDK

    parts = {part: Path(folder) / f"{part}.pem" for part in ("ca", "cert", "key")}
    for path in parts.values():
        if not path.is_file():
            raise PlaceError(f"the TLS file {path} for Docker does not exist")
    pair = (str(parts["cert"]), str(parts["key"]))
    return TLSConfig(client_cert=pair, ca_cert=str(parts["ca"]), verify=True)


def _context(name: str) -> tuple[str, TLSConfig | None]:
    """Host and TLS of a context, as ``docker context ls`` shows it.

    The SDK looks beside a config.json alone, which the docker command makes at the first login: without it
    another folder's context of that name would be taken, or none.
    """
    from docker.tls import TLSConfig  # noqa: PLC0415  # with the SDK

    if name == DEFAULT:
        return HERE, None
    try:
        told = json.loads(_said_of(name))["Endpoints"]["docker"]
        engine, is_open = str(told["Host"]), bool(told.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise PlaceError(f"there is no Docker context {name}; see docker context ls") from None
    except OSError as error:
        raise PlaceError(f"the Docker context {name} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        engine, is_open = "", False
    if not engine:
        raise PlaceError(f"the Docker context {name} names no engine; see docker context ls")
    folder, ident = _contexts(), _ident(name)
    ca, cert, key = (folder / "tls" / ident / "docker" / f"{part}.pem" for part in ("ca", "cert", "key"))
    pair = (str(cert), str(key)) if cert.is_file() and key.is_file() else None
    if not ca.is_file() and pair is None:
        return engine, None
    return engine, TLSConfig(client_cert=pair, ca_cert=str(ca) if ca.is_file() else None, verify=not is_open)


def _said_of(name: str) -> bytes:
    """The file of a context. Raises OSError."""
    return (_contexts() / "meta" / _ident(name) / "meta.json").read_bytes()


def _contexts() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser()) / "contexts"


def _ident(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
