"""What can go wrong in the simulated Hummingbot desk, by its generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.demo.faults import Catalogue, Fault

_DRY: Final = Fault("The kill switch answers 200 to a kill, and it was a dry run: nothing is cancelled")
_NO_KEYS: Final = "kill-no-keys"
_WATCHDOG: Final[Catalogue] = {
    "watchdog-works": Fault("The watchdog starts bot 1 again a second after it was stopped, by whomever")
}
_ALL: Final[Catalogue] = {
    "halt-not-obeyed": Fault(
        "Bot 1 ignores its file and the bus, and its container is started again at once"
    ),
    "file-not-read": Fault("Bot 1 reads its controller's file no more, and obeys the bus"),
    "connector-not-ready": Fault("Bot 1's connector is not ready: it rejects every order of the bus"),
    "bots-deaf": Fault("Redis has lost its groups: the bots read nothing, and no error says so"),
    "hard-stop": Fault("Bot 1 breaks its daily limit and repeats its kill intent every second"),
    "redis-hang": Fault("Redis accepts connections from the room and never answers"),
    "redis-refuse": Fault("Redis refuses connections from the room; the desk still reaches it"),
    "recon-critical": Fault("Reconciliation finds balances that are not those of the exchange"),
    "portfolio-kill": Fault("A portfolio limit is broken: portfolio risk asks for a kill, and no bot obeys"),
    "reports-stale": Fault("No service has written its report for an hour"),
    "scripts-lie": Fault("The desk's scripts end with exit 0 and write no report"),
    "postgres-down": Fault("The ops database is stopped"),
}
_PROMPT: Final[Catalogue] = {
    "bots-at-prompt": Fault("Bots with a terminal wait at its prompt: containers run, and no strategy does")
}

FAULTS: Final[Mapping[str, Catalogue]] = {
    "R1": {
        "kill-dry-run": _DRY,
        _NO_KEYS: Fault("The kill switch answers 200 to a kill, and had no keys for it"),
        **_ALL,
        **_PROMPT,
        **_WATCHDOG,
        "hard-stop": Fault(
            "Bot 1 breaks its daily limit and repeats its kill intent every second: the kill switch kills "
            "and ends again and again"
        ),
        "portfolio-kill": Fault(
            "A portfolio limit is broken: portfolio risk asks for a kill, and no bot obeys, but the kill "
            "switch does"
        ),
    },
    "R0": {
        **_ALL,
        **_PROMPT,
        "postgres-down": Fault("The ops database is stopped, and its writer dies again and again"),
        "clickhouse-down": Fault("ClickHouse is stopped"),
    },
    "H": {
        "kill-dry-run": _DRY,
        _NO_KEYS: Fault("The kill switch answers 500 to a kill: it had no keys for it"),
        "kill-partial": Fault("The kill switch cancels one order of bot 1 and answers 500: another is left"),
        **_ALL,
        **_WATCHDOG,
        "hard-stop": Fault("Bot 1 breaks its daily limit, and trades again after 30 s, as paper does here"),
        "portfolio-kill": Fault(
            "A portfolio limit is broken: portfolio risk stops its bots for a tick at a time, and the kill "
            "switch kills"
        ),
        "postgres-down": Fault("The ops database is stopped, and its writer says so"),
        "allocator-resumes": Fault("The allocator resumes every bot: pauses of the bus end without a word"),
    },
}
"""By the generation's name in the stack file; the first is the one that is meant where none is named."""
