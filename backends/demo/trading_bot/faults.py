"""What can go wrong with the simulated trading bots."""

from __future__ import annotations

from typing import Final

from backends.demo.faults import Catalogue, Fault

FAULTS: Final[Catalogue] = {
    "live-orders": Fault("Two programs that send real orders run; neither reads the mode"),
    "halt-erased": Fault("The quality gate runs: it deletes the mode four seconds after a halt"),
    "failover": Fault("The health checker runs: it forges the heartbeat and writes failover over a halt"),
    "halt-ignored": Fault("The market maker goes on quoting after a halt"),
    "mode-typo": Fault("Somebody typed HALT: the strategies trade on"),
    "recon-breach": Fault("Positions differ from the exchange's: halted every ten seconds"),
    "policy-stale": Fault("The last heartbeat of the policy is seven hours old"),
    "influence": Fault("The policy has an influence of 15 % that never expires, and 5 % of one asset"),
    "dollars": Fault("The effective capital is written in dollars"),
    "drawdown": Fault("The drawdown is 7 %"),
    "slow-venue": Fault("One venue answers in more than a second and fills badly"),
    "bot-crash-loop": Fault("trading_bot fails at every start and is restarted again and again"),
    "redis-hang": Fault("Redis accepts connections from the room and never answers"),
    "redis-refuse": Fault("Redis refuses connections from the room; the bots still reach it"),
}
