"""Which generation of a stack runs: one look at its containers, at the start."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from queue import Empty, Queue
from time import monotonic
from typing import Final

from msgspec.structs import replace

from backends.loading import LOADING
from backends.model.fact import SourceError
from backends.model.stack import SourceKind, Stack

PATIENCE: Final = 0.75
"""Seconds the look may take: a stop that is started from a command line waits for it."""


Listed = Mapping[str, str] | SourceError
"""Every container's name and compose project, or why they are not known."""


def settle(stacks: Sequence[Stack]) -> tuple[Stack, ...]:
    """Each stack in the generation whose containers exist. Where Docker cannot tell, the reference
    generation is assumed, and the stack's title says so. ``PATIENCE`` is for all of them together."""
    looks = {stack.id: _look(stack) for stack in stacks if stack.others}
    until = monotonic() + PATIENCE
    return tuple(
        _settled(stack, looks[stack.id], until) if stack.id in looks else _chosen(stack, None)
        for stack in stacks
    )


def _settled(stack: Stack, look: Queue[Listed], until: float) -> Stack:
    try:
        listed = look.get(timeout=max(0.0, until - monotonic()))
    except Empty:
        listed = SourceError(f"Docker did not answer within {PATIENCE:g} s")
    if isinstance(listed, SourceError):
        return _chosen(stack, f"assumed: {listed}")
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


def _look(stack: Stack) -> Queue[Listed]:
    """Where the answer will be, beside this thread."""
    with LOADING:
        import docker as _loaded  # noqa: F401, PLC0415 # slow, and no part of the time Docker has

        from backends.readers.docker_client import DockerClient  # noqa: PLC0415 # only for such a stack
    source = next(it for it in stack.sources.values() if it.kind is SourceKind.DOCKER)
    found: Queue[Listed] = Queue()

    def look() -> None:
        try:
            client = DockerClient(source, PATIENCE)
            try:
                listing = client.get("/containers/json", {"all": "1"})
            finally:
                client.close()
            found.put(
                {
                    name.removeprefix("/"): (each.get("Labels") or {}).get("com.docker.compose.project", "")
                    for each in listing
                    for name in each.get("Names") or ()
                }
            )
        except SourceError as error:
            found.put(error)

    # A thread that may be left behind: over ssh the connection itself has no time-out.
    threading.Thread(target=look, name="generation", daemon=True).start()
    return found
