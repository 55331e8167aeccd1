"""What the types cannot say about a program that a stack file has run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backends.model.substitution import names_in
from backends.stacks import schema
from backends.stacks import schema_do as do
from backends.stacks.docker_env import ENGINE_VARIABLES
from backends.stacks.naming import Complaint, known, source_of
from backends.stacks.places import ADDRESS, FOLDER, SERVER, SERVERS

_PATHS: Final = ("folder", "output")


def command(spec: schema.StackFile, what: do.CommandSpec) -> Iterator[Complaint]:
    """Everything that is wrong with it; places are relative to the step's action."""
    for key, name in (("engine", what.engine), ("here", what.here)):
        if name is not None and (why := source_of(spec, name, "docker")):
            yield (key,), why
    if what.argv[0].rpartition("/")[2] == "docker" and what.engine is None:
        yield ("engine",), "is missing; expected the docker source whose engine it acts on"
    yield from _variables(spec, what)
    for name in sorted(names_in(what.given)):
        yield ("given",), f"${name} is never filled in here; what is chosen is told as an argument"
    for key, text in (
        ("folder", what.folder),
        ("output", what.output),
        *(("argv", part) for part in what.argv),
        *(("given", text) for text in what.given.values()),
    ):
        yield from places(spec, key, text or "")


def places(spec: schema.StackFile, key: str, text: str) -> Iterator[Complaint]:
    """What is wrong with the folders, addresses and servers that ``text`` names."""
    for name in FOLDER.findall(text):
        if why := source_of(spec, name, "files"):
            yield (key,), why
    for name in ADDRESS.findall(text):
        if why := known(name, spec.source, "source"):
            yield (key,), why
        if key in _PATHS:
            yield (key,), "an address is no path; expected {SOURCE.path}"
    for name, _ in SERVER.findall(text):
        if why := source_of(spec, name, *(kind.value for kind in SERVERS)):
            yield (key,), why
        if key != "given":
            yield (key,), "a host or a port is told to a program by a variable; expected given"


def _variables(spec: schema.StackFile, what: do.CommandSpec) -> Iterator[Complaint]:
    named: set[str] = set()
    for key, names in (("env", what.env), ("given", [*what.given]), ("secret", [*what.secret])):
        for name in names:
            if name in ENGINE_VARIABLES:
                yield (key,), f"{name} may lead to another engine; expected engine, the one the room reads"
            if name in named:
                yield (key,), f"{name} is set twice"
        named |= {*names}
    for name in what.secret.values():
        if why := known(name, spec.source, "source"):
            yield ("secret",), why
