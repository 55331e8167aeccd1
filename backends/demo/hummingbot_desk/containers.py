"""The desk's containers, as its compose file makes them: names, checks, variables, loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import Check, ContainerSpec, Execute, Idle, Load, Mount, Workload, no_program
from backends.demo.hummingbot_desk.generation import Generation, Part

_MB: Final = 1024 * 1024
_FILE_CHECK: Final = Check(("CMD", "python", "-c", "report age"), interval=10.0)


def container_specs(
    generation: Generation,
    workloads: Mapping[str, Workload],
    logs: Mapping[str, LogStore],
    programs: Mapping[str, Execute],
) -> list[ContainerSpec]:
    """One for every service; those without a workload idle. ``programs`` are run inside them."""
    mounts = tuple(
        Mount(folder, source="/opt/hbot/controllers", is_writable=False) for folder in generation.code_folders
    )
    bots = {
        bot: Part(generation.bot_image, 9.0, 380, trader.is_headless, environment=trader.environment)
        for bot, trader in generation.bots.items()
    }
    return [
        ContainerSpec(
            service=service,
            name=f"{generation.prefix}{part.container or service}",
            image=part.image,
            command=f"{service} --run",
            load=Load(part.cpu, part.megabytes * _MB),
            workload=workloads.get(service, Idle()),
            check=_FILE_CHECK if part.is_checked else None,
            restart="unless-stopped",
            ports=((*part.port, part.port[1]),) if part.port else (),
            project=generation.project,
            environment=part.environment,
            mounts=mounts if service in generation.bots else (),
            execute=programs.get(service, no_program),
            log=logs[service],
        )
        for service, part in {**bots, **generation.parts}.items()
    ]
