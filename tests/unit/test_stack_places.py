"""A program is told where the server is that the room reads, or is not run."""

from __future__ import annotations

import pytest

from backends.config import load
from backends.model.action import Command
from backends.stacks import schema_do
from backends.stacks.build_procedure import command_of
from backends.stacks.places import one_server, with_servers
from tests.building import redis_source


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://10.0.0.5:6380/0", "10.0.0.5 6380"),
        ("rediss://cache", "cache 6379"),
        ("redis://[::1]:6379/0", "::1 6379"),
    ],
)
def test_a_server_is_told_by_its_host_and_port(url: str, told: str) -> None:
    source = redis_source(url=url)
    assert one_server(source)
    assert with_servers("{redis.host} {redis.port}", {"redis": source}) == told


@pytest.mark.parametrize(
    "url",
    ["unix:///run/redis.sock", "redis+sentinel://one,two:26379/mymaster/0", "redis+cluster://one,two:6379"],
)
def test_a_program_that_takes_one_server_is_not_run_where_there_is_none(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("room") / "config.toml"
    config.write_text(f'[stack.claire-de-binare.source.redis]\nurl = "{url}"\n')
    (stack,) = load(config, env={"HOME": str(config.parent)}).stacks
    program = stack.procedures["replay"].steps[1].action
    assert isinstance(program, Command)
    assert program.stays == f"takes one host and port, but Redis is at {url}"
    assert not one_server(stack.sources["redis"])


def test_an_address_is_told_in_a_variable_as_in_an_argument() -> None:
    url = "redis://10.0.0.5:6380/0"
    what = schema_do.CommandSpec(argv=["tool", "{redis.url}"], given={"PLACE": "at {redis.url}"})
    made = command_of(what, {"redis": redis_source(url=url)})
    assert made.argv == ("tool", url)
    assert made.given == {"PLACE": f"at {url}"}
