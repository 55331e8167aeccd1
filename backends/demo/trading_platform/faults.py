"""What can go wrong in the simulated trading platform."""

from __future__ import annotations

from typing import Final

from backends.demo.faults import Catalogue, Fault

FAULTS: Final[Catalogue] = {
    "crash-loop": Fault("The signal service crashes at every start and is restarted again and again"),
    "unhealthy": Fault("The model registry runs, but its health check fails"),
    "gateway-down": Fault("The execution gateway is killed: no orders, nobody keeps them in step"),
    "redis-hang": Fault("Redis accepts connections from the room and never answers"),
    "redis-refuse": Fault("Redis refuses connections from the room; the platform still reaches it"),
    "postgres-down": Fault("PostgreSQL is stopped: no orders, no positions, no history"),
    "kill-key-missing": Fault("The kill switch's key is gone from Redis"),
    "halt-not-obeyed": Fault("A halt is acknowledged, then undone at once; orders go on"),
    "halt-ignored": Fault("The kill switch stays engaged, but the gateway goes on taking orders"),
    "drawdown": Fault("Losing trades take today's realised loss past 5,000 USD"),
    "stale-prices": Fault("The price stream is disconnected: prices stand still and grow old"),
    "market-closed": Fault("The market is closed: orders, closing ones too, wait at the broker"),
    "quarantine": Fault("An order nobody knows was found at the broker: TSLA is quarantined"),
    "auth-enforced": Fault("The gateway demands proof from every caller (API_AUTH_MODE=enforce)"),
    "hostile": Fault("Names, values and log lines are made to take over a terminal; one line has 100 MB"),
    "log-flood": Fault("Every container writes as fast as it can: 10,000 lines a second together"),
}
