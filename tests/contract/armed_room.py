"""An armed room on one config file, with nothing between the test and the engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from backends.config import load
from backends.engine import Engine, Mode
from backends.journal.identity import identify
from backends.model.intent import Intent
from backends.model.procedure import Procedure, Run
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.model.weigh import word_of
from backends.procedures.confirm import phrase_of, seen_on
from tests.contract.hurry import hurried
from tests.contract.looking_room import LookingRoom
from tests.servers.process import wait_until

_LONGEST = 300.0
_ENDS = "wait for its end"
_LOOKS = 3


class ArmedRoom(LookingRoom):
    """One engine for many procedures; a person's word is given where one is waited for."""

    def __init__(
        self,
        config: Path,
        env: Mapping[str, str],
        folder: Path,
        change: Callable[[Stack], Stack] = lambda stack: stack,
    ) -> None:
        """``folder`` takes the journal; ``change`` what the stack file says."""
        (stack,) = load(config, env=env).stacks
        self.stack = change(stack)
        self.engine = Engine([self.stack], Mode.ARMED, folder, identify())
        self.engine.start()
        wait_until(lambda: self.engine.wait_asked(self.stack.id, 0.2), 30, "a first look at everything")

    def close(self) -> None:
        self.engine.stop(grace=0.0)

    def perform(self, procedure: str, **params: str) -> Run:
        """The dry run's plan, carried out to its verdict; the dry run when something stands against it."""
        dry = self.dry_run(procedure, **params)
        if dry.blockers:
            return dry
        phrase = phrase_of(self.stack.procedures[procedure], self.stack, params)
        return self._submit(procedure, params, plan=dry.plan, phrase=phrase)

    def dry_run(self, procedure: str, **params: str) -> Run:
        """Asked again while the end of the one before is still being written down."""

        def answered() -> Run | None:
            run = self._submit(procedure, params, is_dry=True)
            return None if any(_ENDS in each for each in run.blockers) else run

        found = wait_until(answered, _LONGEST, f"the dry run of {procedure}", every=0.1)
        assert found is not None
        return found

    def _submit(
        self,
        procedure: str,
        params: Mapping[str, str],
        *,
        is_dry: bool = False,
        plan: str | None = None,
        phrase: str | None = None,
    ) -> Run:
        board, why = self.board, SafeText("the quarterly exercise")
        shown = seen(self.engine, self.stack, procedure)
        asked = self.stack.procedures[procedure].challenge
        challenge = None if asked is None else word_of(board.readings[asked].value)
        intent = Intent(
            str(uuid.uuid4()), self.stack.id, procedure, self.engine.operator, why, board.seq, "cli", params,
            is_dry=is_dry, plan=plan, phrase=phrase, shown=shown, challenge=challenge,
        )  # fmt: skip
        self.engine.submit(intent)

        def ended() -> Run | None:
            run = self.engine.run(intent.id)
            if run is not None and run.awaits is not None:
                self.engine.attest(self.stack.id, run.operation, run.awaits)
            return run if run is not None and run.verdict is not None else None

        found = wait_until(ended, _LONGEST, f"the verdict on {procedure}")
        assert found is not None
        return found


def seen(engine: Engine, stack: Stack, procedure: str) -> Mapping[str, str]:
    """What an operator sees of it who waits until all can be read."""
    wanted = stack.procedures[procedure]

    def shown() -> list[dict[str, str]] | None:
        found = seen_on(wanted, stack, engine.board(stack.id).readings)
        return [found] if found.keys() == wanted.seen.keys() else None

    (found,) = wait_until(shown, 15, f"all that {procedure} compares") or [{}]
    return found


def looking_briefly(stack: Stack) -> Stack:
    """The stack whose procedures look three times where they would look for a minute, and wait neither for a
    minimum halt nor for half a minute of calm."""
    briefly = {name: _briefly(procedure) for name, procedure in stack.procedures.items()}
    return replace(stack, procedures=briefly)


def looking_patiently(stack: Stack) -> Stack:
    """``looking_briefly``, with time for a busy machine."""
    briefly = looking_briefly(stack)
    return replace(briefly, procedures={name: patient(each) for name, each in briefly.procedures.items()})


def _briefly(procedure: Procedure) -> Procedure:
    steps = [
        replace(step, proof=tuple(replace(each, reads=min(each.reads, _LOOKS)) for each in step.proof))
        for step in procedure.steps
    ]
    return replace(hurried(procedure), steps=tuple(steps))


def patient(procedure: Procedure) -> Procedure:
    """It with time for a busy machine; what is done and proved is the same."""
    steps = tuple(
        replace(
            step,
            connect=step.connect * 4,
            deadline=step.deadline * 4,
            after=step.after * 2,
            proof=tuple(replace(proof, within=proof.within * 2) for proof in step.proof),
        )
        for step in procedure.steps
    )
    return replace(procedure, steps=steps)
