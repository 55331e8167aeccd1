"""What every command starts from: the configuration, who is asking, and the engine they get."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tui.commands.exitcode import UsageError
from tui.crash import SECRETS

if TYPE_CHECKING:
    from backends.config import Config
    from backends.engine import Engine
    from backends.model.stack import Stack

_KEPT = ("CONTROLROOM_THEME", "CONTROLROOM_WATCH")
"""Variables that also hold for the demo: they say how the room looks and what it must not do."""


class Session(Struct, frozen=True):
    """One invocation of the program."""

    config_path: Path | None
    is_watch: bool = False
    """Asked for on the command line; a config file or the environment may ask for it too."""
    theme: str | None = None
    stack: str | None = None
    """Named before the command."""
    is_demo: bool = False
    """Then nothing but ``config_path`` says where things are: no demo ever shows or stops a real stack."""

    def watching(self) -> Session:
        """The same invocation, read-only."""
        return replace(self, is_watch=True)

    def config(self, stop: str | None = None) -> Config:
        """The effective configuration; raises UsageError with file, line, key and what was expected.

        ``stop`` names the stack that is to be stopped, empty for the only one, which then goes without what
        it can (``Config.wrong``).
        """
        from backends.config import ConfigError, load

        flags: dict[str, str | bool] = {"watch": True} if self.is_watch else {}
        if self.theme is not None:
            flags["theme"] = self.theme
        try:
            config = load(self.config_path, env=self._environment(), flags=flags, stop=stop)
        except ConfigError as error:
            raise UsageError(str(error)) from None
        for stack in config.stacks:
            for source in stack.sources.values():
                if source.password is not None:
                    SECRETS.register(source.password)
        if config.anchor is not None and config.anchor.password is not None:
            SECRETS.register(config.anchor.password)
        return config

    def _environment(self) -> Mapping[str, str]:
        if not self.is_demo or self.config_path is None:
            return os.environ
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CONTROLROOM_")}
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return ours | kept | {"XDG_CONFIG_HOME": str(self.config_path.parent / "none")}


def engine_of(
    config: Config,
    stacks: Sequence[Stack],
    *,
    observe: bool = True,
    may_act: bool = True,
    is_room: bool = False,
) -> Engine:
    """An engine for those stacks, not started; read-only if the command or the configuration says so."""
    from backends.engine import Engine, Mode
    from backends.journal.identity import identify

    mode = Mode.ARMED if may_act and not config.watch else Mode.WATCH
    return Engine(
        stacks,
        mode,
        config.state_dir,
        identify(shared=config.shared_accounts),
        observe=observe,
        anchor=config.anchor,
        is_room=is_room,
        keep_days=config.keep_days,
        config=config.digest,
    )


def journal_refusal(config: Config, stack: Stack, what: str, why: str, procedure: str = "") -> None:
    """Put on record what was asked for here and not done."""
    engine = engine_of(config, (stack,), observe=False)
    engine.start()
    engine.record("refused", stack.id, procedure, f"{what} refused: {why}")
    engine.stop(grace=0.0)


def wait_answered(engine: Engine, seconds: float) -> None:
    """Return when every source of every stack answered or failed twice, or after ``seconds``."""
    engine.wait_answered(seconds, *(stack.id for stack in engine.stacks))


def choose(config: Config, wanted: str | None) -> tuple[Stack, ...]:
    """The stack of that id, or all that are configured, each in the generation that runs; UsageError when
    there is none."""
    from backends.generation import settle

    if not config.stacks:
        raise UsageError(
            "no stack is configured: start `controlroom demo`, or name your stack in a config file"
            " (`controlroom paths` says where it is looked for)"
        )
    if wanted is None:
        return settle(config.stacks)
    chosen = tuple(stack for stack in config.stacks if stack.id == wanted)
    if not chosen:
        known = ", ".join(stack.id for stack in config.stacks)
        raise UsageError(f"no stack {wanted!r} is configured; there is {known}")
    return settle(chosen)
