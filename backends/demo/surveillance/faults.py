"""What can go wrong in the simulated surveillance."""

from __future__ import annotations

from typing import Final

from backends.demo.faults import Catalogue, Fault

FAULTS: Final[Catalogue] = {
    "gap": Fault("One sequence gap of OKX was counted: its z-scores are wiped at every message"),
    "degraded": Fault("Binance counted six gaps: degraded until ingestion is restarted"),
    "time-gaps": Fault("Six gaps of ten seconds in the feeds were stored in the last hour"),
    "spot-dead": Fault("Binance's spot socket died; its health still says connected"),
    "okx-refused": Fault("OKX took no connection when ingestion started: nothing tries again"),
    "okx-reconnects": Fault("OKX has used up eight of its ten reconnects: it still sends"),
    "okx-exhausted": Fault("OKX has used up its ten reconnects: dead until ingestion is restarted"),
    "feeds-silent": Fault("No exchange sends anything: the workers exit after 5 s, again and again"),
    "lag": Fault("Frames of both exchanges come 700 ms late"),
    "wide-spread": Fault("The spreads of Binance widen past their limits: alerts, until that is the norm"),
    "thin-books": Fault("The books of Binance are nearly empty: real alerts that last"),
    "orphan": Fault("An alert of before the detector's start is still active"),
    "ghost": Fault("Redis evicted an alert and kept its id"),
    "bare-srem": Fault("An orphan was taken out of alerts:active by hand; its row is still open"),
    "redis-only": Fault("An alert reached Redis but not the database"),
    "second-detector": Fault("Somebody runs a second detector elsewhere: it listens and raises alerts"),
    "database-down": Fault("The database is stopped: nothing is stored"),
    "password-changed": Fault("The database's password was changed: open sessions go on, nobody new gets in"),
    "redis-hang": Fault("Redis accepts connections from the room and never answers"),
    "redis-refuse": Fault("Redis refuses connections from the room; the workers still reach it"),
    "file-refused": Fault(
        "An instrument without a name stands in instruments.yaml: no worker can start anew"
    ),
    "unreachable": Fault("The spot address of Binance is not reached from the container"),
}
