"""Every ``docker compose`` that a stack file has a room run, by the real one on a real engine.

The compose files here have the names that the commands use, and idle containers; what a procedure proves
after its command is shown where a whole stack is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.config import load
from backends.model.action import Command
from backends.model.procedure import ReceiptKind, Step
from backends.model.stack import Stack
from backends.writers.command import CommandEffector
from tests.conftest import started
from tests.servers.compose import Project, need_compose, service
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

pytestmark = DOCKER

FOLDERS = {"claire-de-binare": "repo", "hummingbot-desk": "files", "surveillance": "project"}
"""Per stack the source that is the folder its commands run in. Those of the platform and of the desk's R1 are
run as whole procedures."""

PROJECT = "composed"
"""The folder, which gives a project its name where the command does not."""
FORMS = ("claire-de-binare", "surveillance", "hummingbot-desk R0", "hummingbot-desk H")
"""A stack, and which of its generations where that is not the one that its file describes."""

OWN_NAMES = {"hummingbot-desk R0": "hbot", "hummingbot-desk H": "kzay-capital"}
VALUES = {"project": PROJECT, "service": "exchange-snapshot-service"}
ONCE = ["sh", "-c", 'test "$$0" = python || exec "$$0" "$$@"']
"""Ends at once where a program of the service's own would run, which its image here lacks."""


@pytest.fixture
def engine(docker_engine: DockerEngine) -> DockerEngine:
    started("docker compose", need_compose)
    return docker_engine


@pytest.fixture(params=FORMS)
def project(request: pytest.FixtureRequest, engine: DockerEngine, tmp_path: Path) -> Iterator[Project]:
    """The project of one stack, with nothing of it on the engine yet."""
    folder = tmp_path / PROJECT
    folder.mkdir()
    it = Project(OWN_NAMES.get(request.param, PROJECT), folder, engine)
    yield it
    it.clear()


async def test_compose_does_what_each_command_says(
    project: Project, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    form = request.node.callspec.params["project"]
    name = form.partition(" ")[0]
    stack = _stack(form, project, tmp_path / "config.toml")
    plain = [] if form == name else _commands(_stack(name, project, tmp_path / "plain.toml"))
    commands = [each for each in _commands(stack) if each not in plain]  # the others are tried once
    assert commands
    profiles = _write(name, project.folder, commands)
    effector = CommandEffector(commands, str)
    for command in commands:
        if _parts(command)[1:] == ("up", []):
            project.clear()  # as after a down: other files may say another network
        step = Step("s", "s", command, (), deadline=command.timeout)
        receipt = await effector.act(command, VALUES, step)
        assert receipt.kind is ReceiptKind.DONE, f"{command.argv}: {receipt.text} {receipt.after}"
        _is_so(command, project, profiles)


def _stack(form: str, project: Project, config: Path) -> Stack:
    """As the room has it, with the test's engine and folder."""
    name, _, variant = form.partition(" ")
    chosen = f'variant = "{variant}"' if variant else ""
    source = f"stack.{name}.source"
    config.write_text(
        f"[stack.{name}]\n{chosen}\n"
        f'[{source}.docker]\nurl = "{project.engine.url}"\n'
        f'[{source}.{FOLDERS[name]}]\nurl = "file://{project.folder}"\n'
    )
    if name == "surveillance":
        (config.parent / "backups").mkdir()
        with config.open("a") as more:
            more.write(f'[{source}.backups]\nurl = "file://{config.parent}/backups"\n')
    (stack,) = load(config, env={"HOME": str(config.parent)}).stacks
    return stack


def _commands(stack: Stack) -> list[Command]:
    """Each of them once: what makes before what unmakes, a single service after the whole."""
    found = {
        (step.action.argv, step.action.output): step.action
        for procedure in stack.procedures.values()
        for step in procedure.steps
        if isinstance(step.action, Command) and "compose" in step.action.argv
    }
    order = ("config", "build", "up", "run", "stop", "down")
    return sorted(found.values(), key=lambda each: (order.index(_parts(each)[1]), len(_parts(each)[2])))


def _parts(command: Command) -> tuple[list[str], str, list[str]]:
    """Profiles, verb, and the services named after it."""
    words = list(command.argv[command.argv.index("compose") + 1 :])
    at = next(i for i, word in enumerate(words) if word in ("config", "build", "up", "run", "stop", "down"))
    profiles = [words[i + 1] for i in range(at) if words[i] == "--profile"]
    named = [VALUES.get(word.lstrip("$"), word) for word in words[at + 1 :] if not word.startswith("-")]
    return profiles, words[at], named[:1] if words[at] == "run" else named


def _write(name: str, folder: Path, commands: list[Command]) -> dict[str, str | None]:
    """Its compose files, with every service that is named; the profile of each."""
    profiles: dict[str, list[str]] = {"always": [], "redis": []}
    for command in commands:
        wanted, _, named = _parts(command)
        for each in named:
            if each not in profiles or len(wanted) < len(profiles[each]):
                profiles[each] = wanted
    last = {each: (wanted[-1] if wanted else None) for each, wanted in profiles.items()}
    services: dict[str, Any] = {each: service(profile=profile) for each, profile in last.items()}
    if "ops-db-writer" in services:
        services["ops-db-writer"]["entrypoint"] = ONCE
    files: dict[str, Any] = {"docker-compose.yml": {"services": services}}
    if name == "claire-de-binare":
        base = {each: service(networks=True) for each in services}
        files = {f"infrastructure/compose/{each}.yml": {"services": {}} for each in ("dev", "logging")}
        files["infrastructure/compose/base.yml"] = {"services": base}
        files["infrastructure/compose/network-prod.yml"] = {"networks": {"default": {"internal": True}}}
    if name == "hummingbot-desk":
        words = commands[0].argv
        compose, env = (words[words.index(each) + 1] for each in ("-f", "--env-file"))
        files = {compose: files["docker-compose.yml"]}
        Path(env).parent.mkdir(parents=True, exist_ok=True)
        Path(env).write_text("")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    return last


def _is_so(command: Command, project: Project, profiles: dict[str, str | None]) -> None:
    """What the engine has afterwards is what the command asked for."""
    wanted, verb, named = _parts(command)
    whole = {each for each, profile in profiles.items() if profile is None or profile in wanted}
    if verb == "up":
        assert {*(named or whole)} <= project.running(), command.argv
    if verb == "stop":
        assert not {*(named or whole)} & project.running(), command.argv
    if verb == "down":
        assert not whole & project.containers().keys(), command.argv
