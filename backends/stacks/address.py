"""Addresses of sources: a password never stays in one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct

from backends.model.secret import Secret

SCHEMES: Final = {
    "docker": ("unix", "tcp", "http", "https", "ssh", "context"),
    "swarm": ("unix", "tcp", "http", "https", "ssh", "context"),
    "redis": ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "rediss+cluster"),
    "postgres": ("postgresql", "postgres"),
    "http": ("http", "https"),
    "systemd": ("systemd",),
    "files": ("file",),
    "host": ("host",),
    "prometheus": ("http", "https"),
    "loki": ("http", "https"),
    "sqlite": ("sqlite",),
    "clickhouse": ("http", "https"),
    "syslog": ("unix", "udp"),
}
_SEVERAL: Final = ("postgresql", "postgres", "redis+sentinel", "redis+cluster", "rediss+cluster")
"""Schemes whose address may name several hosts, separated by commas."""
_PATHS: Final = {
    "unix": "unix:///run/x.sock",
    "file": "file:///opt/desk",
    "sqlite": "sqlite:///var/lib/x.db",
}
_SECRET_NAMES: Final = frozenset({"pass", "pwd", "key", "sig", "auth", "jwt"})
_SECRET_PARTS: Final = (
    "passw", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "signature",
)  # fmt: skip
"""What a query has under one of the former, or under a name with one of the latter in it, is a secret."""
_DATABASES: Final = {
    "redis": "/?|/[0-9]+/?",
    "rediss": "/?|/[0-9]+/?",
    "unix": ".*",
    "redis+sentinel": "/[^/]+(/[0-9]+)?/?",
    "redis+cluster": "(/0?)?",
    "rediss+cluster": "(/0?)?",
}
"""What may follow the host of a Redis: the client takes anything else for some database, without a word."""
_TLS: Final = frozenset(
    ("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
)
"""What the query of a Redis address may say; whatever it says outranks what the room asks of the client."""


class AddressError(Exception):
    """An address cannot be used. The message says why without repeating any of it."""


class Address(Struct, frozen=True):
    """An address taken apart: ``url`` holds neither user nor password."""

    url: str
    username: str | None
    password: Secret | None


def take_apart(kind: str, url: str) -> Address:
    """The parts of the address of a source of ``kind``. Raises AddressError."""
    try:
        parts = urlsplit(url)
        name, password = parts.username, parts.password
        hosts = [_host(each) for each in parts.netloc.rpartition("@")[2].split(",")]
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise AddressError("expected an address; write special characters in a password as %XX") from None
    if parts.scheme not in SCHEMES[kind] or "://" not in url:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES[kind])
        raise AddressError(f"expected an address that starts with one of: {known}")
    if any(not char.isprintable() or char.isspace() for char in url):
        raise AddressError("expected an address without spaces and control characters")
    if "@" in url.partition("://")[2][len(parts.netloc) :]:
        raise AddressError("'@' stands after the host; write special characters in a password as %XX")
    if any(_is_secret(key) for key, _ in query):
        raise AddressError("the query holds a credential; use password_env or password_file")
    host = all(hosts)
    if len(hosts) > 1 and parts.scheme not in _SEVERAL:
        raise AddressError(f"expected one host; several go with {', '.join(_SEVERAL)}")
    if parts.scheme == "redis+sentinel" and not parts.path.strip("/"):
        raise AddressError("expected the master's name, as in redis+sentinel://one,two:26379/mymaster/0")
    if parts.scheme in _PATHS and (host or not parts.path):
        raise AddressError(f"expected a whole path, as in {_PATHS[parts.scheme]}")
    if parts.scheme not in _PATHS and not host and not (kind == "postgres" and dict(query).get("host")):
        raise AddressError("expected an address with a host")
    if kind == "redis":
        _fits_redis(parts, dict(query))
    scheme, _, rest = url.partition("://")
    bare = rest[len(parts.netloc) :]
    return Address(
        url=f"{scheme}://{parts.netloc.rpartition('@')[2]}{bare}",
        username=unquote(name) if name else None,
        password=Secret(unquote(password)) if password else None,
    )


def _is_secret(key: str) -> bool:
    name = re.sub("[^a-z]", "", key.lower())
    return name in _SECRET_NAMES or any(part in name for part in _SECRET_PARTS)


def _host(text: str) -> str | None:
    """The host of one ``host:port``. Raises ValueError for a port that is none."""
    parts = urlsplit(f"//{text}")
    return parts.hostname if parts.port is None or parts.port > 0 else None


def _fits_redis(parts: SplitResult, query: Mapping[str, str]) -> None:
    """Raises AddressError for what the client would not take as it is written."""
    number = query.get("db", "0") if parts.scheme == "unix" else "0" if "db" not in query else ""
    if not (re.fullmatch(_DATABASES[parts.scheme], parts.path) and re.fullmatch("[0-9]+", number)):
        raise AddressError("expected at most a database's number, as in redis://host/0 or unix:///path?db=0")
    allowed = {"unix": frozenset({"db"}), "rediss": _TLS}.get(parts.scheme, frozenset())
    if parts.fragment or not query.keys() <= allowed:
        raise AddressError(f"expected no query but, with rediss://, {', '.join(sorted(_TLS))}")


def objection(kind: str, url: str) -> str | None:
    """What keeps ``url`` from standing in a file, without repeating it; None when nothing does."""
    try:
        address = take_apart(kind, url)
    except AddressError as error:
        return str(error)
    if address.password is not None:
        return "an address in a file holds no password; use password_env or password_file"
    return None
