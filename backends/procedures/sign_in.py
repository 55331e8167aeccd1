"""How long ago somebody signed in, by the ID token the identity provider handed them.

The token is not verified here, that is for whoever takes it: this only keeps a token that is too old from
spending a try. Nothing of it but the time of the sign-in leaves this module.
"""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Final

from backends.model.condition import Param
from backends.model.procedure import Procedure

AHEAD: Final = 30.0
"""Seconds the provider's clock may be ahead of this host's."""


def objection(param: Param, token: str, wall: float) -> str | None:
    """Why the sign-in does not count at ``wall`` (epoch seconds); None when it does, and for any other value
    than an ID token."""
    if param.max_auth_age is None:
        return None
    age = _age(token, wall)
    if age is None:
        return "it does not say when you signed in: no ID token. Take the ID token of a new sign-in"
    if age < -AHEAD:
        return f"its sign-in is {-age:.0f} s from now: compare the clocks"
    if age > param.max_auth_age:
        return f"its sign-in is {age:.0f} s old, and {param.max_auth_age:g} s count. Sign in anew"
    return None


def ages(procedure: Procedure, params: Mapping[str, str], wall: float) -> dict[str, str]:
    """For the screen: how old the sign-in is of each ID token among what was chosen, in words by its name."""
    found = {}
    for param in procedure.params:
        age = _age(params.get(param.name, ""), wall) if param.max_auth_age is not None else None
        if age is not None:
            found[param.name] = f"of a sign-in {max(0.0, age):.0f} s ago ({param.max_auth_age:g} s count)"
    return found


def _age(token: str, wall: float) -> float | None:
    """Seconds since the sign-in; None when the token does not tell."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        told = claims["auth_time"]
        age = wall - float(told)
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
    return age if type(told) in (int, float) and math.isfinite(age) else None
