"""What can go wrong in the simulated Claire de Binare."""

from __future__ import annotations

from typing import Final

from backends.demo.faults import Catalogue, Fault

FAULTS: Final[Catalogue] = {
    "halt-ignored": Fault("Execution does not read the halt stream: orders go on filling"),
    "halt-erased": Fault("The halt stream is thrown away as soon as it is written, as a full Redis would"),
    "execution-deaf": Fault("Execution runs and is healthy, but no longer hears orders"),
    "feed-stale": Fault("The exchange's feed is silent: prices grow old, everything stays healthy"),
    "cooldown": Fault("Allocation fell to 0 and set its cooldown of 72 hours"),
    "saturated": Fault("Exposure has reached its limit: every BUY is blocked"),
    "live-mode": Fault("Execution is set to live mode, and says so"),
    "inert-switch": Fault("Somebody set switches that do nothing: orders go on"),
    "secret-directory": Fault("The Redis secret is a directory, and Redis loops at its start"),
    "logs-not-shipped": Fault("Promtail ships nothing: no errors in Loki, and no lines either"),
    "owner-stuck": Fault("A file in risk's volume stays root's: chown says nothing and changes nothing"),
    "writer-down": Fault("The database writer is killed: one subscriber less on three channels"),
    "redis-hang": Fault("Redis accepts connections from the room and never answers"),
    "redis-refuse": Fault("Redis refuses connections from the room; the services still reach it"),
    "postgres-down": Fault("PostgreSQL is stopped: nothing is recorded"),
}
