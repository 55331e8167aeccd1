"""The right to act. Without one there are no writers, and every procedure is refused."""

from __future__ import annotations

from typing import Final

from backends.model.intent import Identity

_KEY: Final = object()


class Permit:
    """Held by an armed session, for as long as it lives. Only ``arm`` makes one."""

    __slots__ = ("operator",)

    def __init__(self, key: object, operator: Identity) -> None:
        if key is not _KEY:
            raise TypeError("a permit is made by arm()")
        self.operator = operator


def arm(operator: Identity, *, is_watch: bool) -> Permit | None:
    """The permit of this session; None in watch mode, where nothing may act."""
    return None if is_watch else Permit(_KEY, operator)
