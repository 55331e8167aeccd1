"""What can go wrong in the simulated Hummingbot desk."""

from __future__ import annotations

from typing import Final

from backends.demo.faults import Catalogue, Fault

FAULTS: Final[Catalogue] = {
    "kill-dry-run": Fault(
        "The kill switch answers 200 to a kill, and it was a dry run: nothing is cancelled"
    ),
    "kill-no-keys": Fault("The kill switch answers 200 to a kill, and had no keys for it"),
    "halt-not-obeyed": Fault(
        "Bot 1 ignores its file and the bus, and its container is started again at once"
    ),
    "bots-deaf": Fault("Redis has lost its groups: the bots read nothing, and no error says so"),
    "hard-stop": Fault("Bot 1 breaks its daily limit and repeats its kill intent every second"),
    "redis-hang": Fault("Redis accepts connections from the room and never answers"),
    "redis-refuse": Fault("Redis refuses connections from the room; the desk still reaches it"),
    "recon-critical": Fault("Reconciliation finds balances that are not those of the exchange"),
    "portfolio-kill": Fault("A portfolio limit is broken: portfolio risk asks for a kill, and no bot obeys"),
    "reports-stale": Fault("No service writes its report any more"),
    "scripts-lie": Fault("The desk's scripts end with exit 0 and write no report"),
    "postgres-down": Fault("The ops database is stopped"),
}
