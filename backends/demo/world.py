"""A demo: one simulated stack on real sockets, and the config file that points the room at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec import Struct, field

from backends.demo.claire_de_binare import faults as claire_de_binare
from backends.demo.control import control_app
from backends.demo.faults import Catalogue, Faults, check
from backends.demo.hummingbot_desk import faults as hummingbot_desk
from backends.demo.port import HttpPort
from backends.demo.process import StartError
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
    """The demo does not simulate that stack, or not in that variant; the message lists those it does."""


def _trading_platform(folder: Path, seed: int) -> Simulation:
    from backends.demo.trading_platform.platform import Platform  # noqa: PLC0415 # only the stack that is asked for

    return Platform(folder, seed)


def _hummingbot_desk(variant: str, folder: Path, seed: int) -> Simulation:
    from backends.demo.hummingbot_desk.desk import Desk  # noqa: PLC0415 # only the stack that is asked for
    from backends.demo.hummingbot_desk.generations import GENERATIONS  # noqa: PLC0415 # as above

    return Desk(folder, seed, GENERATIONS[variant])


def _trading_bot(folder: Path, seed: int) -> Simulation:
    from backends.demo.trading_bot.desk import Desk  # noqa: PLC0415 # only the stack that is asked for

    return Desk(folder, seed)


def _claire_de_binare(folder: Path, seed: int) -> Simulation:
    from backends.demo.claire_de_binare.world import World  # noqa: PLC0415 # only the stack that is asked for

    return World(folder, seed)


def _surveillance(folder: Path, seed: int) -> Simulation:
    from backends.demo.surveillance.system import System  # noqa: PLC0415 # only the stack that is asked for

    return System(folder, seed)


class Demo(Struct, frozen=True):
    """One stack that can be simulated. Making it loads its servers' libraries; its faults cost nothing."""

    faults: Catalogue
    make: Callable[[Path, int], Simulation]
    variants: Mapping[str, Demo] = field(default_factory=dict)
    """Of a stack with several generations each, by its name in the stack file; the first is this one."""


def _in_variants(faults: Mapping[str, Catalogue], make: Callable[[str, Path, int], Simulation]) -> Demo:
    variants = {name: Demo(faults[name], partial(make, name)) for name in faults}
    first = next(iter(variants.values()))
    return Demo(first.faults, first.make, variants)


STACKS: Final[Mapping[str, Demo]] = {
    "claire-de-binare": Demo(claire_de_binare.FAULTS, _claire_de_binare),
    "hummingbot-desk": _in_variants(hummingbot_desk.FAULTS, _hummingbot_desk),
    "surveillance": Demo(surveillance.FAULTS, _surveillance),
    "trading-bot": Demo(trading_bot.FAULTS, _trading_bot),
    "trading-platform": Demo(trading_platform.FAULTS, _trading_platform),
}


def demo_of(stack: str, variant: str | None = None) -> Demo:
    """The stack's demo, in that variant. Raises NoSuchStackError."""
    if stack not in STACKS:
        raise NoSuchStackError(f"no demo of {stack!r}; there is {', '.join(STACKS)}")
    demo = STACKS[stack]
    if variant is None:
        return demo
    if variant not in demo.variants:
        there = ", ".join(demo.variants) or "none"
        raise NoSuchStackError(f"no demo of {stack} in variant {variant!r}; there is {there}")
    return demo.variants[variant]


async def switch_on(faults: Faults, name: str) -> None:
    """Turn one on from the start. Raises StartError where it needs what another has taken away."""
    try:
        await faults.switch(name, True)
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise StartError(f"the fault {name!r} cannot be switched on beside the others: {why}") from error


async def serve(
    stack: str,
    variant: str | None,
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
    demo = demo_of(stack, variant)
    for name in faults:
        check(demo.faults, name)
    simulation = demo.make(folder, seed)
    control = HttpPort(control_app(simulation.faults))
    try:
        await simulation.start()
        await control.open()
        for name in faults:
            await switch_on(simulation.faults, name)
        config = folder / CONFIG
        settings = [] if variant is None else [f"variant = {json.dumps(variant)}"]
        write_config(
            config, stack, control.url, simulation.addresses, simulation.credentials, settings=settings
        )
        ready(_about(stack, config, control.url, simulation.addresses))
        await stop()
    finally:
        await control.close()
        await asyncio.shield(simulation.close())


def write_config(
    path: Path,
    stack: str,
    control: str,
    addresses: Mapping[str, str],
    credentials: Mapping[str, Path],
    settings: Sequence[str] = (),
) -> None:
    """The room's config file for this demo, readable by its user alone, with more ``settings``."""
    lines = [
        "# Written by the demo; gone when it ends.",
        "[room]",
        f"state_dir = {json.dumps(str(path.parent / 'state'))}",
        "",
        f"[stack.{stack}]",
        'environment = "demo"',
        f"demo_control = {json.dumps(control)}",
        *settings,
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
