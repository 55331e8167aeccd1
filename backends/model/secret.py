"""A secret that cannot be printed by accident."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


class Secret:
    """Holds a credential in memory. Every conversion shows a mask; ``reveal`` is for the socket call only."""

    __slots__ = ("__again", "__followers", "__value")

    def __init__(self, value: str, again: Callable[[], str] | None = None) -> None:
        """``again`` reads it anew from where it came; None for one that never changes."""
        self.__value = value
        self.__again = again
        self.__followers: tuple[Callable[[str], None], ...] = ()

    def reveal(self) -> str:
        """The secret itself. Each adapter calls this in one place."""
        return self.__value

    def follow(self, tell: Callable[[str], None]) -> None:
        """Call ``tell`` with its value now, and with every new one before it is used."""
        self.__followers = (*self.__followers, tell)
        tell(self.__value)

    def renew(self) -> bool:
        """Read it anew; whether it is another one now. Raises what its origin raises, keeping the old one."""
        fresh = self.__value if self.__again is None else self.__again()
        if fresh == self.__value:
            return False
        for tell in self.__followers:
            tell(fresh)
        self.__value = fresh
        return True

    def mask(self) -> str:
        """``****`` and, for 16 characters or more, the last four."""
        return f"****{self.__value[-4:]}" if len(self.__value) >= 16 else "****"

    def __repr__(self) -> str:
        return f"Secret({self.mask()})"

    __str__ = mask

    def __format__(self, spec: str) -> str:
        return format(self.mask(), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.__value == self.__value

    def __hash__(self) -> int:
        return hash(self.__value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")
