"""The words a stack file is made of."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Label = Annotated[str, Meta(min_length=1, max_length=22)]
Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Word = str | bool | int
"""A raw word; a flag is written ``true`` or ``false``."""
LevelWord = Literal["ok", "info", "warn", "crit", "unknown"]
EnvironmentWord = Literal["live", "paper", "demo"]
Per = Literal["service", "port"] | list[Id] | None
"""The row is meant for every service, for every one with a port, or for these; ``but`` leaves some out."""
Rows = list[Text]
"""Ids of the runbook rows an item realises."""


class Strict(Struct, forbid_unknown_fields=True, kw_only=True):
    """A table in which an unknown key is an error."""
