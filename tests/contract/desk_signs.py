"""How the faults of the Hummingbot desk's demo show in the room; those that can are on at the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import httpx

from backends.model.examination import Answer
from backends.model.procedure import Verdict
from backends.model.weigh import word_of
from tests.contract.desk_room import ID, LONGEST, Room
from tests.servers.process import wait_until

Sign = Callable[[Room], Any]

RECOVERS: Final = {"R1": "recover-event-store", "R0": "recover-event-store", "H": "recreate-service"}


def raised(alarm: str) -> Sign:
    return lambda room: alarm in {each.id for each in room.engine.board(ID).alarms}


def reads(fact: str, word: str) -> Sign:
    return lambda room: word_of(room.value(fact)) == word


def killed_as(status: str) -> Sign:
    """What the report says of a kill; it is ordered anew until then."""

    def is_so(room: Room) -> bool:
        with contextlib.suppress(httpx.HTTPError):  # a real kill ends the service
            httpx.post(f"{room.world['http']['kill-switch']}/kill", json={}, timeout=5.0)
        return word_of(room.value("kill.status")) == status

    return is_so


def is_without_bus(room: Room) -> bool:
    room.engine.refresh(ID)
    return room.engine.board(ID).sources["redis"].is_up is False


def is_stale(room: Room) -> bool:
    asked = room.engine.checks(ID).examine([room.engine.stacks[0].checks["recon-fresh"]])
    (result,) = asked.result(LONGEST).values()
    is_known = room.finds("store-stands") == RECOVERS[room.generation]
    return raised("store-stands")(room) and is_known and result.answer is not Answer.YES


def is_lied_to(room: Room) -> bool:
    return room.run("accounting-check").verdict is Verdict.CONTRADICTED


def is_started_again(room: Room, fault: str | None = None) -> bool:
    """The container of bot 1, soon after it was stopped; a fault that does it is switched on first."""
    if fault is not None:
        room.switch(fault, is_on=True)
    name = next(each.match[0] for each in room.engine.stacks[0].services if each.name == "bot1")
    with room.docker() as client:
        before = client.inspect_container(name)["State"]["StartedAt"]
        client.stop(name)
        wait_until(lambda: client.inspect_container(name)["State"]["StartedAt"] != before, 10.0, "its start")
    return True


TOGETHER: Final[tuple[Mapping[str, Sign], ...]] = (
    {
        "bots-deaf": raised("bots-deaf"),
        "hard-stop": raised("bot1-hard-stop"),
        "recon-critical": raised("reconciliation"),
        "portfolio-kill": reads("risk.action", "kill_switch"),
        "kill-dry-run": killed_as("dry_run"),
        "scripts-lie": is_lied_to,
    },
    {"reports-stale": is_stale, "kill-no-keys": killed_as("error"), "halt-not-obeyed": is_started_again},
    {"redis-refuse": is_without_bus, "watchdog-works": is_started_again},
    {"redis-hang": is_without_bus},
)


def show(room: Room, faults: Collection[str]) -> None:
    """Each of them, or AssertionError, and none of them is left on."""
    assert set(faults) <= {name for group in TOGETHER for name in group}
    for group in TOGETHER:
        on = {name: sign for name, sign in group.items() if name in faults}
        for name in on:
            room.switch(name, is_on=True)
        for name, sign in on.items():
            wait_until(lambda sign=sign: sign(room), 25.0, f"{name} to show", every=0.3)  # type: ignore[misc]  # mypy takes the bound name for a parameter without a default
        for name in on:
            room.switch(name, is_on=False)
