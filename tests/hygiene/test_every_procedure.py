"""Every procedure of every stack, in each generation, is run to its verdict by some test on real parts."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from backends.model.procedure import RiskClass
from backends.stacks.loader import built_in, describe
from tests.contract.desk_room import PRACTISED, SCRIPTS
from tests.terminal.left import BY_PROGRAMS, BY_UNITS
from tests.terminal.test_run_every_procedure import STORIES

ROOT = Path(__file__).parents[2]
Runs = Mapping[str, Mapping[str, set[str]]]
"""By stack and generation: which file of tests runs which to its verdict."""


def words(text: str) -> set[str]:
    return {*text.split()}


DESK = words(
    "start-desk recreate-bot1 image-rollback start-validation start-bot3 recreate-bot4 shutdown upgrade-test"
    " recreate-service opsdb-start writer-start writer-once"
)
"""What compose does in every generation of the desk."""
LIVE = words("live-microcap live-notrade upgrade-live bot1-profile")
BEFORE_H = words("degraded recreate-snapshot recover-event-store monitoring-start pgadmin-start")
SINGLE = words(
    "halt stop-bot1 stop-bot pause-bot resume-bot opsdb-backup bot3-scenario bot4-scenario bus-restart"
)
NOT_OF_H = {"coordination-check", "upgrade-check"}
GENERATIONS = "tests/contract/test_demo_generations.py"

IN_CI: Runs = {
    "claire-de-binare": {
        "tests/contract/test_claire_de_binare.py": words(
            "halt resume prometheus-reload tag pg-dump replay replay-range backup drill restart-service chown"
            " restore"
        ),
        "tests/contract/test_claire_routines.py": words(
            "redis-save grafana-password restart-grafana restart-execution restart-allocation"
            " restart-subscriber pause unpause end-process halt-hard stop-writes redis-flush"
        ),
        "tests/contract/test_claire_clear_log.py": {"clear-log"},
    },
    "hummingbot-desk R1": {
        "tests/contract/test_hummingbot_programs.py": DESK | LIVE | BEFORE_H,
        "tests/contract/test_demo_hummingbot.py": {*PRACTISED, *SCRIPTS, "start-watchdog"} | SINGLE,
    },
    "hummingbot-desk R0": {
        GENERATIONS: {*PRACTISED, *SCRIPTS, "clickhouse-dry-run", "clickhouse-once"} | SINGLE,
    },
    "hummingbot-desk H": {
        GENERATIONS: ({*PRACTISED, *SCRIPTS, "start-watchdog"} | SINGLE) - NOT_OF_H,
    },
    "surveillance": {
        "tests/contract/test_surveillance_demo.py": words(
            "load-config backup ghosts-remove redis-only-resolve alerts-close orphans-resolve reach"
            " alerting-off alerting-on workers-stop redis-flush workers-start"
        ),
        "tests/contract/test_surveillance_routines.py": words(
            "alert-resolve alert-resolve-live analyze-metrics analyze-snapshots metrics-drop snapshots-delete"
            " instrument-on dashboard-restart metrics-restart detector-restart ingestion-restart gap-reset"
            " workers-restart redis-restart database-restart"
        ),
    },
    "trading-bot": {
        "tests/contract/test_trading_bot_procedures.py": words(
            "archive-logs capital-reject capital-request chaos-off halt-starve prove-halt resume-paper"
            " set-weight snapshot stop-eraser stop-order-process"
        ),
        "tests/contract/test_trading_bot_desk.py": words(
            "halt zero-influence validate capital-approve resume-auto stop-all-order-processes"
        ),
        "tests/contract/test_trading_bot_units.py": words(
            "canary-blue canary-green restart-ops-bot restart-policy restart-trading-bot stop-trading-bot"
        ),
    },
    "trading-platform": {
        "tests/terminal/test_run_every_procedure.py": {name for story in STORIES.values() for name in story},
        "tests/contract/test_start_on_host.py": BY_UNITS,
    },
}  # fmt: skip

IN_SOAK: Runs = {
    "claire-de-binare": {
        "tests/contract/test_claire_restarts.py": words(
            "isolate stack-start stack-recover start-isolated network-restart schema-wipe rotate-secrets"
            " remove-stranger remove-strangers"
        ),
        "tests/contract/test_claire_engine.py": words("docker-daemon rollback-latest"),
        "tests/contract/test_claire_programs.py": words(
            "redis-restore rollback-tag prune-images prune-volumes migrate-002 pg-reset pg-restore stack-down"
            " complete-failure deep-clean"
        ),
    },
    "surveillance": {
        "tests/contract/test_surveillance_minutes.py": words("exchange-off exchange-on"),
        "tests/contract/test_surveillance_programs.py": words(
            "start-all start-infra stop-all wipe build full-restart full-restart-flush rebuild-all"
            " backup-schema restore debug-on debug-off"
        ),
    },
    "hummingbot-desk R1": {"tests/contract/test_hummingbot_minutes.py": {"bot4-notrade"}},
    "hummingbot-desk R0": {
        "tests/contract/test_hummingbot_generations.py": DESK | BEFORE_H | {"clickhouse-start"},
        "tests/contract/test_hummingbot_minutes.py": {"bot4-notrade"},
    },
    "hummingbot-desk H": {
        "tests/contract/test_hummingbot_generations.py": DESK | LIVE,
        "tests/contract/test_hummingbot_minutes.py": {"bot4-notrade"},
    },
    "trading-platform": {"tests/contract/test_platform_programs.py": BY_PROGRAMS},
}
"""Those of ``make soak-programs`` alone."""


RESUMES_IN_SOAK: Mapping[str, set[str]] = {
    "claire-de-binare": words(
        "stack-start docker-daemon network-restart stack-recover complete-failure start-isolated"
    ),
    "surveillance": {"exchange-on"},
    "trading-platform": {"paper-run-file"},
}
"""What moves the market or can bring trading back and is in no form run in CI: each takes minutes."""


@cache
def shipped() -> Mapping[str, Mapping[str, RiskClass]]:
    """The procedures of each stack, in each of its generations, and their classes."""
    found = {}
    for name, path in built_in().items():
        described = describe(path)
        for form in (described, *described.others):
            generation = f" {form.generation.id}" if form.generation is not None else ""
            procedures = form.build(form.sources()).procedures
            found[name + generation] = {ident: one.risk for ident, one in procedures.items()}
    return found


@pytest.mark.parametrize("form", shipped())
def test_every_procedure_is_run_by_some_test(form: str) -> None:
    run = [names for runs in (IN_CI, IN_SOAK) for names in runs.get(form, {}).values()]
    assert set().union(*run) == shipped()[form].keys()


def test_what_can_bring_trading_back_is_run_in_ci_but_for_these() -> None:
    risky: dict[str, set[str]] = {}
    for form, procedures in shipped().items():
        may = {ident for ident, risk in procedures.items() if risk in (RiskClass.MARKET, RiskClass.RESTORE)}
        risky.setdefault(form.partition(" ")[0], set()).update(may)
    run = {stack: set[str]() for stack in risky}
    for form, files in IN_CI.items():
        run[form.partition(" ")[0]].update(*files.values())
    left = {stack: names - run[stack] for stack, names in risky.items() if names - run[stack]}
    assert left == RESUMES_IN_SOAK


@pytest.mark.parametrize("is_soak", [False, True])
def test_a_file_that_is_said_to_run_a_procedure_names_it(is_soak: bool) -> None:
    runs = IN_SOAK if is_soak else IN_CI
    for files in runs.values():
        for name, procedures in files.items():
            assert procedures - literals(name) == set(), name
            assert ("pytest.mark.soak" in (ROOT / name).read_text()) is is_soak, name


@cache
def literals(name: str) -> set[str]:
    """The texts in that file and in what it takes from other tests."""
    nodes = [*ast.walk(ast.parse((ROOT / name).read_text()))]
    found = {each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    taken = [each.module for each in nodes if isinstance(each, ast.ImportFrom) and each.module]
    helpers = [each.replace(".", "/") + ".py" for each in taken if each.startswith("tests.")]
    return found.union(*(literals(each) for each in helpers if (ROOT / each).is_file()))
