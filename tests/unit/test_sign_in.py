"""An ID token counts for less than a minute, and the one try it has is not spent on an old one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from backends.model.condition import Param
from backends.procedures.sign_in import ages, objection
from backends.stacks.loader import built_in, load_stack
from tests.id_token import id_token

NOW = 1_790_000_000.0
FLATTEN = load_stack(built_in()["trading-platform"]).procedures["flatten-mfa"]
(TOKEN,) = FLATTEN.params


def signed_in(seconds_ago: float) -> str:
    return id_token({"sub": "kim", "auth_time": int(NOW - seconds_ago), "amr": ["mfa"]})


@pytest.mark.parametrize("age", [0, 12, 55])
def test_a_sign_in_of_the_last_minute_counts(age: int) -> None:
    assert objection(TOKEN, signed_in(age), NOW) is None


def test_an_older_one_does_not_and_its_age_is_said() -> None:
    assert objection(TOKEN, signed_in(56), NOW) == "its sign-in is 56 s old, and 55 s count. Sign in anew"


def test_it_is_refused_before_the_gateway_would() -> None:
    """The gateway takes one of 60 s; a refusal there spends the one try in 300 s."""
    assert TOKEN.max_auth_age is not None and TOKEN.max_auth_age < 60


@pytest.mark.parametrize(("ahead", "is_taken"), [(29, True), (31, False)])
def test_the_providers_clock_may_be_a_little_ahead(ahead: int, is_taken: bool) -> None:
    assert (objection(TOKEN, signed_in(-ahead), NOW) is None) is is_taken


@pytest.mark.parametrize(
    "claims",
    [{}, [], "text", 7, None, {"auth_time": None}, {"auth_time": "1790000000"}, {"auth_time": True},
     {"auth_time": float("nan")}, {"auth_time": float("inf")}, {"auth_time": 10**400}],
)  # fmt: skip
def test_what_does_not_say_when_somebody_signed_in_is_refused(claims: Any) -> None:
    assert "does not say when you signed in" in (objection(TOKEN, id_token(claims), NOW) or "")


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "aaaa.bbbb.cccc", "..", f"a.{'W1tb' * 1000}.c"])
def test_what_is_no_token_is_refused_and_does_not_stand_in_the_refusal(token: str) -> None:
    why = objection(TOKEN, token, NOW) or ""
    assert "no ID token" in why
    assert len(token) < 3 or token not in why


def test_how_old_the_sign_in_is_is_told_without_the_token() -> None:
    token = signed_in(12)
    assert ages(FLATTEN, {"id_token": token}, NOW) == {"id_token": "of a sign-in 12 s ago (55 s count)"}
    assert ages(FLATTEN, {"id_token": "a.b.c"}, NOW) == {}
    assert ages(replace(FLATTEN, params=(Param("word", "Word"),)), {"word": token}, NOW) == {}
    assert objection(Param("word", "Word"), "anything", NOW) is None
