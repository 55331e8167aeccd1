"""Where the journal's head is kept besides the journal, so that cutting off its end can be seen."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from backends.model.secret import Secret


class AnchorKind(Enum):
    REDIS = "redis"
    """A stream ``<name>:<host>`` that is only added to."""
    POSTGRES = "postgres"
    """A table ``<name>`` that is only inserted into."""
    SYSLOG = "syslog"
    """The host's log, facility local0: it keeps the heads and cannot be asked for them."""


class AnchorPlace(Struct, frozen=True):
    """One place to keep the head. ``url`` holds no credential."""

    kind: AnchorKind
    url: str
    name: str
    """The stream, table or program name."""
    username: str | None = None
    password: Secret | None = None


class Mark(Struct, frozen=True):
    """One head of one journal, as it was when it was anchored."""

    host: str
    journal: str
    """The journal's folder on that host."""
    seq: int
    hash: str
    at: str
    """UTC, milliseconds, ``Z``."""


class AnchorError(Exception):
    """The anchor could not be written or read. The message says why and holds no credential."""
