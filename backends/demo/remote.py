"""A running demo's faults, from another process: what the fault menu of the screen uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import httpx


class DemoError(Exception):
    """The demo did not do it; the message says why in plain words."""


class FaultState(Struct, frozen=True):
    name: str
    title: str
    """One line for a menu: what is wrong while it is on."""
    is_on: bool


async def list_faults(client: httpx.AsyncClient, control: str) -> tuple[FaultState, ...]:
    """Every fault of the demo whose control address is ``control``. Raises DemoError."""
    return await _ask(client, "GET", f"{control}/faults", None)


async def switch_fault(
    client: httpx.AsyncClient, control: str, name: str, is_on: bool
) -> tuple[FaultState, ...]:
    """Turn one fault on or off; how all of them stand then. Raises DemoError."""
    return await _ask(client, "POST", f"{control}/faults/{name}", {"on": is_on})


async def _ask(
    client: httpx.AsyncClient, method: str, url: str, body: dict[str, Any] | None
) -> tuple[FaultState, ...]:
    import httpx  # noqa: PLC0415 # the caller has it loaded

    try:
        answer = await client.request(method, url, json=body, timeout=10.0)
        told = answer.json()
    except httpx.HTTPError as error:
        raise DemoError(f"the demo does not answer: {type(error).__name__}") from None
    except ValueError:
        raise DemoError("what answers is not the demo") from None
    if answer.status_code != 200 or not isinstance(told, dict):
        why = told.get("error") if isinstance(told, dict) else None
        raise DemoError(str(why or f"the demo answered {answer.status_code}"))
    return tuple(FaultState(one["name"], one["title"], one["on"]) for one in told["faults"])
