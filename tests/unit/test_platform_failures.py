"""The known failures of the trading platform, each on the readings of it: found with its cause and what mends
it, not found on those of a platform that is well, and unknown where they cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from backends.model.examination import Answer
from backends.model.fact import Broken, Found, Table
from backends.model.query import DockerQuery, HostQuery
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState
from backends.readers.extract import extract
from backends.readers.log_match import matching_lines
from backends.stacks.loader import built_in, load_stack
from tests.building import diagnosed, failed, is_found, is_known, missing, ok, running

STACK = load_stack(built_in()["trading-platform"])
STAMP = b"2026-11-21T15:00:00.000000000Z "
ACCESS = 'INFO:     172.28.0.1:40112 - "GET /health HTTP/1.1" 200 OK'

Readings = tuple[Reading[Any], ...]


def logged(fact: str, *lines: str) -> Reading[Any]:
    """What the fact reads of a log with these lines."""
    query = STACK.facts[fact].query
    assert isinstance(query, DockerQuery)
    rows = matching_lines(query.pattern or "", [STAMP + line.encode() for line in lines])
    finding = extract(STACK.facts[fact], rows)
    assert not isinstance(finding, Broken), finding.why
    return ok(fact, finding.value) if isinstance(finding, Found) else missing(fact)


def written(logger: str, level: str, message: str) -> str:
    """A line in the form in which the platform's services write all of theirs."""
    return f"2026-11-21 15:00:00,250 - {logger} - {level} - {message}"


def named(fact: str, **states: str) -> Reading[Any]:
    """Variables and the word that stands beside each."""
    rows = tuple((SafeText(name), SafeText(state)) for name, state in states.items())
    return ok(fact, Table(("name", "state"), rows, len(rows)))


def unwell(service: str) -> Reading[Any]:
    return running(service, health=Health.UNHEALTHY)


TRACE = ("Traceback (most recent call last):", '  File "/app/apps/main.py", line 12, in <module>')
UNWANTED = written(
    "apps.execution_gateway", "WARNING",
    'Order rejected by broker: {"code":40310000,"message":"insufficient buying power"}',
)  # fmt: skip
"""The broker's own code for an order it does not want begins like a refused request."""
WELL: Mapping[str, Reading[Any]] = {
    each.key: each
    for each in (
        *(
            running(service.name, health=Health.HEALTHY if service.has_check else Health.NO_CHECK)
            for service in STACK.services
        ),
        ok("kill.state", "ACTIVE"),
        ok("breaker.state", "OPEN"),
        missing("breaker.reason"),
        ok("gateway.dry_run", False),
        ok("gateway.broker", True),
        ok("pnl.status", 200),
        ok("fills.orders", 7),
        ok("fills.recorded", 7),
        ok("trades.reported", 7),
        ok("db.missing", 0),
        ok("console.oauth2", False),
        ok("console.host_url", False),
        ok("env.there", True),
        ok("env.templates", True),
        named("env.names", NOTEBOOK_LAUNCH_COMMAND="set"),
        named("worker.env", DATABASE_URL="set"),
        *(missing(f"host.port{port}") for port in (5433, 8001, 8002, 8003)),
        *(ok(f"health.{name}_says", "ok") for name in ("gateway", "signal", "orchestrator", "feed")),
        *(
            logged(f"log.{name}_error", ACCESS, written("apps.main", "ERROR", "Redis EVAL failed: Error"))
            for name in ("gateway", "orchestrator", "feed", "registry")
        ),
        *(logged(f"log.{name}", ACCESS) for name in ("signal_import", "session_version", "console_errors")),
        *(logged(f"log.{name}", ACCESS) for name in ("console_module", "console_gateway")),
        *(logged(f"log.{name}", ACCESS) for name in ("no_strategies", "console_notebook")),
        logged("log.broker_refused", ACCESS, UNWANTED),
        logged("log.worker_database", "redis: Error 111 connecting to localhost:6379. Connection refused."),
    )
}
"""A platform that trades on paper."""


@dataclass(frozen=True)
class Failure:
    """The readings in which it differs from a platform that is well."""

    readings: Readings
    says: str
    procedure: str | None


def loops(service: str, fact: str, words: str, procedure: str = "restart") -> Failure:
    looping = running(service, RunState.RESTARTING)
    return Failure((looping, logged(fact, *TRACE, words, ACCESS)), words, procedure)


def unhealthy(service: str, fact: str, printed: str) -> Failure:
    return Failure((unwell(service), ok(fact, printed)), printed, "restart")


