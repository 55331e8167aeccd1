"""Running the commands that the stack file lists, and no others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from backends.model.action import Action, Command
from backends.model.procedure import Receipt, Step
from backends.model.safetext import SafeText
from backends.model.substitution import fill, names_in
from backends.program import OUTPUT_LIMIT, Ended, NotStartedError, environment, run
from backends.writers.answer import done, failed, unknown

_SHELLS: Final = frozenset(
    ("ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "mksh", "nu", "pwsh", "rbash", "sh", "tcsh",
     "xonsh", "yash", "zsh")
)  # fmt: skip
_LEFT_OUT: Final = "… earlier output left out | "
_END_OF_OPTIONS: Final = "--"


class CommandEffector:
    """Runs programs of this host, each exactly as the stack file says it. Never through a shell.

    A program's word is not trusted: exit 0 is no more than an acknowledgement, and any other end is UNKNOWN,
    because it may have done something before.
    """

    def __init__(self, allowed: Iterable[Command], redact: Callable[[str], str]) -> None:
        """``redact`` takes secrets out of what a program prints."""
        self._allowed = tuple(allowed)
        self._redact = redact

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
        try:
            argv = _argv(action.argv, values)
            env = environment(action.env)
            folder = _folder(action.folder or env.get("HOME", "/"))
            if action.output is None:
                return self._receipt(action, await run(argv, action.timeout, folder, env))
            return await self._captured(action, argv, folder, env)
        except (ValueError, NotStartedError, RuntimeError) as error:
            return failed(f"{self._redact(str(error))}; nothing was run")

    async def warm(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nothing is kept open. A command that runs is ended by whoever waits for it."""

    async def _captured(
        self, action: Command, argv: list[str], folder: str, env: Mapping[str, str]
    ) -> Receipt:
        """Run it with its output in a file beside the wanted one, which it replaces if it ended well: a run
        that failed leaves the former file as it was."""
        target = Path(_folder(action.output or ""))
        beside = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            return failed(
                f"{target.parent}: {(error.strerror or 'cannot be written').lower()}; nothing was run"
            )
        try:
            ended = await run(argv, action.timeout, folder, env, into=descriptor)
            receipt = self._receipt(action, ended)
            if ended.code not in action.ok:
                return receipt
            os.fsync(descriptor)
            size = os.fstat(descriptor).st_size
            beside.replace(target)
            return done(f"{receipt.text}, {size} bytes in {target}", after=receipt.after)
        except OSError as error:
            return unknown(f"{target}: {(error.strerror or 'cannot be written').lower()}")
        finally:
            os.close(descriptor)
            beside.unlink(missing_ok=True)

    def _receipt(self, action: Command, ended: Ended) -> Receipt:
        # Before anything is cut or made safe to show: a secret must be found whole.
        lines = [line.rstrip() for line in self._redact(ended.output).splitlines() if line.strip()]
        after = _shown(lines, is_cut=ended.cut > 0) if lines else None
        said = f": {lines[-1][:200]}" if lines else ""
        if ended.code is None:
            return unknown(f"did not end within {action.timeout:g} s and was ended{said}", after=after)
        if ended.code in action.ok:
            return done(f"exit {ended.code}", after=after)
        if ended.code < 0:
            return unknown(f"was ended by signal {-ended.code}{said}", after=after)
        return unknown(f"exit {ended.code}{said}", after=after)


def _shown(lines: list[str], *, is_cut: bool) -> SafeText:
    """The lines as one, inert; of too many the last."""
    clean = SafeText(" | ".join(lines), OUTPUT_LIMIT * 4)
    if is_cut or len(clean) > OUTPUT_LIMIT:
        clean = SafeText(f"{_LEFT_OUT}{clean[-OUTPUT_LIMIT:]}", OUTPUT_LIMIT + len(_LEFT_OUT))
    return clean


def _folder(path: str) -> str:
    return str(Path(path).expanduser())


def _argv(templates: tuple[str, ...], values: Mapping[str, Any]) -> list[str]:
    """The arguments. Raises ValueError for a value that would become something else than a value."""
    if not templates or names_in(templates[0]):
        raise ValueError("the program itself must be named in the stack file")
    if Path(templates[0]).name in _SHELLS:
        raise ValueError(f"{templates[0]} is a shell; expected the program itself")
    argv: list[str] = []
    for position, template in enumerate(templates):
        value = fill(template, values)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"{template} is not a text or a number")
        text = str(value)
        if "\0" in text:
            raise ValueError(f"{template} holds a zero byte")
        if names_in(template) and not text:
            raise ValueError(f"{template} is empty")
        is_option = text.startswith("-") and not template.startswith("-")
        if is_option and _END_OF_OPTIONS not in templates[:position]:
            raise ValueError(f"{template} is {text!r}, which would be taken for an option")
        argv.append(text)
    return argv
