"""What the room must not advise, ask or believe for the trading platform: traps of its contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest

from backends.model.action import Command, DockerExec, DockerVerb, RedisTransition
from backends.model.fact import Level
from backends.model.judge import level_of
from backends.model.row import meets
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack

VARIABLES = (".env", "ALPACA_", "WEB_CONSOLE_", "variables", "in compose")


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["trading-platform"])


def only_restarts(stack: Stack, procedure: str | None) -> bool:
    steps = stack.procedures[procedure].steps if procedure else ()
    return bool(steps) and all(
        isinstance(step.action, DockerVerb) and step.action.verb == "restart" for step in steps
    )


def advice(stack: Stack) -> Iterator[tuple[str, str, str | None]]:
    """What to do about each finding, and the procedure it sends to."""
    for check in stack.checks.values():
        yield check.id, check.response, check.procedure
    for diagnosis in stack.diagnoses.values():
        yield diagnosis.id, diagnosis.response, diagnosis.procedure
    for alarm in stack.alarms:
        yield alarm.id, str(alarm.response), None


def test_advice_to_set_a_variable_never_sends_to_a_restart_which_would_not_read_it(stack: Stack) -> None:
    wrong = [
        name
        for name, response, procedure in advice(stack)
        if any(word in response for word in VARIABLES)
        and (only_restarts(stack, procedure) or "restart the" in response or "restart them" in response)
    ]
    assert wrong == []


def test_every_restart_of_a_service_says_that_it_does_not_read_variables(stack: Stack) -> None:
    for name in ("restart", "console-restart"):
        assert any(".env" in text for text in map(str, stack.procedures[name].will_not)), name


@pytest.mark.parametrize("name", ["dry-run", "broker-credentials", "feed-loops"])
def test_a_changed_variable_is_read_by_a_container_that_compose_makes_anew_while_halted(
    stack: Stack, name: str
) -> None:
    procedure = {each: to for each, _, to in advice(stack)}[name]
    assert procedure == "compose-dev"
    assert any(each.fact == "kill.state" for each in stack.procedures[procedure].requires)


def test_whoever_must_stop_the_gateway_is_sent_to_what_stops_it(stack: Stack) -> None:
    """No rung of the halt does: sent there, an operator with a dead Redis halts, and is refused again."""

    def stops_it(name: str) -> bool:
        actions = [step.action for step in stack.procedures[name].steps]
        return any(
            isinstance(action, DockerVerb) and (action.verb, action.service) == ("stop", "execution_gateway")
            for action in actions
        )

    demand = next(each for each in stack.procedures["restart-redis"].requires if each.id == "gateway")
    book = stack.runbook.read_text(encoding="utf-8")
    assert not stops_it("halt")
    assert stops_it("stop-senders")
    assert "stop-senders" in str(demand.because)
    assert "what the halt" not in book


ON_HOST = "uvicorn apps.execution_gateway.main:app --host 0.0.0.0 --port 8002"
"""As start-on-host leaves it: no container of the gateway runs, and it sends orders."""


@pytest.mark.parametrize("name", ["stop-senders", "shutdown"])
def test_a_gateway_that_runs_on_the_host_keeps_a_stop_of_its_container_from_being_proved(
    stack: Stack, name: str
) -> None:
    steps = stack.procedures[name].steps
    proof = next(each for step in steps for each in step.proof if each.fact == "host.services")
    assert proof.at_most == 0
    assert meets({"command": ON_HOST}, proof.where)
    assert meets({"command": ON_HOST.replace("execution_gateway", "orchestrator")}, proof.where)
    assert not meets({"command": "uvicorn apps.left_over:app"}, proof.where)
    assert "systemctl --user stop" in str(proof.otherwise)


@pytest.mark.parametrize("name", ["restore-database", "compose-down", "compose-down-volumes"])
def test_what_wants_the_gateway_stopped_looks_for_one_on_the_host_as_well(stack: Stack, name: str) -> None:
    demand = next(each for each in stack.procedures[name].requires if each.fact == "host.services")
    assert demand.at_most == 0
    assert meets({"command": ON_HOST}, demand.where)


def test_the_database_is_restarted_only_while_trading_is_halted(stack: Stack) -> None:
    """TS-10d: a gateway that trades would lose what keeps its orders in step with the broker."""
    every = stack.procedures.items()
    offered = [name for name, each in every for param in each.params if "postgres" in param.one_of]
    assert offered == ["restart-storage"]
    assert "kill.state" in {each.fact for each in stack.procedures["restart-storage"].requires}


def test_compose_by_hand_is_the_command_that_the_procedure_runs(stack: Stack) -> None:
    """One word less, --no-deps above all, and compose makes the stores anew as well."""
    wrong = {
        name: str(each.fallback)
        for name, each in stack.procedures.items()
        for step in each.steps
        if isinstance(step.action, Command) and step.action.argv[:2] == ("docker", "compose")
        if "docker compose" in str(each.fallback) and " ".join(step.action.argv) not in str(each.fallback)
    }
    assert wrong == {}


def test_a_dump_or_copy_made_by_hand_is_its_owners_alone_and_in_the_checkout(stack: Stack) -> None:
    for name in ("backup-database", "copy-redis", "backup-config"):
        assert str(stack.procedures[name].fallback).startswith("By hand, in the checkout: umask 077; "), name


def test_a_restore_goes_on_where_no_container_of_the_gateway_was_made_yet(stack: Stack) -> None:
    """A new host has its database first; what is not there does not run."""
    found = {each.fact: each for each in stack.procedures["restore-database"].requires}
    for service in ("execution_gateway", "orchestrator"):
        assert found[f"service:{service}"].is_missing
        assert set(found[f"service:{service}"].equals) == {"exited", "dead", "created"}


def test_volumes_of_another_name_are_not_called_deleted(stack: Stack) -> None:
    """Compose names them after the checkout's folder; what never was there would read gone."""
    procedure = stack.procedures["compose-down-volumes"]
    demand = next(each for each in procedure.requires if each.fact == "engine.volumes")
    assert demand.at_least == 1
    (step,) = (step for step in procedure.steps if isinstance(step.action, Command))
    assert demand.where in [dict(proof.where) for proof in step.proof]


