"""A secret that is typed for one step is as secret as those of the configuration."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.journal.redact import MASK
from backends.model.action import HttpCall
from backends.model.condition import Param
from backends.model.procedure import Procedure, RiskClass, Step
from backends.model.stack import Source, SourceKind
from tests.building import stack
from tests.contract.switch_server import SwitchServer
from tests.servers.process import wait_until
from tests.sim.world import KIM, intent

BARE: dict[str, Any] = {
    "facts": {}, "gates": (), "echoes": (), "alarms": (), "services": (),
}  # fmt: skip


def everything_in(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


async def test_a_secret_that_was_typed_for_a_step_is_told_by_nobody_who_was_sent_it(tmp_path: Path) -> None:
    typed = "canary.typed-4711"
    async with SwitchServer("500", detail=f"no such code: {typed}") as web:
        source = Source("web", SourceKind.HTTP, "Web", web.url, 1.0, 0.5)
        action = HttpCall("web", "POST", "/unlock", {"code": "$code"})
        step = Step("unlock", "Unlock", action, (), connect=1.0, deadline=1.0)
        params = (Param("code", "Code", is_secret=True),)
        unlock = Procedure("unlock", "Unlock", RiskClass.STOP, "", (), "", (step,), params=params)
        desk = stack(sources={"web": source}, **BARE, procedures={"unlock": unlock})
        engine = Engine([desk], Mode.ARMED, tmp_path, KIM, observe=False)
        engine.start()
        try:
            engine.submit(replace(intent(procedure="unlock"), stack=desk.id, params={"code": typed}))
            over = partial(_is_over, engine)
            await asyncio.to_thread(wait_until, over, 20)
            run = engine.run("op-1")
        finally:
            await asyncio.to_thread(engine.stop)
        assert json.loads(web.calls[0].body) == {"code": typed}
    assert f"no such code: {MASK}" in repr(run)
    assert typed not in repr(run)
    written = everything_in(tmp_path)
    assert f"no such code: {MASK}" in written
    assert typed not in written


def _is_over(engine: Engine) -> bool:
    run = engine.run("op-1")
    return run is not None and run.verdict is not None
