"""Who wants to hear that something changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Wake = Callable[[], None]
"""Is called after a change, on the thread of whoever made it, and must return at once: it carries nothing,
so the listener takes what is newest when it comes to it."""


class Wakes:
    """The listeners of one thing that changes. They may come and go while it calls them."""

    def __init__(self) -> None:
        self._wakes: tuple[Wake, ...] = ()

    def __iter__(self) -> Iterator[Wake]:
        return iter(self._wakes)

    def add(self, wake: Wake) -> Callable[[], None]:
        """Have it called from now on; returns what ends that."""
        self._wakes = (*self._wakes, wake)
        return lambda: self.drop(wake)

    def drop(self, wake: Wake) -> None:
        """Call it no more; one that is not known is none."""
        self._wakes = tuple(known for known in self._wakes if known is not wake)
