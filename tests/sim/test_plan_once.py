"""The plan of a dry run is run once: a script that tries again moves the market no second time."""

from __future__ import annotations

from pathlib import Path

from backends.model.procedure import Run, Verdict
from tests.sim.desk import asked, office
from tests.sim.virtual import simulate


def test_a_flatten_that_had_no_answer_is_not_sent_again_by_the_same_dry_run(tmp_path: Path) -> None:
    made = office(state=tmp_path, wire={"/close": "dropped"})

    async def shown(number: int) -> str:
        return (await made.procedures.execute(asked("flatten", id=f"dry-{number}", is_dry=True))).plan

    async def run(number: int, plan: str) -> Run:
        challenge = str(len(made.desk.positions))
        wanted = asked("flatten", id=f"op-{number}", via="cli", plan=plan, challenge=challenge)
        return await made.procedures.execute(wanted)

    async def go() -> tuple[Run, Run, int, Run]:
        plan = await shown(1)
        first = await run(1, plan)
        sent = len(made.desk.sent)
        again = await run(2, plan)
        assert len(made.desk.sent) == sent
        return first, again, sent, await run(3, await shown(2))

    first, again, sent, anew = simulate(go())
    assert first.verdict is Verdict.UNCONFIRMED and sent > 0
    assert again.verdict is Verdict.REFUSED
    assert "was run already" in again.sentence
    assert anew.verdict is Verdict.UNCONFIRMED
