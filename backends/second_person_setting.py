"""Who resumes alone: what a config file says about second persons, applied to a stack."""

from __future__ import annotations

from msgspec.structs import replace

from backends.model.procedure import RiskClass
from backends.model.stack import Stack
from backends.settings import Setting


def with_second_person(stack: Stack, alone: Setting | None, second: Setting | None) -> Stack:
    """The stack with ``single_operator`` and ``second_person`` applied. Raises ConfigError when one says the
    reverse of the other, in whatever layers."""
    is_alone = alone is not None and bool(alone.value)
    if second is None:
        return replace(stack, is_single_operator=is_alone)
    if alone is not None and is_alone:
        raise second.error(f"says the reverse of single_operator in {alone.origin}; expected one of them")
    procedures = {
        name: replace(each, needs_approval=True) if each.risk is RiskClass.RESTORE else each
        for name, each in stack.procedures.items()
    }
    return replace(stack, procedures=procedures)
