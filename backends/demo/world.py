"""A demo: one simulated stack on real sockets, and the config file that points the room at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from backends.demo.claire_de_binare import faults as claire_de_binare
from backends.demo.control import control_app
from backends.demo.faults import Catalogue, Faults, check
from backends.demo.hummingbot_desk import faults as hummingbot_desk
from backends.demo.port import HttpPort
from backends.demo.surveillance import faults as surveillance
from backends.demo.trading_bot import faults as trading_bot
from backends.demo.trading_platform import faults as trading_platform

CONFIG: Final = "config.toml"


class Simulation(Protocol):
    """One simulated stack."""

    faults: Faults

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each source of the stack file is, by its id."""

    @property
    def credentials(self) -> Mapping[str, Path]:
        """The files with what the sources are asked with, by their id; each its user's alone."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class NoSuchStackError(Exception):
    """The demo does not simulate that stack; the message lists those it does."""


def _trading_platform(folder: Path, seed: int) -> Simulation:
    from backends.demo.trading_platform.platform import Platform  # noqa: PLC0415 # only the stack that is asked for

    return Platform(folder, seed)


def _hummingbot_desk(folder: Path, seed: int) -> Simulation:
    from backends.demo.hummingbot_desk.desk import Desk  # noqa: PLC0415 # only the stack that is asked for

    return Desk(folder, seed)


def _trading_bot(folder: Path, seed: int) -> Simulation:
    from backends.demo.trading_bot.desk import Desk  # noqa: PLC0415 # only the stack that is asked for

    return Desk(folder, seed)


def _claire_de_binare(folder: Path, seed: int) -> Simulation:
    from backends.demo.claire_de_binare.world import World  # noqa: PLC0415 # only the stack that is asked for

    return World(folder, seed)


def _surveillance(folder: Path, seed: int) -> Simulation:
    from backends.demo.surveillance.system import System  # noqa: PLC0415 # only the stack that is asked for

    return System(folder, seed)


@dataclass(frozen=True, slots=True)
class Demo:
    """One stack that can be simulated. Making it loads its servers' libraries; its faults cost nothing."""

    faults: Catalogue
    make: Callable[[Path, int], Simulation]


STACKS: Final[Mapping[str, Demo]] = {
    "claire-de-binare": Demo(claire_de_binare.FAULTS, _claire_de_binare),
    "hummingbot-desk": Demo(hummingbot_desk.FAULTS, _hummingbot_desk),
    "surveillance": Demo(surveillance.FAULTS, _surveillance),
    "trading-bot": Demo(trading_bot.FAULTS, _trading_bot),
    "trading-platform": Demo(trading_platform.FAULTS, _trading_platform),
}


async def serve(
    stack: str,
    faults: Sequence[str],
    seed: int,
    folder: Path,
    ready: Callable[[dict[str, Any]], None],
    stop: Callable[[], Awaitable[object]],
) -> None:
    """Serve the stack with these faults on, from ``folder``, until ``stop()`` returns.

    ``ready`` is called once with ``stack``, ``config`` (the file's path), ``redis``, ``postgres``,
    ``docker`` (None where the stack has none), ``http`` (by source id) and ``control``. Raises
    NoSuchStackError, UnknownFaultError or StartError; whatever was started is ended in every case.
    """
    if stack not in STACKS:
        raise NoSuchStackError(f"no demo of {stack!r}; there is {', '.join(STACKS)}")
    for name in faults:
        check(STACKS[stack].faults, name)
    simulation = STACKS[stack].make(folder, seed)
    control = HttpPort(control_app(simulation.faults))
    try:
        await simulation.start()
        await control.open()
        for name in faults:
            await simulation.faults.switch(name, True)
        config = folder / CONFIG
        write_config(config, stack, control.url, simulation.addresses, simulation.credentials)
        ready(_about(stack, config, control.url, simulation.addresses))
        await stop()
    finally:
        await control.close()
        await asyncio.shield(simulation.close())


def write_config(
    path: Path, stack: str, control: str, addresses: Mapping[str, str], credentials: Mapping[str, Path]
) -> None:
    """The room's config file for this demo, readable by its user alone."""
    lines = [
        "# Written by the demo; gone when it ends.",
        "[room]",
        f"state_dir = {json.dumps(str(path.parent / 'state'))}",
        "",
        f"[stack.{stack}]",
        'environment = "demo"',
        f"demo_control = {json.dumps(control)}",
    ]
    for source in (*addresses, *(credentials.keys() - addresses.keys())):
        url = addresses.get(source)
        lines += ["", f"[stack.{stack}.source.{source}]"]
        if url is not None:
            lines.append(f"url = {json.dumps(url)}")
        if url is not None and url.startswith("postgresql://"):
            lines.append('username = "trader"')
        if source in credentials:
            lines.append(f"password_file = {json.dumps(str(credentials[source]))}")
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")


def _about(stack: str, config: Path, control: str, addresses: Mapping[str, str]) -> dict[str, Any]:
    return {
        "stack": stack,
        "config": str(config),
        "redis": addresses.get("redis"),
        "postgres": addresses.get("postgres", "").replace("://", "://trader@") or None,
        "docker": addresses.get("docker"),
        "http": {source: url for source, url in addresses.items() if url.startswith("http://")},
        "control": control,
    }
