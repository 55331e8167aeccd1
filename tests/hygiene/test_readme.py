"""The README says what the program does: its keys, commands and make targets are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from tui.actions import key_table_markdown
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


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