@pytest.mark.parametrize("fact", ["kill.state", "breaker.state"])
@pytest.mark.parametrize("word", ["active", "open", "Open", "OPEN ", "tripped", "CLOSED", "DISENGAGED", "1"])
def test_a_word_of_another_case_or_of_the_other_switch_allows_nothing(
    stack: Stack, fact: str, word: str
) -> None:
    """T19 and 9.2: readers crash on it; the console calls ACTIVE disengaged, and counts OPEN as tripped."""
    assert level_of(stack.facts[fact], SafeText(word)) is Level.CRIT
    (gate,) = (each for each in stack.gates if each.fact == fact)
    assert word not in gate.trading | gate.halted
    other = "OPEN" if fact == "kill.state" else "ACTIVE"
    assert other not in gate.trading


@pytest.mark.parametrize("count", ["kill.count", "breaker.count"])
def test_what_is_called_a_count_of_today_is_for_ever_and_alarms_nobody(stack: Stack, count: str) -> None:
    """T15."""
    assert level_of(stack.facts[count], 10_000) is Level.INFO
    assert count not in {alarm.fact for alarm in stack.alarms}


def asked(stack: Stack) -> list[str]:
    """What each fact asks, of whom, and for which member."""
    said = []
    for fact in stack.facts.values():
        path, query = (str(getattr(fact.query, name, "")) for name in ("path", "query"))
        said.append(f"{stack.sources[fact.source].kind.value} {unquote(path)} {query} {fact.pick or ''}")
    return said


@pytest.mark.parametrize(
    "never",
    [
        r"execution_gateway_(orders_total|pnl_dollars|positions_current|circuit_breaker_status)",
        r"order_placement_duration|fat_finger_|cb_staleness|cb_trip_total|alert_queue_depth",
        r"_(database|redis|alpaca)_connection_status",  # of the last /health, or set once for ever
        r"circuit_breaker_enabled",  # decoration
        r"today_pnl|positions_count",  # always 0; symbols with open orders
        r"^loki .*[{,]\s*(job|container_name|level|trace_id)\b",  # labels that no line has
        r"^http /api/v1/circuit-breaker/",  # no service may ask
    ],
)
def test_nothing_rests_on_what_upstream_never_tells_truly(stack: Stack, never: str) -> None:
    """5.5, 6.2 and 6.4, D20, D33."""
    assert [each for each in asked(stack) if re.search(never, each)] == []


def test_no_service_is_asked_that_the_platform_does_not_have(stack: Stack) -> None:
    """2.3: a reconciler and a risk manager, and 6.1: a sidecar of the console."""
    assert not {8006, 8007, 8503} & {urlsplit(source.url).port for source in stack.sources.values()}


def test_the_breaker_is_reset_by_a_transition_that_only_a_tripped_one_passes(stack: Stack) -> None:
    """D6: the runbook's SET overwrites a trip of the same second, and drops the count and the reason."""
    (step,) = stack.procedures["breaker-reset"].steps
    action = step.action
    assert isinstance(action, RedisTransition)
    assert (action.allowed_from, action.unchanged) == (("TRIPPED",), {"tripped_at": "$tripped"})
    assert action.create is None
    assert "trip_count_today" not in {*action.set, *action.increment}


def test_an_empty_portfolio_of_the_gateway_s_is_no_proof_that_nothing_is_held(stack: Stack) -> None:
    """T22: a database that failed is an empty 200 there."""
    for name in ("flatten-all", "flatten-symbol", "flatten-mfa"):
        proofs = [proof.fact for step in stack.procedures[name].steps for proof in step.proof]
        assert {stack.facts[fact].source for fact in proofs} == {"postgres"}, name
    sources = {stack.facts[each.fact].source for each in stack.checks["no-positions"].demands}
    assert not {"gateway", "gateway-account"} & sources


def test_what_psql_is_given_ends_at_its_first_error(stack: Stack) -> None:
    """D37: otherwise it prints ERROR, goes on, and ends with 0."""
    steps = [step for each in stack.procedures.values() for step in each.steps]
    given = [step.action.argv for step in steps if isinstance(step.action, DockerExec)]
    asked_for = [argv for argv in given if argv[0] == "psql"]
    assert asked_for
    assert all("--set=ON_ERROR_STOP=1" in argv for argv in asked_for)


def test_no_key_of_redis_is_deleted_by_a_pattern(stack: Stack) -> None:
    """T11, T25: the asterisk of a quarantine is a letter of its name, and KEYS stops Redis."""
    said = " ".join(" ".join(map(str, getattr(step.action, "argv", ()))) for each in
                    stack.procedures.values() for step in each.steps)  # fmt: skip
    assert not re.search(r"redis-cli|KEYS|FLUSH", said)
    told = " ".join(text for _, text, _ in advice(stack))
    assert "KEYS" not in told and "delete the exact key" in told