def port_taken(service: str, port: int, procedure: str) -> Failure:
    """The container was made and could not be started."""
    return Failure(
        (running(service, RunState.CREATED), ok(f"host.port{port}", "uvicorn (4711)")),
        "uvicorn (4711)",
        procedure,
    )


def tripped(reason: str, says: str) -> Failure:
    return Failure((ok("breaker.state", "TRIPPED"), ok("breaker.reason", reason)), says, "breaker-reset")


REFUSED = "curl: (7) Failed to connect to localhost port 8002: Connection refused"
NO_NAME = "httpx.ConnectError: [Errno -2] Name or service not known"
NO_MODULE = "ModuleNotFoundError: No module named 'aiosmtplib'"
NO_SESSION = written("apps.execution_gateway.auth", "WARNING", "Missing header X-Session-Version")
NOT_ALLOWED = written(
    "apps.execution_gateway", "ERROR",
    'Broker connection error: {"code":40110000,"message":"request is not authorized."}',
)  # fmt: skip
NO_STRATEGIES = 'INFO:     172.28.0.9:40112 - "GET /api/v1/strategies HTTP/1.1" 403 Forbidden'
NO_COMMAND = written("apps.web_console_ng", "WARNING", "NOTEBOOK_LAUNCH_COMMAND is not configured")
NO_BASE = (
    'psycopg.OperationalError: connection failed: connection to server at "127.0.0.1", port 5433 failed: '
    "Connection refused"
)
FAILURES: Mapping[str, Failure] = {
    "gateway-loops": loops(
        "execution_gateway", "log.gateway_error", "RuntimeError: WEBHOOK_SECRET must be set", "compose-dev"
    ),
    "orchestrator-loops": loops(
        "orchestrator", "log.orchestrator_error", "redis.exceptions.ConnectionError: x"
    ),
    "feed-loops": loops(
        "market_data_service", "log.feed_error", "ValueError: ALPACA_API_KEY is not set", "compose-dev"
    ),
    "registry-loops": loops("model_registry", "log.registry_error", "PermissionError: [Errno 13] denied"),
    "gateway-unhealthy": unhealthy("execution_gateway", "health.gateway_says", REFUSED),
    "signal-unhealthy": unhealthy("signal_service", "health.signal_says", REFUSED),
    "orchestrator-unhealthy": unhealthy("orchestrator", "health.orchestrator_says", REFUSED),
    "feed-unhealthy": unhealthy("market_data_service", "health.feed_says", REFUSED),
    "port-8001-taken": port_taken("signal_service", 8001, "free-port"),
    "port-8002-taken": port_taken("execution_gateway", 8002, "free-port"),
    "port-8003-taken": port_taken("orchestrator", 8003, "free-port"),
    "postgres-port-taken": port_taken("postgres", 5433, "start-infrastructure"),
    "postgres-down": Failure((unwell("postgres"),), "no restart policy", "start-infrastructure"),
    "redis-down": Failure((running("redis", RunState.EXITED),), "no restart policy", "start-infrastructure"),
    "kill-key-missing": Failure((missing("kill.state"),), "append-only file", "recover-safety"),
    "breaker-key-missing": Failure((missing("breaker.state"),), "a fresh Redis", "recover-safety"),
    "tripped-broker-errors": tripped("BROKER_ERRORS", "the broker failed"),
    "tripped-daily-loss-exceeded": tripped("DAILY_LOSS_EXCEEDED", "No day change resets it"),
    "tripped-max-drawdown": tripped("MAX_DRAWDOWN", "the drawdown limit"),
    "broker-away": Failure((ok("gateway.broker", False),), "nothing was refused", None),
    "broker-credentials": Failure(
        (ok("gateway.broker", False), logged("log.broker_refused", NOT_ALLOWED)),
        "keys in .env",
        "compose-dev",
    ),
    "signal-imports": Failure(
        (logged("log.signal_import", *TRACE, "ImportError: cannot import name 'Booster' from 'lightgbm'"),),
        "package is missing",
        "compose-build",
    ),
    "console-module-missing": Failure(
        (logged("log.console_module", *TRACE, NO_MODULE),), "aiosmtplib", "console-rebuild"
    ),
    "console-errors": Failure(
        (logged("log.console_errors", *TRACE),), "the last traceback", "console-rebuild"
    ),
    "console-not-authorised": Failure(
        (ok("pnl.status", 401),), "INTERNAL_TOKEN_SECRET of this room", "console-rebuild"
    ),
    "console-old-address": Failure(
        (ok("console.host_url", True), logged("log.console_gateway", NO_NAME)),
        "http://host.docker.internal:8002",
        "console-rebuild",
    ),
    "auth0-loop": Failure(
        (ok("console.oauth2", True), missing("service:auth_service")), "oauth2 profile", "console-rebuild"
    ),
    "no-strategies": Failure(
        (logged("log.no_strategies", NO_STRATEGIES),), "WEB_CONSOLE_DEV_STRATEGIES", "console-rebuild"
    ),
    "session-version": Failure(
        (logged("log.session_version", NO_SESSION),), "no X-Session-Version", "console-rebuild"
    ),
    "fills-lost": Failure((ok("fills.recorded", 0), ok("trades.reported", 0)), "webhook", "fills-enable"),
    "tables-missing": Failure((ok("db.missing", 20),), "Not every migration", None),
    "notebook-command": Failure(
        (named("env.names", NOTEBOOK_LAUNCH_COMMAND="empty"), logged("log.console_notebook", NO_COMMAND)),
        "not in .env",
        "console-notebooks",
    ),
    "notebook-templates": Failure((ok("env.templates", False),), "notebooks/templates", "console-rebuild"),
    "worker-database": Failure((logged("log.worker_database", NO_BASE),), "localhost", "alert-worker"),
    "worker-no-url": Failure((named("worker.env", REDIS_URL="set"),), "another compose file", "alert-worker"),
}
"""None as a procedure: nothing here brings a broker back or applies a migration."""


