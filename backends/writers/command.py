"""Running the commands that the stack file lists, and no others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, Final

from backends.model.action import Action, Command
from backends.model.procedure import Receipt, Step
from backends.model.secret import Secret
from backends.model.substitution import fill, names_in
from backends.program import Ended, NotStartedError, environment, run
from backends.writers.answer import done, failed, unknown
from backends.writers.argument import arguments
from backends.writers.shown import shown

_CLIENT: Final = ("DOCKER_CONFIG", "SSH_AUTH_SOCK")
"""By these docker finds its contexts and plugins and ssh its agent, where the room finds them."""


class CommandEffector:
    """Runs programs of this host, each exactly as the stack file says it. Never through a shell.

    A program's word is not trusted: exit 0 is no more than an acknowledgement, and any other end is UNKNOWN,
    because it may have done something before.
    """

    def __init__(
        self,
        allowed: Iterable[Command],
        redact: Callable[[str], str],
        passwords: Mapping[str, Secret] | None = None,
    ) -> None:
        """``redact`` takes secrets out of what a program prints; ``passwords`` are those of the sources."""
        self._allowed = tuple(allowed)
        self._redact = redact
        self._passwords = passwords or {}

    async def act(
        self,
        action: Action,
        values: Mapping[str, Any],
        step: Step,  # noqa: ARG002 (a command says itself how long it may take)
    ) -> Receipt:
        """Run it once. FAILED means that it never ran; UNKNOWN that what it did is not known."""
        if not isinstance(action, Command):
            return failed("does not take this kind of step")
        if action not in self._allowed:
            return failed("is asked for a command that the stack file does not list; nothing was run")
        if action.stays is not None:
            return failed(f"{action.stays}; nothing was run")
        try:
            argv = arguments(action.argv, values)
            env = self._environment(action)
            folder = _folder(action.folder or env.get("HOME", "/"), values)
            if action.output is None:
                return self._receipt(action, await run(argv, action.timeout, folder, env))
            return await self._captured(action, argv, folder, env, _folder(action.output, values))
        except (ValueError, NotStartedError, RuntimeError) as error:
            return failed(f"{self._redact(str(error))}; nothing was run")

    async def warm(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nothing is kept open. A command that runs is ended by whoever waits for it."""

    def _environment(self, action: Command) -> dict[str, str]:
        held = {name: self._passwords[of] for name, of in action.secret.items() if of in self._passwords}
        return (
            environment((*action.env, *_CLIENT) if action.engine else action.env)
            | dict(action.engine)
            | dict(action.given)
            | {name: password.reveal() for name, password in held.items()}
        )

    async def _captured(
        self, action: Command, argv: list[str], folder: str, env: Mapping[str, str], output: str
    ) -> Receipt:
        """Run it with its output in a file beside the wanted one, which it replaces if it ended well: a run
        that failed leaves the former file as it was."""
        target = Path(output)
        beside = target.with_name(f".{target.name}.{os.getpid()}.part")
        loop, is_kept = asyncio.get_running_loop(), False
        try:
            # All of it in threads, that end it by themselves: a disk that hangs holds up nothing else.
            file = await asyncio.to_thread(open, beside, "wb", 0, opener=_opened)
        except OSError as error:
            return failed(
                f"{target.parent}: {(error.strerror or 'cannot be written').lower()}; nothing was run"
            )
        try:
            ended = await run(argv, action.timeout, folder, env, into=file.fileno())
            is_kept = ended.code in action.ok
        finally:
            put = loop.run_in_executor(None, _put, file, beside, target if is_kept else None)
        receipt = self._receipt(action, ended)
        try:
            size = await put
        except OSError as error:
            return unknown(f"{target}: {(error.strerror or 'cannot be written').lower()}")
        if not is_kept:
            return receipt
        return done(f"{receipt.text}, {size} bytes in {target}", after=receipt.after)

    def _receipt(self, action: Command, ended: Ended) -> Receipt:
        # Before anything is cut or made safe to show: a secret must be found whole.
        lines = [line.rstrip() for line in self._redact(ended.output).splitlines() if line.strip()]
        after = shown(lines, is_cut=ended.cut > 0) if lines else None
        said = f": {lines[-1][:200]}" if lines else ""
        if ended.code is None:
            return unknown(f"did not end within {action.timeout:g} s and was ended{said}", after=after)
        if ended.code in action.ok:
            return done(f"exit {ended.code}", after=after)
        if ended.code < 0:
            return unknown(f"was ended by signal {-ended.code}{said}", after=after)
        return unknown(f"exit {ended.code}{said}", after=after)


def _opened(path: str, _flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _put(file: FileIO, beside: Path, target: Path | None) -> int:
    """Put what was written in the place of ``target``, on the disk; None throws it away. How many bytes."""
    try:
        with file:
            if target is not None:
                os.fsync(file.fileno())
                beside.replace(target)
            return os.fstat(file.fileno()).st_size
    finally:
        beside.unlink(missing_ok=True)


def _folder(template: str, values: Mapping[str, Any]) -> str:
    """A path on this host. Raises ValueError for a value that would lead out of it."""
    path = str(fill(template, values))
    if names_in(template) and ".." in Path(path).parts:
        raise ValueError(f"{path} leads elsewhere")
    return str(Path(path).expanduser())
