"""Which generation of a stack runs: one look at its containers, at the start."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from backends.loading import LOADING
from backends.model.fact import SourceError
from backends.model.stack import Source, SourceKind, Stack

PATIENCE: Final = 0.75
"""Seconds the look may take: a stop that is started from a command line waits for it."""


def settle(stacks: Sequence[Stack]) -> tuple[Stack, ...]:
    """Each stack in the generation whose containers exist. Where Docker cannot tell, the reference
    generation is assumed, and the stack's title says so."""
    return tuple(_settle(stack) if stack.others else _chosen(stack, None) for stack in stacks)


def _settle(stack: Stack) -> Stack:
    try:
        listed = _listed(next(it for it in stack.sources.values() if it.kind is SourceKind.DOCKER))
    except SourceError as error:
        return _chosen(stack, f"assumed: {error}")
    for form in (stack, *stack.others):
        if form.generation is not None and form.generation.fits(listed):
            return _chosen(form, None)
    return _chosen(stack, "assumed: no container of any generation exists")


def _chosen(stack: Stack, doubt: str | None) -> Stack:
    if stack.generation is None:
        return stack
    what = stack.generation.title + (f" ({doubt})" if doubt else "")
    known = replace(stack.generation, doubt=doubt)
    return replace(stack, title=f"{stack.title}, {what}", generation=known, others=())


def _listed(source: Source) -> Mapping[str, str]:
    """Every container's name and compose project. Raises SourceError, after ``PATIENCE`` at the latest."""
    with LOADING:
        import docker as _loaded  # noqa: F401, PLC0415 # slow, and no part of the time Docker has

        from backends.readers.docker_client import DockerClient  # noqa: PLC0415 # only for such a stack
    found: list[Mapping[str, str] | SourceError] = []

    def look() -> None:
        try:
            client = DockerClient(source, PATIENCE)
            try:
                listing = client.get("/containers/json", {"all": "1"})
            finally:
                client.close()
            found.append(
                {
                    name.removeprefix("/"): (each.get("Labels") or {}).get("com.docker.compose.project", "")
                    for each in listing
                    for name in each.get("Names") or ()
                }
            )
        except SourceError as error:
            found.append(error)

    # A thread that may be left behind: over ssh the connection itself has no time-out.
    thread = threading.Thread(target=look, name="generation", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    answer = found[0] if found else SourceError(f"Docker did not answer within {PATIENCE:g} s")
    if isinstance(answer, SourceError):
        raise answer
    return answer
