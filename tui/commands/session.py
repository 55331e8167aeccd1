"""What every command starts from: the configuration, who is asking, and the engine they get."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.engine import Engine, Mode
from backends.model.intent import Identity
from backends.model.stack import Stack

if TYPE_CHECKING:
    from backends.config import Config


class UsageError(Exception):
    """The command line asks for something that cannot be; one line for the operator."""


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation of the program."""

    config_path: Path | None
    mode: Mode

    def config(self) -> Config:
        """The effective configuration; raises ConfigError, whose text is for the operator."""
        from backends.config import load

        return load(self.config_path, env=os.environ)

    def engine(self, config: Config, stacks: Sequence[Stack], *, follow_logs: bool, mode: Mode) -> Engine:
        """An engine for those stacks, not started."""
        return Engine(stacks, mode, config.state_dir, current_operator(), follow_logs=follow_logs)


def choose(config: Config, wanted: str | None) -> tuple[Stack, ...]:
    """The stack of that id, or all that are configured; UsageError when there is none."""
    if not config.stacks:
        raise UsageError(
            "no stack is configured: start `controlroom demo`, or name your stack in a config file"
            " (`controlroom paths` says where it is looked for)"
        )
    if wanted is None:
        return tuple(config.stacks)
    chosen = tuple(stack for stack in config.stacks if stack.id == wanted)
    if not chosen:
        known = ", ".join(stack.id for stack in config.stacks)
        raise UsageError(f"no stack {wanted!r} is configured; there is {known}")
    return chosen


def current_operator() -> Identity:
    """The operator as the operating system and the SSH session know them, whatever ``USER`` says."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = f"uid {uid}"
    remote = os.environ.get("SSH_CONNECTION", "").split(" ")[0] or None
    return Identity(user, uid, socket.gethostname(), _terminal(), remote)


def _terminal() -> str | None:
    for fd in (0, 1, 2):
        try:
            return os.ttyname(fd)
        except OSError:
            continue
    return None
