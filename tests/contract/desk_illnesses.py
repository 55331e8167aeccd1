"""How each known failure of the Hummingbot desk is brought about in its demo, and what is told of it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from tests.contract.ward import Illness, Illnesses, Ward

ENV: Final = "KILL_SWITCH_DRY_RUN"
PORT: Final = 9100
GATES: Final = "promotion_gates/latest.json"
_POLICY: Final = "policy/latest.json"
_DAY2: Final = "event_store/day2_gate_eval_latest.json"
_BUS: Final = "bus_recovery/latest.json"


def heal(made: Ward) -> None:
    """Take away what is wrong with a calm desk too, so that each failure is brought about from health."""
    keep(made, _DAY2, go=True)
    report(made, GATES, status="PASS", critical_failures=[])
    report(made, _POLICY, status="pass", errors=[])
    _publish_kill(made, "127.0.0.1")


def _publish_kill(made: Ward, address: str) -> None:
    container = made.world.engine.service("kill-switch")
    container.spec = replace(container.spec, ports=((address, 9900, 9900),))


def leave_bot_4_behind(made: Ward) -> None:
    """It has written nothing for a day."""
    made.world.bots["bot4"].is_up = False
    path = made.home / "hbot/data/bot4/logs/epp_v24/bot4_a/minute.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:50]) + "\n")


def report(made: Ward, name: str, **members: Any) -> None:
    """One that a script writes reads otherwise."""
    path = made.home / "hbot/reports" / name
    made.call(lambda: path.write_text(json.dumps({**json.loads(path.read_text()), **members})))


def keep(made: Ward, name: str, **members: Any) -> None:
    """One that a service writes again and again reads otherwise, at once."""
    project = made.world.project
    project.changes[name] = members
    made.call(lambda: project.refresh(made.world.bots["bot1"]))


def _reads(name: str, **members: Any) -> Callable[[Ward], object]:
    return lambda made: report(made, name, **members)


def _keeps(name: str, **members: Any) -> Callable[[Ward], object]:
    return lambda made: keep(made, name, **members)


def _fault(name: str) -> Callable[[Ward], object]:
    return lambda made: made.fault(name)


def _logs(line: str) -> Callable[[Ward], object]:
    """Bot 1 writes this to its own log file."""

    def write(made: Ward) -> None:
        path = next((made.home / "hbot/data/bot1/logs").glob("logs_*.log"))
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        with path.open("a") as file:
            file.write(f"{stamp},000 - 1 - controller - ERROR - {line}\n")

    return write


def _loops(service: str, words: str) -> Callable[[Ward], object]:
    """It dies at once, again and again, with these words last."""

    def bring(made: Ward) -> None:
        container = made.world.engine.service(service)
        container.last_words = ("Traceback (most recent call last):", words) if words else ()
        container.crashes_after = 0.3
        made.do(container.crash(1))

    return bring


def hangs(service: str, says: str) -> Callable[[Ward], object]:
    """It runs, and its health check fails with these words."""

    async def check() -> tuple[bool, str]:
        return False, says

    def bring(made: Ward) -> None:
        container = made.world.engine.service(service)
        container.spec.workload.check = check
        made.call(container.hurry)

    return bring


def _stands(made: Ward) -> None:
    made.world.bots["bot1"].is_up = False
    made.call(made.world.engine.service("bot1").hurry)


def _edit_code(made: Ward) -> None:
    (made.home / "hbot/controllers/epp_v2_4.py").touch()


def _made_dry(made: Ward) -> None:
    """As compose makes the container where the variable is not set to false."""
    container = made.world.engine.service("kill-switch")
    others = tuple(each for each in container.spec.environment if not each.startswith(ENV))
    container.spec = replace(container.spec, environment=(*others, f"{ENV}=true"))


def _takes_port(made: Ward) -> None:
    """Whoever has it on this host already will do as well."""
    made.taken = socket.socket()
    with suppress(OSError):
        made.taken.bind(("127.0.0.1", PORT))
        made.taken.listen()
    made.do(made.world.engine.service("node-exporter").stop())


def _uses_a_fallback(made: Ward) -> None:
    path = made.home / "hbot/data/bot1/logs/epp_v24/bot1_a/minute.csv"
    newest = path.read_text().splitlines()[-1]
    with path.open("a") as file:
        file.write(newest.replace("api:bitget:user_fee_query", "manual_fallback") + "\n")


def _computes(**members: Any) -> Callable[[Ward], object]:
    """Prometheus tells these numbers, which only a host or an exchange can bring about."""

    def bring(made: Ward) -> None:
        for name, value in members.items():
            setattr(made.world.prometheus, name, value)

    return bring


_FINDING: Final = {"severity": "warning", "check": "fee_rate", "bot": "bot1", "message": "0.0006, not 0.0002"}
_WAITS: Final = [{"name": "elapsed_window", "pass": False, "value_hours": 3.2, "required_hours": 9.0}]

AT_ONCE: Final[Illnesses] = {
    "preflight-failed": Illness(_logs("Preflight failed: balance"), "configuration", "recreate-bot1"),
    "bots-deaf": Illness(_fault("bots-deaf"), "lost its data or its groups", "recreate-bot1"),
    "kill-open": Illness(lambda made: _publish_kill(made, "0.0.0.0"), "asks nobody who they are"),
    "kill-dry": Illness(_made_dry, f"{ENV} is not false", "recreate-service"),
    "writer-loops": Illness(
        _loops("ops-db-writer", "psycopg.OperationalError: connection refused"),
        "psycopg.OperationalError: connection refused",
        "opsdb-start",
    ),
    "connector-not-mapped": Illness(
        _logs("connector x is not mapped in exchange_profiles.json"), "no profile", "recreate-bot1"
    ),
    "paper-exchange-missing": Illness(
        _logs("profile requires paper_trade_exchanges to include bitget_perpetual"), "conf_client.yml",
        "recreate-bot1",
    ),
    "fee-profile-missing": Illness(
        _logs("fee profile is missing connector x"), "fee_profiles.json", "recreate-bot1"
    ),
    "day2-not-go": Illness(_keeps(_DAY2, go=False, checks=_WAITS), "window is not over", "day2-evaluate"),
    "delta-large": Illness(
        _reads(_BUS, checks={"delta_not_worse_than_previous": False}), "missing in the store", "count-check"
    ),
    "gates-fail": Illness(
        _reads(GATES, status="FAIL", critical_failures=["secrets_hygiene"]), "reads 1", "gates"
    ),
    "policies-differ": Illness(
        _reads(_POLICY, status="fail", errors=["bot4: mode"]), "different bots", "policy-check"
    ),
    "disconnect": Illness(_computes(reconnects=7.0), "bot1.reconnects reads 7", "pause-bot"),
    "order-reject": Illness(_logs("Order rejected: code 40762, below minimum"), "minimum size", "pause-bot"),
    "ack-timeout": Illness(_logs("order ack timed out after 12 s"), "not confirmed", "recreate-bot1"),
    "position-mode": Illness(_logs("position mode mismatch: unilateral"), "hedge mode", "pause-bot"),
    "fee-drift": Illness(
        _keeps("reconciliation/latest.json", findings=[_FINDING]), "funding differ", "accounting-check"
    ),
    "stale-bytecode": Illness(_edit_code, "edited after it was started", "clear-bytecode"),
    "fee-fallback": Illness(_uses_a_fallback, "fee query failed", None),
    "host-saturated": Illness(
        _computes(computed={"node_cpu_seconds_total": 97.0}), "host.cpu reads 97", "stop-bot"
    ),
    "bot1-stands": Illness(_stands, "minute.csv is older than 300 s", "recreate-bot1"),
    "loops-signal-service": Illness(
        _loops("signal-service", "redis.exceptions.ConnectionError: Error 111"),
        "error.signal-service reads redis.exceptions.ConnectionError: Error 111",
        "recreate-service",
    ),
    "loops-of-bot3": Illness(_loops("bot3", ""), "none read its own log file", "stop-bot"),
    "unhealthy-reconciliation-service": Illness(
        hangs("reconciliation-service", "age 1900 s"), "unhealthy: age 1900 s", "recreate-service"
    ),
    "port-node-exporter": Illness(_takes_port, "port.node-exporter reads ", None),
}  # fmt: skip
"""What can be so at the same time."""

THEN: Final[Illnesses] = {
    "store-stands": Illness(_fault("reports-stale"), "hangs or is down", "recover-event-store"),
    "bot1-loops": Illness(_loops("bot1", "ValueError: id mismatch"), "reads ValueError: id", "stop-bot1"),
    "loops-postgres": Illness(
        _loops("postgres", "FATAL: could not write lock file: No space left"), "A full disk", "opsdb-start"
    ),
    "unhealthy-redis": Illness(
        hangs("redis", "Could not connect to Redis"), "unhealthy: Could not connect to Redis", "bus-restart"
    ),
}
"""What hides something of those before."""

MENDED: Final[Mapping[str, Mapping[str, str]]] = {"H": {"store-stands": "recreate-service"}}
"""Where a generation mends it otherwise."""
