"""The anchor for a place, by its kind. Loads the client library it needs: call it in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.model.anchor import AnchorKind, AnchorPlace

if TYPE_CHECKING:
    from backends.writers.anchor_postgres import PostgresAnchor
    from backends.writers.anchor_redis import RedisAnchor
    from backends.writers.anchor_syslog import SyslogAnchor


def make_anchor(place: AnchorPlace) -> RedisAnchor | PostgresAnchor | SyslogAnchor:
    """It is connected to only when a head is put there."""
    if place.kind is AnchorKind.REDIS:
        from backends.writers.anchor_redis import RedisAnchor  # noqa: PLC0415 (loads only what is used)

        return RedisAnchor(place)
    if place.kind is AnchorKind.POSTGRES:
        from backends.writers.anchor_postgres import PostgresAnchor  # noqa: PLC0415 (loads only what is used)

        return PostgresAnchor(place)
    from backends.writers.anchor_syslog import SyslogAnchor  # noqa: PLC0415 (loads only what is used)

    return SyslogAnchor(place)
