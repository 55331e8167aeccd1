"""What a precondition takes, when it takes that there is nothing too."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.condition import Condition
from backends.model.fact import ValueType
from backends.model.reading import Reading
from backends.model.safetext import SafeText
from backends.model.service import Health
from backends.model.weigh import Standing, weigh
from tests.building import START, fact, failed, missing, ok, running

LATCHED = fact("latched", kind=ValueType.BOOL)
EITHER = Condition("latched", LATCHED.id, "It is not halted", equals=("true",), is_missing=True)
NOTHING = Condition("none", LATCHED.id, "It runs", is_missing=True)


@pytest.mark.parametrize(
    ("condition", "reading", "standing"),
    [
        (EITHER, ok(LATCHED.id, True), Standing.HOLDS),
        (EITHER, ok(LATCHED.id, False), Standing.FAILS),
        (EITHER, missing(LATCHED.id), Standing.HOLDS),
        (EITHER, failed(LATCHED.id), Standing.UNKNOWN),
        (NOTHING, missing(LATCHED.id), Standing.HOLDS),
        (NOTHING, ok(LATCHED.id, True), Standing.FAILS),
    ],
    ids=["the word", "another word", "nothing", "not readable", "nothing alone", "something"],
)
def test_a_word_or_nothing_is_what_was_demanded_and_no_other(
    condition: Condition, reading: Reading[Any], standing: Standing
) -> None:
    assert weigh(condition, LATCHED, reading, START).standing is standing


@pytest.mark.parametrize("demand", [{"at_most": 30.0}, {"at_least": 1.0, "at_most": 40.0}, {"is_ok": True}])
def test_nothing_will_do_beside_any_demand_and_a_value_must_still_meet_it(demand: dict[str, Any]) -> None:
    age = fact("age", kind=ValueType.FLOAT, warn_above=30.0)
    condition = Condition("young", age.id, "It is old", is_missing=True, **demand)
    assert weigh(condition, age, ok(age.id, 29.0), START).holds
    assert weigh(condition, age, missing(age.id), START).holds
    assert weigh(condition, age, ok(age.id, 41.0), START).standing is Standing.FAILS
    assert weigh(condition, age, failed(age.id), START).standing is Standing.UNKNOWN


@pytest.mark.parametrize(
    ("health", "text"),
    [(Health.UNHEALTHY, "reads unhealthy: age 1900 s"), (Health.HEALTHY, "reads healthy")],
)
def test_an_unwell_service_is_told_with_what_its_check_printed(health: Health, text: str) -> None:
    read = running("recon", health=health)
    said = replace(read, value=replace(read.value, health_output=SafeText("age 1900 s")))
    demand = Condition("unwell", "service:recon", "It is well", equals=("unhealthy",))
    assert str(weigh(demand, None, said, START).text) == text