def readings(name: str, *changed: Reading[Any]) -> list[Reading[Any]]:
    """One for each of its demands: of a platform that is well, but for these."""
    all_of = {**WELL, **{each.key: each for each in changed}}
    return [all_of[fact] for fact in dict.fromkeys(each.fact for each in STACK.diagnoses[name].demands)]


@pytest.mark.parametrize("name", FAILURES)
def test_it_is_found_on_its_readings_and_says_why_and_what_mends_it(name: str) -> None:
    failure = FAILURES[name]
    ill = readings(name, *failure.readings)
    is_known(STACK, name, failure.says, failure.procedure, diagnosed(STACK, name, *ill))


@pytest.mark.parametrize("name", FAILURES)
def test_it_is_not_found_on_a_platform_that_is_well_nor_on_any_less_than_all_of_it(name: str) -> None:
    assert diagnosed(STACK, name, *readings(name)).answer is Answer.NO
    told = {each.fact for each in STACK.diagnoses[name].demands if each.is_ok}  # whatever it says
    for each in FAILURES[name].readings:
        if each.key in told:
            continue
        less = [other for other in FAILURES[name].readings if other is not each]
        assert diagnosed(STACK, name, *readings(name, *less)).answer is Answer.NO


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_read_leaves_it_unknown(name: str) -> None:
    ill = readings(name, *FAILURES[name].readings)
    assert diagnosed(STACK, name, *(failed(each.key) for each in ill)).answer is Answer.UNKNOWN
    for each in ill:
        rest = [failed(each.key) if other is each else other for other in ill]
        assert diagnosed(STACK, name, *rest).answer is Answer.UNKNOWN


@pytest.mark.parametrize("name", [name for name in FAILURES if name.endswith("-taken")])
def test_a_container_that_runs_holds_its_port_itself_however_ill_it_is(name: str) -> None:
    service, port = STACK.diagnoses[name].demands
    query = STACK.facts[port.fact].query
    assert isinstance(query, HostQuery) and query.target in name + STACK.diagnoses[name].title
    ill = unwell(service.fact.removeprefix("service:"))
    assert not is_found(STACK, name, ill, ok(port.fact, "docker-proxy (99)"))


@pytest.mark.parametrize("service", ["redis", "postgres"])
def test_a_store_without_a_container_or_in_any_state_but_health_is_down(service: str) -> None:
    assert is_found(STACK, f"{service}-down", missing(f"service:{service}"))
    for state in RunState:
        is_up = state is RunState.RUNNING
        assert is_found(STACK, f"{service}-down", running(service, state)) is not is_up
    starting = running(service, health=Health.STARTING)
    assert not is_found(STACK, f"{service}-down", starting)


def test_a_sign_in_service_that_ended_is_as_good_as_none() -> None:
    ended = running("auth_service", RunState.EXITED)
    assert is_found(STACK, "auth0-loop", ok("console.oauth2", True), ended)


def test_a_console_that_ended_for_want_of_a_module_still_says_so() -> None:
    """Nothing starts it again, and its log from the last start is only that of one that runs."""
    query = STACK.facts["log.console_module"].query
    assert isinstance(query, DockerQuery) and not query.since_start
