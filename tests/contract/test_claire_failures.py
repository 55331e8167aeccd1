"""The checks, checklists and known failures of Claire de Binare on one demo: what is answered in health, and
what the doctor finds of each failure that is brought about."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from backends.demo.dockerd.spec import Load, Mount
from backends.demo.dockerd.store import Volume
from backends.model.examination import Answer, Examined
from backends.model.query import HostQuery
from backends.model.reading import Reading
from backends.model.service import Health, RunState
from tests.building import is_found, missing, ok, running, text
from tests.contract.ward import Illness, Illnesses, Ward, is_told, loops, outbreak, ward

ID = "claire-de-binare"

NOT_YET = {
    "backup": "backup.trailer missing",
    "replay-hash": "replay.a missing",
    "replay-determinism": "replay.same missing",
    "replay-format": "replay.lines missing",
    "halt-armed": "halt.stream reads false",
    "halt-exercised": "halt.exercised reads false",
}
"""What a calm stack does not meet, and why: nothing was backed up, replayed or halted."""
OF_THE_MACHINE = {"clear-logs"}
"""The disk of whoever runs this."""


@pytest.fixture(scope="module")
def claire() -> Iterator[Ward]:
    with ward(ID) as made:
        yield made


def test_every_check_is_answered_in_health_and_only_what_was_never_done_fails(claire: Ward) -> None:
    assert claire.failing(NOT_YET, OF_THE_MACHINE) == NOT_YET.keys()


def test_every_checklist_is_done_but_for_what_was_never_done(claire: Ward) -> None:
    lists = claire.lists(OF_THE_MACHINE)
    assert {name for name, answer in lists.items() if answer is Answer.NO} == {"monthly", "secret-file"}
    assert {name for name, answer in lists.items() if answer is Answer.YES} == {"weekly", "quarterly"}


def test_in_health_the_doctor_finds_nothing(claire: Ward) -> None:
    assert [name for name, each in claire.diagnosed().items() if each.answer is Answer.YES] == []


def test_a_stack_that_has_run_for_long_is_not_called_deaf(claire: Ward) -> None:
    """What it wrote at its start has long left the newest lines: hours of requests came after."""
    for service in ("cdb_execution", "cdb_risk", "cdb_db_writer"):
        claire.say(service, *["[INFO] werkzeug: GET /status HTTP/1.1 200"] * 6000)
    deaf = ("no-result", "risk-deaf", "risk-deaf-results", "writer-deaf")
    assert {name: each.answer for name, each in claire.diagnosed(*deaf).items()} == dict.fromkeys(
        deaf, Answer.NO
    )


# Known failures


def log(service: str, *lines: str) -> Callable[[Ward], object]:
    """The service writes these lines."""
    return lambda claire: claire.say(service, *lines)


def container(claire: Ward, service: str) -> Any:
    return claire.world.engine.service(service)


def respecify(service: str, **changes: Any) -> Callable[[Ward], object]:
    """As if compose had made the container from other files."""

    def bring(claire: Ward) -> None:
        one = container(claire, service)
        claire.call(lambda: setattr(one, "spec", replace(one.spec, **changes)))

    return bring


def both(*ways: Callable[[Ward], object]) -> Callable[[Ward], object]:
    return lambda claire: [way(claire) for way in ways]


def redis(*command: str) -> Callable[[Ward], object]:
    return lambda claire: claire.do(claire.world.redis.execute_command(*command))


def begun_anew(service: str) -> Callable[[Ward], object]:
    """It started just now and has said nothing since."""

    def bring(claire: Ward) -> None:
        one = container(claire, service)
        one.finished = one.started = time.time_ns()

    return bring


class Ill:
    """The work of a container, but for its health check."""

    def __init__(self, work: Any, printed: str) -> None:
        self._work = work
        self._printed = printed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    async def check(self) -> tuple[bool, str]:
        return False, self._printed


def unhealthy(service: str, printed: str) -> Callable[[Ward], object]:
    """Its health check fails and prints this."""

    def bring(claire: Ward) -> None:
        one = container(claire, service)
        respecify(service, workload=Ill(one.spec.workload, printed))(claire)
        claire.call(one.hurry)

    return bring


def orphan_volume(claire: Ward) -> None:
    labels = {"com.docker.compose.project": "cdb"}
    claire.world.engine.store.volumes["cdb_candle_cache"] = Volume("cdb_candle_cache", 1, labels)


def port_taken(claire: Ward) -> None:
    """By this process, unless another has it anyway."""
    respecify("cdb_redis_exporter", ports=())(claire)
    held = socket.socket()
    claire.closing.callback(held.close)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with suppress(OSError):
        held.bind(("127.0.0.1", 9121))
        held.listen()


def replayed(first: str, second: str) -> Callable[[Ward], object]:
    """The files of two replays."""

    def bring(claire: Ward) -> None:
        folder = claire.world.project.checkout / "artifacts" / "controlroom"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "replay_1.jsonl").write_text(first)
        (folder / "replay_2.jsonl").write_text(second)

    return bring


DECISIONS = "stream.allocation_decisions"
PASSWORD_FILE = "POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password"
TRACE = 'Traceback (most recent call last):\n  File "/app/service.py", line 12, in <module>'
FIRST: Illnesses = {
    "postgres-clash": Illness(
        both(
            respecify("cdb_postgres", environment=("POSTGRES_PASSWORD=hunter2hunter2", PASSWORD_FILE)),
            log(
                "cdb_postgres",
                "error: both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set (but are exclusive)",
            ),
        ),
        "POSTGRES_PASSWORD is set in the shell",
        "stack-start",
    ),
    "grafana-clash": Illness(
        log(
            "cdb_grafana",
            "error: Both GF_SECURITY_ADMIN_PASSWORD and GF_SECURITY_ADMIN_PASSWORD__FILE are set",
        ),
        "GRAFANA_PASSWORD is exported",
        "stack-start",
    ),
    "port-taken-redis-exporter": Illness(port_taken, "listens.redis-exporter reads", "end-process"),
    "orphan-volumes": Illness(orphan_volume, "cdb_candle_cache", "prune-volumes"),
    "secret-directory-app": Illness(
        log("cdb_execution", "cat: /run/secrets/redis_password: Is a directory"),
        "Docker made a folder",
        "stack-start",
    ),
    "secret-absent": Illness(
        log("cdb_redis", "cat: can't open '/run/secrets/redis_password': No such file or directory"),
        "SECRETS_PATH",
        "stack-start",
    ),
    "live-gate": Illness(
        log("cdb_execution", "LIVE trading safety gate triggered: CONFIRM_LIVE_TRADING is not set"),
        "MOCK_TRADING is false",
        "stack-start",
    ),
    "volume-owner": Illness(
        both(
            respecify("cdb_paper_runner", mounts=(Mount("/app/logs", source="/srv/cdb/logs"),)),
            log("cdb_paper_runner", "PermissionError: [Errno 13] Permission denied: '/app/logs/paper.log'"),
        ),
        "The folder's owner",
        "chown",
    ),
    "high-cpu": Illness(
        respecify("cdb_risk", load=Load(93.0, 60 << 20)), "more than 80 % of a core", "restart-service"
    ),
    "high-cpu-execution": Illness(
        respecify("cdb_execution", load=Load(93.0, 60 << 20)), "more than 80 % of a core", "restart-execution"
    ),
    "redis-lost": Illness(
        log(
            "cdb_signal",
            "2026-01-17 10:15:00,000 [ERROR] signal: Redis connection failed: Connection refused",
        ),
        "Redis is down",
        "stack-start",
    ),
    "noauth": Illness(
        log("cdb_execution", "Redis authentication FAILED: Invalid password for cdb_redis:6379"),
        "The secret file changed",
        "stack-start",
    ),
    "timestamp": Illness(
        redis("XADD", "stream.order_results", "*", "order_id", "E2E_1", "timestamp", "1768645000.53"),
        "Somebody else publishes",
    ),
    "halt-type": Illness(redis("SET", "stream.bot_shutdown", "1"), "another command than XADD", "halt-hard"),
    "replay-differs": Illness(
        replayed('{"stream_id": "1-0"}\n', '{"stream_id": "1-0"}\r\n'), "CRLF", "replay-range"
    ),
    "dsn": Illness(
        log("cdb_execution", 'invalid integer value "abc" for connection option "port"'),
        "execution writes it into a URL",
        "rotate-secrets",
    ),
    "no-allocation": Illness(
        both(
            redis(
                "XADD", DECISIONS, "*", "strategy_id", "paper", "allocation_pct", "0", "cooldown_until", ""
            ),
            log("cdb_risk", "Signal blockiert: Keine Allokation"),
        ),
        "Allocation is 0",
        "restart-allocation",
    ),
}
MENDS = {
    "execution": "restart-execution", "allocation": "restart-allocation", "grafana": "restart-grafana",
    "risk": "restart-subscriber", "db-writer": "restart-subscriber", "signal": None,
}  # fmt: skip
"""What restarts a service that is unhealthy; the others have a procedure in common."""
CHECKED = (
    "execution", "redis", "postgres", "ws", "signal", "candles", "regime", "allocation", "risk", "db-writer",
    "paper-runner", "reports", "prometheus", "grafana", "loki", "alertmanager", "postgres-exporter",
)  # fmt: skip
UNHEALTHY: Illnesses = {
    f"unhealthy-{name}": Illness(
        unhealthy(f"cdb_{name.replace('-', '_')}", f"curl: (7) Failed to connect to {name}"),
        f"curl: (7) Failed to connect to {name}",
        MENDS.get(name, "restart-service"),
    )
    for name in CHECKED
}
AFTERWARDS: Illnesses = {
    "replay-empty": Illness(replayed("", ""), "The range holds no entry", "replay-range"),
    "no-result": Illness(begun_anew("cdb_execution"), "Subscribed to topic: orders", "restart-execution"),
    "risk-deaf": Illness(begun_anew("cdb_risk"), "no signal is judged", "restart-subscriber"),
    "risk-deaf-results": Illness(begun_anew("cdb_risk"), "fills count", "restart-subscriber"),
    "writer-deaf": Illness(begun_anew("cdb_db_writer"), "its subscription", "restart-subscriber"),
}
LAST_WORDS = {
    "execution": "ValueError: MEXC_API_KEY is empty",
    "redis": "cat: can't open '/run/secrets/redis_password': No such file or directory",
    "postgres": "error: both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set (but are exclusive)",
    "ws": "redis.exceptions.ConnectionError: Error 111 connecting to cdb_redis:6379. Connection refused.",
    "signal": "cat: /run/secrets/redis_password: Is a directory",
    "candles": "redis.exceptions.AuthenticationError: invalid username-password pair or user is disabled.",
    "regime": "KeyError: 'REGIME_WINDOW'",
    "allocation": "ModuleNotFoundError: No module named 'core'",
    "risk": "Auth validation FAILED. Service cannot start.",
    "db-writer": 'psycopg2.OperationalError: FATAL:  password authentication failed for user "claire_user"',
    "paper-runner": "PermissionError: [Errno 13] Permission denied: '/app/logs'",
    "reports": "FileNotFoundError: [Errno 2] No such file or directory: '/reports'",
    "prometheus": 'level=error msg="Error loading config (--config.file=/etc/prometheus/prometheus.yml)"',
    "grafana": "error: Both GF_SECURITY_ADMIN_PASSWORD and GF_SECURITY_ADMIN_PASSWORD__FILE are set",
    "loki": "failed parsing config: /etc/loki/config.yml: yaml: line 3",
    "promtail": "error creating promtail: no such file or directory",
    "alertmanager": 'level=error msg="Loading configuration file failed"',
    "postgres-exporter": "Error opening connection to database",
    "redis-exporter": "Couldn't connect to redis instance: connection refused",
}
"""Of each service, what it says before it ends."""
LOOPS: Illnesses = {
    "restarting" if name == "execution" else f"restarting-{name}": Illness(
        loops(f"cdb_{name.replace('-', '_')}", *TRACE.splitlines(), words), words, "stack-start"
    )
    for name, words in LAST_WORDS.items()
}


WAVES = (FIRST, UNHEALTHY, AFTERWARDS, LOOPS)


@pytest.fixture(scope="module")
def seen(claire: Ward) -> dict[str, tuple[Answer, Examined]]:
    return outbreak(claire, *WAVES)


@pytest.mark.parametrize("name", [name for wave in WAVES for name in wave])
def test_the_doctor_finds_it_says_why_and_names_what_mends_it(
    claire: Ward, seen: Mapping[str, tuple[Answer, Examined]], name: str
) -> None:
    is_told(claire.stack, name, {**FIRST, **UNHEALTHY, **AFTERWARDS, **LOOPS}[name], seen[name])


def test_every_service_has_its_own_words_when_it_is_started_again_and_again(claire: Ward) -> None:
    loops = {demand.fact for name in LOOPS for demand in claire.stack.diagnoses[name].demands}
    assert {f"service:{service.name}" for service in claire.stack.services} <= loops


def test_every_service_with_a_check_has_its_own_words_when_it_is_unhealthy(claire: Ward) -> None:
    """But for the Redis exporter, whose check fails as it is shipped."""
    checked = {service.name for service in claire.stack.services if service.has_check}
    assert {f"cdb_{name.replace('-', '_')}" for name in CHECKED} == checked - {"cdb_redis_exporter"}


def test_a_password_that_stands_in_an_error_is_never_what_is_told(
    claire: Ward, seen: Mapping[str, tuple[Answer, Examined]]
) -> None:
    told = " ".join(text(after) for _, after in seen.values())
    assert "connection option" not in told
    assert "hunter2" not in told


PORTS = {
    "redis": 6379, "postgres": 5432, "prometheus": 19090, "grafana": 3000, "postgres-exporter": 9187,
    "redis-exporter": 9121, "ws": 8000, "risk": 8002, "execution": 8003, "paper-runner": 8004, "signal": 8005,
    "allocation": 8006, "candles": 8007, "regime": 8008,
}  # fmt: skip


@pytest.mark.parametrize("name", PORTS)
def test_a_port_of_any_service_is_taken_when_somebody_listens_and_the_container_has_none(
    claire: Ward, name: str
) -> None:
    ident = "port-taken" if name == "redis" else f"port-taken-{name}"
    taken, free = ok(f"listens.{name}", "nginx (4711)"), missing(f"listens.{name}")
    assert is_found(claire.stack, ident, ok(f"published.{name}", 0), taken)
    assert not is_found(claire.stack, ident, ok(f"published.{name}", 1), taken)
    assert not is_found(claire.stack, ident, ok(f"published.{name}", 0), free)
    query = claire.stack.facts[f"listens.{name}"].query
    assert isinstance(query, HostQuery)
    assert query.target == str(PORTS[name])


INVENTED = [
    ("high-memory", [ok("host.memory", 86.0)], [ok("host.memory", 84.0)]),
    ("redis-memory", [ok("redis.memory", 201326592)], [ok("redis.memory", 1 << 20)]),
    ("connections", [ok("db.load", 70)], [ok("db.load", 69)]),
    ("strange-session", [ok("db.strangers", 1)], [ok("db.strangers", 0)]),
    (
        "schema-not-loaded",
        [ok("db.missing", 6), ok("log.schema", 0)],
        [ok("db.missing", 6), ok("log.schema", 1)],
    ),
    (
        "stream-still",
        [missing("stream.fills"), ok("env.results_stream", 1)],
        [ok("stream.fills", 9), ok("env.results_stream", 1)],
    ),
    (
        "redis-restarting",
        [running("cdb_redis", RunState.RESTARTING), ok("log.redis.config", 1)],
        [running("cdb_redis"), ok("log.redis.config", 1)],
    ),
    # Redis itself cannot be asked then: whatever would be read from it is unknown.
    ("replay-no-redis", [running("cdb_redis", RunState.EXITED)], [running("cdb_redis")]),
    ("replay-no-redis", [missing("service:cdb_redis")], [running("cdb_redis", health=Health.UNHEALTHY)]),
]
"""What only the host brings about, or nothing cheaply: the readings of it, and others that are none."""


@pytest.mark.parametrize(("name", "ill", "well"), INVENTED)
def test_what_the_host_brings_about_is_known_by_its_readings(
    claire: Ward, name: str, ill: list[Reading[Any]], well: list[Reading[Any]]
) -> None:
    assert is_found(claire.stack, name, *ill)
    assert not is_found(claire.stack, name, *well)
