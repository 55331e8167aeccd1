"""A demo that cannot be given its faults says which and why, and shows no stack trace."""

from __future__ import annotations

import asyncio

import pytest

from backends.demo.faults import Fault, Faults
from backends.demo.process import StartError
from backends.demo.world import switch_on

CATALOGUE = {"drawdown": Fault("Losing trades")}


def test_a_fault_that_needs_what_another_took_away_is_refused_in_a_sentence() -> None:
    async def switch(is_on: bool) -> None:
        raise RuntimeError("server closed the connection\n\tunexpectedly")

    faults = Faults(CATALOGUE, {"drawdown": switch})
    with pytest.raises(StartError) as told:
        asyncio.run(switch_on(faults, "drawdown"))
    assert str(told.value) == (
        "the fault 'drawdown' cannot be switched on beside the others: "
        "server closed the connection unexpectedly"
    )
