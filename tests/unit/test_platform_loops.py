"""A service of the trading platform that is started again and again, or is unhealthy, is known with its own
words."""

from __future__ import annotations

import pytest

from backends.model.query import DockerQuery
from backends.model.service import Health, RunState
from backends.model.stack import Stack
from backends.stacks.loader import built_in, load_stack
from tests.building import is_found, missing, ok, running

LOOPS = {
    "gateway-loops": "execution_gateway",
    "signal-loops": "signal_service",
    "orchestrator-loops": "orchestrator",
    "feed-loops": "market_data_service",
    "registry-loops": "model_registry",
}
UNHEALTHY = {
    "gateway-unhealthy": "execution_gateway",
    "signal-unhealthy": "signal_service",
    "orchestrator-unhealthy": "orchestrator",
    "feed-unhealthy": "market_data_service",
    "registry-unhealthy": "model_registry",
}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack(built_in()["trading-platform"])


@pytest.mark.parametrize("name", [*LOOPS, *UNHEALTHY])
def test_it_is_known_whether_its_words_are_there_or_not_and_they_are_its_own(stack: Stack, name: str) -> None:
    service = (LOOPS | UNHEALTHY)[name]
    ill = (
        running(service, RunState.RESTARTING)
        if name in LOOPS
        else running(service, RunState.RUNNING, Health.UNHEALTHY)
    )
    well = running(service, RunState.RUNNING, Health.HEALTHY)
    diagnosis = stack.diagnoses[name]
    (words,) = (demand.fact for demand in diagnosis.demands if not demand.fact.startswith("service:"))
    assert is_found(stack, name, ill, ok(words, "KeyError: 'DATABASE_URL'"))
    assert is_found(stack, name, ill, missing(words))
    assert not is_found(stack, name, well, ok(words, "KeyError: 'DATABASE_URL'"))
    query = stack.facts[words].query
    assert isinstance(query, DockerQuery)
    assert query.service == service == diagnosis.service
