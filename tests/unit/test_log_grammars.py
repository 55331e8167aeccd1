"""Each stack's own grammar finds severity and message of the lines that its contract shows, and leaves out
what it calls noise."""

from __future__ import annotations

from functools import cache

import pytest

from backends.logs.ring import LogRing
from backends.model.logline import LogLevel
from backends.model.stack import LogGrammar
from backends.model.stamp import to_stamp
from backends.stacks.loader import built_in, load_stack
from tests.clock import FakeClock

CLAIRE, DESK, SURVEILLANCE = "claire-de-binare", "hummingbot-desk", "surveillance"
CRITICAL, ERROR, WARNING = LogLevel.CRITICAL, LogLevel.ERROR, LogLevel.WARNING
INFO, DEBUG, UNKNOWN = LogLevel.INFO, LogLevel.DEBUG, LogLevel.UNKNOWN
AT = 1_768_557_618
"""What the container's runtime says of the time; a line's own is in the container's zone, or is none."""


@cache
def grammar(stack: str) -> LogGrammar:
    return load_stack(built_in()[stack]).logs


def ring(stack: str, clock: FakeClock, *lines: str) -> LogRing:
    log = LogRing(grammar(stack), ("it",), clock=clock)
    log.append(0, [to_stamp(AT * 1_000_000_000) + b" " + line.encode() for line in lines])
    clock.advance(1.0)
    log.settle()
    return log


@pytest.mark.parametrize(
    ("stack", "line", "level", "text"),
    [
        # A: the services
        (CLAIRE, "2026-01-16 10:00:18,123 [INFO] risk_manager: text", INFO, "risk_manager: text"),
        (CLAIRE, "2026-01-16 10:00:18 [WARNING] ws_service: [ws] reconnecting in 5s...", WARNING,
         "ws_service: [ws] reconnecting in 5s..."),
        (CLAIRE, "2026-01-16 10:00:18,123 [CRITICAL] __main__: a: b", CRITICAL, "__main__: a: b"),
        (CLAIRE, "2026-01-16 10:00:18,123 [ERROR] db_writer: Failed to persist signal: INFO", ERROR,
         "db_writer: Failed to persist signal: INFO"),
        # B: execution
        (CLAIRE, "2026-01-16 10:00:18,123 - execution_service - WARNING - Bot shutdown active (reason=x)",
         WARNING, "execution_service: Bot shutdown active (reason=x)"),
        (CLAIRE, "2026-01-16 10:00:18,123 - execution_service - DEBUG - a - ERROR - b", DEBUG,
         "execution_service: a - ERROR - b"),
        # C: reports
        (CLAIRE, "[ERROR] no mail was sent", ERROR, "no mail was sent"),
        # D: Prometheus, Loki, Grafana
        (CLAIRE, 'ts=2026-01-16T10:00:18.123Z caller=main.go:627 level=warn msg="no rules"', WARNING,
         'msg="no rules"'),
        (CLAIRE, 'level=error ts=2026-01-16T10:00:18.123Z caller=table.go:1 msg="disk full"', ERROR,
         'msg="disk full"'),
        (CLAIRE, 'logger=provisioning t=2026-01-16T10:00:18.123Z level=info msg="done"', INFO,
         'provisioning: msg="done"'),
        # E: PostgreSQL
        (CLAIRE, "2026-01-16 10:00:18.123 UTC [71] FATAL:  password authentication failed", CRITICAL,
         "password authentication failed"),
        (CLAIRE, "2026-01-16 10:00:18.123 UTC [71] LOG:  checkpoint starting: time", INFO,
         "checkpoint starting: time"),
        # F: Redis
        (CLAIRE, "1:M 16 Jan 2026 10:00:18.123 # WARNING Memory overcommit must be enabled!", WARNING,
         "WARNING Memory overcommit must be enabled!"),
        (CLAIRE, "1:M 16 Jan 2026 10:00:18.123 * Ready to accept connections tcp", INFO,
         "Ready to accept connections tcp"),
        # a bot's log file, and its standard output, which says no level
        (DESK, "2026-02-27 10:00:00,123 - 1 - script_strategy_base - INFO - Preflight passed.", INFO,
         "script_strategy_base: Preflight passed."),
        (DESK, "2026-02-27 10:00:00,123 - 1 - hummingbot.core.clock - ERROR - Unexpected error", ERROR,
         "clock: Unexpected error"),
        (DESK, "10:00:00 - script_strategy_base - Preflight validation passed.", UNKNOWN,
         "script_strategy_base: Preflight validation passed."),
        (DESK, "10:00:00 - v2_with_controllers - CRITICAL: Global drawdown reached", CRITICAL,
         "v2_with_controllers: CRITICAL: Global drawdown reached"),
        # the services and the watchdog
        (DESK, "2026-02-27T10:00:00+0000 WARNING  kill_switch: KILL SWITCH TRIGGERED", WARNING,
         "kill_switch: KILL SWITCH TRIGGERED"),
        (DESK, "2026-02-27T10:00:00+0000 INFO     services.bus.client: connected", INFO, "client: connected"),
        (DESK, "2026-02-27T10:00:00Z [watchdog] ERROR CIRCUIT BREAKER OPEN for bot1", ERROR,
         "CIRCUIT BREAKER OPEN for bot1"),
        # structlog, as JSON and on a console
        (SURVEILLANCE, '{"event": "alert_triggered", "level": "warning", "timestamp": "2026-03-01T10:00Z"}',
         WARNING, '{"event": "alert_triggered", "level": "warning", "timestamp": "2026-03-01T10:00Z"}'),
        (SURVEILLANCE, '{"error": "ERROR", "level": "info", "event": "adapter_subscribed"}', INFO,
         '{"error": "ERROR", "level": "info", "event": "adapter_subscribed"}'),
        (SURVEILLANCE, '{"event":"service_failed","level":"critical"}', CRITICAL,
         '{"event":"service_failed","level":"critical"}'),
        (SURVEILLANCE, "2026-03-01 10:00:00 [error    ] postgres_connection_failed error=refused", ERROR,
         "postgres_connection_failed error=refused"),
        (SURVEILLANCE, "2026-03-01 10:00:00 [\x1b[32minfo     \x1b[0m] \x1b[1mdashboard_ready\x1b[0m", INFO,
         "dashboard_ready"),
        # uvicorn, Redis and PostgreSQL
        (SURVEILLANCE, "INFO:     Uvicorn running on http://0.0.0.0:8050", INFO,
         "Uvicorn running on http://0.0.0.0:8050"),
        (SURVEILLANCE, "ERROR:    Exception in ASGI application", ERROR, "Exception in ASGI application"),
        (SURVEILLANCE, "7:S 01 Mar 2026 10:00:00.123 . a detail", DEBUG, "a detail"),
        (SURVEILLANCE, "2026-03-01 10:00:00.123 UTC [71] PANIC:  cannot write", CRITICAL, "cannot write"),
        (SURVEILLANCE, "2026-03-01 10:00:00.123 UTC [71] DEBUG2:  a detail", DEBUG, "a detail"),
    ],
)  # fmt: skip
def test_a_line_has_its_severity_the_runtimes_time_and_its_message_without_its_own_time(
    fake_clock: FakeClock, stack: str, line: str, level: LogLevel, text: str
) -> None:
    (row,) = ring(stack, fake_clock, line).window(0, 9)
    assert (row.level, row.at, str(row.text)) == (level, AT, text)


