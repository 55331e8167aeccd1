"""A secret cannot be shown by accident, and its mask tells neither its length nor, when short, any of it."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model.secret import Secret

CANARY = "cana-ry-4711-0815-xyzw"

SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda secret: f"{secret} {secret:>30} {secret!r}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  one of the ways to show it
    "in a list": lambda secret: str([secret, {"password": secret}]),
    "in an error": lambda secret: str(ValueError(secret)),
}
REFUSED: dict[str, Callable[[Secret], object]] = {
    "json": json.dumps,
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "vars": vars,
}


@pytest.mark.parametrize("how", SHOWN)
def test_every_way_to_show_it_shows_the_mask(how: str) -> None:
    text = SHOWN[how](Secret(CANARY))
    assert "****xyzw" in text
    assert CANARY[:-4] not in text


@pytest.mark.parametrize("how", REFUSED)
def test_every_way_to_take_it_along_is_refused(how: str) -> None:
    with pytest.raises(TypeError):
        REFUSED[how](Secret(CANARY))


@given(st.text(max_size=500))
def test_the_mask_has_four_stars_and_the_last_four_of_a_long_one_only(value: str) -> None:
    mask = Secret(value).mask()
    assert mask == ("****" + value[-4:] if len(value) >= 16 else "****")
