"""What the room must not advise for the trading platform: what is done by it would change nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.action import Command, DockerVerb
from backends.model.row import meets
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