NOISE = {
    CLAIRE: [
        '2026-01-16 10:00:18,123 [INFO] werkzeug: 127.0.0.1 - - "\x1b[37mGET /health HTTP/1.1" 200 -',
        '2026-01-16 10:00:18,123 - werkzeug - INFO - 127.0.0.1 - - "GET /metrics HTTP/1.1" 200 -',
        'INFO:     127.0.0.1:5 - "GET /health HTTP/1.1" 200 OK',
    ],
    DESK: ['INFO:     127.0.0.1:5 - "GET /metrics HTTP/1.1" 200 OK'],
    SURVEILLANCE: [
        '{"metric": "gap_duration_seconds", "event": "unknown_metric_name", "level": "warning"}',
        '{"exchange": "okx", "message": "pong", "event": "websocket_invalid_json", "level": "warning"}',
        '{"exchange":"okx","message":"pong","event":"websocket_invalid_json","level":"warning"}',
        "2026-03-01 10:00:00 [warning  ] websocket_invalid_json exchange=okx message=pong",
        '{"error": "can\'t subtract", "event": "get_alerts_for_escalation_failed", "level": "error"}',
        '{"error": "can\'t subtract", "event": "escalation_check_failed", "level": "error"}',
        '{"channel": "slack", "event": "channel_not_found", "level": "warning"}',
        'INFO:     127.0.0.1:5 - "GET /api/health HTTP/1.1" 200 OK',
    ],
}
KEPT = {
    CLAIRE: ["2026-01-16 10:00:18,123 [ERROR] risk_manager: werkzeug", '"POST /orders HTTP/1.1" 404'],
    DESK: ['INFO:     127.0.0.1:5 - "POST /kill HTTP/1.1" 200 OK'],
    SURVEILLANCE: [
        '{"exchange": "okx", "message": "{\\"ev", "event": "websocket_invalid_json", "level": "warning"}',
        '{"alert_id": "a", "event": "alert_resolution_failed", "level": "error"}',
    ],
}


@pytest.mark.parametrize("stack", NOISE)
def test_what_is_for_ever_the_same_is_left_out_and_counted_and_nothing_else_is(
    fake_clock: FakeClock, stack: str
) -> None:
    log = ring(stack, fake_clock, *NOISE[stack], *KEPT[stack])
    assert (log.noise, log.end) == (len(NOISE[stack]), len(KEPT[stack])), log.window(0, 99)
