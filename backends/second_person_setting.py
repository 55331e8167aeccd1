"""Who resumes alone: what a config file says about second persons, applied to a stack."""

from __future__ import annotations

from msgspec.structs import replace

from backends.model.procedure import RiskClass
from backends.model.stack import Stack
from backends.settings import Setting


def with_second_person(stack: Stack, alone: Setting | None, second: Setting | None) -> Stack:
    """The stack with ``single_operator`` and ``second_person`` applied. Where both are set the stricter
    holds, in whatever layers: a contradiction must not keep the room, and with it a stop, from starting.
    """
    if second is None:
        return replace(stack, is_single_operator=alone is not None and bool(alone.value))
    procedures = {
        name: replace(each, needs_approval=True) if each.risk is RiskClass.RESTORE else each
        for name, each in stack.procedures.items()
    }
    return replace(stack, procedures=procedures)
