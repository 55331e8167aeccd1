"""A secret that cannot be printed by accident."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Holds a credential in memory. Every conversion shows a mask; ``reveal`` is for the socket call only."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The secret itself. Each adapter calls this in one place."""
        return self.__value

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
