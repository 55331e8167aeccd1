"""Which engine the docker command is told to act on: the one that the room reads."""

from __future__ import annotations

import pytest

from backends.model.action import Command, aim
from backends.model.stack import Source, SourceKind
from backends.stacks.docker_env import docker_env, is_here


def source(url: str, username: str | None = None, cert_path: str | None = None) -> Source:
    options = {} if cert_path is None else {"cert_path": cert_path}
    return Source(
        "docker",
        SourceKind.DOCKER,
        "Docker",
        url,
        every=1.0,
        deadline=1.0,
        username=username,
        options=options,
    )


@pytest.mark.parametrize(
    ("where", "env"),
    [
        (source(""), {"DOCKER_HOST": "unix:///var/run/docker.sock"}),
        (source("unix:///run/x.sock"), {"DOCKER_HOST": "unix:///run/x.sock"}),
        (source("context://desk"), {"DOCKER_CONTEXT": "desk"}),
        (source("ssh://trading-1"), {"DOCKER_HOST": "ssh://trading-1"}),
        (source("ssh://trading-1:2222/run/x.sock", "ops"), {"DOCKER_HOST": "ssh://ops@trading-1:2222/run/x.sock"}),
        (source("ssh://trading-1", "d@desk"), {"DOCKER_HOST": "ssh://d%40desk@trading-1"}),
        (source("tcp://10.0.0.1:2375"), {"DOCKER_HOST": "tcp://10.0.0.1:2375"}),
        (source("http://10.0.0.1:2375/"), {"DOCKER_HOST": "tcp://10.0.0.1:2375"}),
        (
            source("tcp://10.0.0.1:2376", cert_path="/etc/desk"),
            {"DOCKER_HOST": "tcp://10.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/etc/desk"},
        ),
        (source("https://10.0.0.1:2376"), {"DOCKER_HOST": "tcp://10.0.0.1:2376", "DOCKER_TLS_VERIFY": "1"}),
    ],
    ids=lambda value: value.url if isinstance(value, Source) else "",
)  # fmt: skip
def test_an_address_is_said_in_the_variables_of_the_docker_command(
    where: Source, env: dict[str, str]
) -> None:
    assert docker_env(where) == env


def test_only_a_socket_is_certainly_of_this_machine() -> None:
    assert is_here(source("")) and is_here(source("unix:///run/x.sock"))
    assert not any(map(is_here, map(source, ("ssh://trading-1", "tcp://127.0.0.1:2375", "context://desk"))))


def test_the_engine_that_a_command_acts_on_is_shown_before_it() -> None:
    command = Command("", ("docker", "compose", "down"), engine=docker_env(source("ssh://far", "ops")))
    assert aim(command) == "DOCKER_HOST=ssh://ops@far docker compose down"
