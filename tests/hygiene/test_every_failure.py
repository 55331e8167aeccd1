"""Every known failure and every checklist of every stack is named by some test of that stack."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from backends.stacks.loader import built_in, describe
from tests.contract import test_claire_failures, test_surveillance_failures
from tests.hygiene.test_every_procedure import literals

TESTS = Path(__file__).parents[1]
FILES: Mapping[str, tuple[str, ...]] = {
    "claire-de-binare": ("claire",),
    "hummingbot-desk": ("hummingbot", "desk", "demo_generations"),
    "surveillance": ("surveillance",),
    "trading-bot": ("trading_bot",),
    "trading-platform": ("platform", "test_app_", "test_doctor"),
}
"""Parts of the names of each stack's own files of tests."""
COMPOSED: Mapping[str, set[str]] = {
    "claire-de-binare": {
        *test_claire_failures.LOOPS,
        *test_claire_failures.UNHEALTHY,
        *("port-taken" if name == "redis" else f"port-taken-{name}" for name in test_claire_failures.PORTS),
    },
    "surveillance": {*test_surveillance_failures.LOOPS},
}
"""Names that their tests make of others."""


@cache
def described(stack: str) -> tuple[frozenset[str], frozenset[str]]:
    """The diagnoses and the checklists of the stack, of all its generations together."""
    first = describe(built_in()[stack])
    forms = [each.build(each.sources()) for each in (first, *first.others)]
    return (
        frozenset(name for form in forms for name in form.diagnoses),
        frozenset(name for form in forms for name in form.checklists),
    )


@cache
def named(stack: str) -> frozenset[str]:
    """Every text in the stack's own files of tests."""
    found = set(COMPOSED.get(stack, ()))
    for path in TESTS.rglob("test_*.py"):
        if any(part in path.name for part in FILES[stack]) and path.parent.name != "hygiene":
            found |= literals(str(path.relative_to(TESTS.parent)))
    return frozenset(found)


OF_ALL: Mapping[str, tuple[str, ...]] = {"hummingbot-desk": ("loops-", "unhealthy-", "port-")}
"""Written once for all services: samples are brought about, and that none is left out is tested there."""


UNTESTED: Mapping[str, set[str]] = {
    "claire-de-binare": set(),
    "hummingbot-desk": set(),
    "surveillance": set(),
    "trading-bot": set(),
    "trading-platform": set(),
}
"""Known failures that no test names. This list only ever shrinks."""


def test_every_stack_is_looked_at() -> None:
    assert {*built_in()} == {*FILES} == {*UNTESTED}


@pytest.mark.parametrize("stack", FILES)
def test_every_known_failure_is_named_by_a_test_but_for_these(stack: str) -> None:
    diagnoses, _ = described(stack)
    single = frozenset(name for name in diagnoses if not name.startswith(OF_ALL.get(stack, ())))
    only_these(single - named(stack), UNTESTED[stack])


@pytest.mark.parametrize("stack", FILES)
def test_every_checklist_is_named_by_a_test(stack: str) -> None:
    _, checklists = described(stack)
    assert checklists - named(stack) == set()


@pytest.mark.parametrize("stack", FILES)
def test_what_the_command_line_asks_for_by_name_is_one_thing(stack: str) -> None:
    """``controlroom check NAME`` takes a checklist before a check and a check before a diagnosis."""
    one = describe(built_in()[stack])
    form = one.build(one.sources())
    names = [*form.checklists, *form.checks, *form.diagnoses]
    assert {name for name in names if names.count(name) > 1} == set()


def only_these(unnamed: frozenset[str], listed: set[str]) -> None:
    assert unnamed - listed == set(), "these need a test: the list of those without one only ever shrinks"
    assert listed - unnamed == set(), "these have a test now, or are gone: take them off the list"
