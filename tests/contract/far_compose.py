"""A compose command of a stack file, run on an engine that its config says how to reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.config import load
from backends.model.action import Command
from backends.model.procedure import Receipt, Step
from backends.writers.command import CommandEffector
from tests.servers.compose import Project, service
from tests.servers.docker import DockerEngine

NAME = "far-away"
"""The folder, which gives the project its name."""


@contextmanager
def project(folder: Path, engine: DockerEngine) -> Iterator[Project]:
    """The project of the surveillance, with its Redis alone; nothing of it is on the engine in the end."""
    (folder / NAME).mkdir()
    (folder / NAME / "docker-compose.yml").write_text(json.dumps({"services": {"redis": service()}}))
    it = Project(NAME, folder / NAME, engine)
    try:
        yield it
    finally:
        it.clear()


async def start_redis(it: Project, docker: str) -> Receipt:
    """What the stack's own command answers that starts Redis; ``docker`` are the lines of its source."""
    config = it.folder.parent / "config.toml"
    source = "stack.surveillance.source"
    config.write_text(
        f'[{source}.docker]\n{docker}\n[{source}.project]\nurl = "file://{it.folder}"\n'
        f'[{source}.backups]\nurl = "file://{it.folder}"\n'
    )
    (stack,) = load(config, env={"HOME": str(it.folder.parent)}).stacks
    command = next(
        step.action
        for procedure in stack.procedures.values()
        for step in procedure.steps
        if isinstance(step.action, Command) and step.action.argv[1:] == ("compose", "up", "--detach", "redis")
    )
    step = Step("up", "Start Redis", command, (), deadline=command.timeout)
    return await CommandEffector([command], str).act(command, {}, step)
