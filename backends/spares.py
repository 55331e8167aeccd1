"""What a stop goes without rather than not begin: a secret that is gone is one more thing that is down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backends.stacks.toml_file import ConfigError


class Spares:
    """Collects what is wrong with parts that can be done without."""

    def __init__(self, *, is_stop: bool) -> None:
        """``is_stop``: whether a stop is to be ordered; nothing else goes without anything."""
        self._is_stop = is_stop
        self._wrong: dict[str, None] = {}

    @contextmanager
    def without(self) -> Iterator[None]:
        """A stop does without what the block makes if it raises ConfigError; anything else is told by it."""
        try:
            yield
        except ConfigError as error:
            if not self._is_stop:
                raise
            self._wrong[str(error)] = None

    def told(self) -> tuple[str, ...]:
        """What was wrong, in words, each once."""
        return tuple(self._wrong)
