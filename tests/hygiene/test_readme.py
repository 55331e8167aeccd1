"""The README says what the program does: its keys, commands and make targets are the real ones."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
import typer

from backends.config import load, search_paths
from backends.model.secret import Secret
from backends.model.stack import Environment
from tui.actions import ACTIONS, key_table_markdown, key_text
from tui.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_key_table_is_the_programs_own() -> None:
    found = re.search(r"<!-- keys:[^\n]*-->\n(?P<table>.*?)<!-- /keys -->", README, re.DOTALL)
    assert found is not None
    assert found["table"] == key_table_markdown()


def test_every_command_is_named_and_every_named_command_exists() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined] # a group has commands
    table = README[README.index("| Command |") : README.index("`--config FILE` and")]
    named = {word for word in re.findall(r"`(?:controlroom )?([a-z]+)", table) if word != "controlroom"}
    assert named == commands


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)\b", README))
    assert named
    assert named <= targets


def test_it_opens_with_the_two_commands() -> None:
    head = README.split("```")[1]
    assert head.split("\n")[1].startswith("make demo")
    assert head.split("\n")[2].startswith("make test")


def test_its_configuration_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, with the secret file it names in a place of the test's."""
    found = re.search(r"```toml\n(?P<text>.*?)```", README, re.DOTALL)
    assert found is not None
    monkeypatch.setattr("backends.config.SYSTEM_FILE", tmp_path / "none.toml")
    secret, config = tmp_path / "redis", tmp_path / "config.toml"
    secret.touch(0o600)
    secret.write_text("hunter2-hunter2\n")
    assert found["text"].count("/run/secrets/redis") == 1
    config.write_text(found["text"].replace("/run/secrets/redis", str(secret)))
    dsn = "postgresql://trader:hunter3-hunter3@db/trading"
    env = {"HOME": str(tmp_path), "TRADING_DATABASE_URL": dsn}
    (stack,) = load(config, env=env).stacks
    redis, docker, postgres = (stack.sources[name] for name in ("redis", "docker", "postgres"))
    assert stack.environment is Environment.PAPER
    assert (redis.url, redis.username) == ("redis://risk-redis.internal:6379/0", "controlroom")
    assert redis.password == Secret("hunter2-hunter2")
    assert (docker.url, docker.username) == ("ssh://trading-1", "ops")
    assert postgres.password == Secret("hunter3-hunter3")


def test_the_layers_of_configuration_are_named_from_the_weakest_on() -> None:
    paths = search_paths(Path("--config FILE"), {"HOME": "/home/kim"})
    named = [*(f"`{path}`".replace("/home/kim", "~") for path in paths), "the environment", "flags"]
    said = README[README.index("Where things are is said in") : README.index("the later one wins")]
    places = [said.index(name) for name in named]
    assert places == sorted(places)


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_its_picture_has_the_footer_of_today() -> None:
    """It is made anew by ``make screenshot``."""
    cells = re.findall(
        r'<text[^>]* y="([\d.]+)"[^>]*>([^<]*)</text>', (ROOT / "docs/screenshot.svg").read_text()
    )
    lowest = max((y for y, _ in cells), key=float)
    footer = unescape("".join(text for y, text in cells if y == lowest)).split()
    shown = [f"{key_text(it.keys[0])}{it.label}" for it in ACTIONS if it.in_footer]
    assert "".join(footer) == "".join("".join(shown).split())
