"""Places in the texts of a stack file: ``{NAME.url}``, and ``path``, ``host`` and ``port`` likewise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from backends.model.stack import Source, SourceKind

FOLDER: Final = re.compile(r"\{([a-z0-9-]+)\.path\}")
SERVER: Final = re.compile(r"\{([a-z0-9-]+)\.(host|port)\}")
ADDRESS: Final = re.compile(r"\{([a-z0-9-]+)\.url\}")

SERVERS: Final = {SourceKind.REDIS: 6379, SourceKind.POSTGRES: 5432}
"""The kinds of sources that are one server with a port, and the port where their address has none."""

_ONE: Final = ("redis", "rediss", "postgresql", "postgres")


def with_addresses(text: str, sources: Mapping[str, Source]) -> str:
    """``text`` with ``{NAME.url}`` replaced by the address that is in use."""
    return ADDRESS.sub(lambda found: sources[found[1]].url.rstrip("/"), text)


def with_folders(text: str, sources: Mapping[str, Source]) -> str:
    """``text`` with ``{NAME.path}`` replaced by the folder of that source."""
    return FOLDER.sub(lambda found: urlsplit(sources[found[1]].url).path.rstrip("/"), text)


def with_servers(text: str, sources: Mapping[str, Source]) -> str:
    """``text`` with ``{NAME.host}`` and ``{NAME.port}`` replaced; each source is ``one_server``."""
    return SERVER.sub(lambda found: _part(sources[found[1]], found[2]), text)


def one_server(source: Source) -> bool:
    """Whether its address is a host and a port, which can be told to a program as such."""
    parts = urlsplit(source.url)
    return parts.scheme in _ONE and bool(parts.hostname) and "," not in parts.netloc


def _part(source: Source, part: str) -> str:
    parts = urlsplit(source.url)
    return str(parts.hostname if part == "host" else parts.port or SERVERS[source.kind])
