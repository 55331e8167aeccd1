"""What has to be watched for minutes on the Hummingbot desk, in each of its generations, to its verdict on
its demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.demo.hummingbot_desk.generations import GENERATIONS
from backends.model.procedure import Verdict
from tests.contract.desk_room import desk_room

pytestmark = pytest.mark.soak

RUN = 400.0
"""Seconds that three minutes without orders may take."""


@pytest.mark.parametrize(("generation", "is_idle"), [*((each, True) for each in GENERATIONS), ("R1", False)])
def test_bot_4_without_trading_is_proved_by_three_minutes_without_an_order(
    generation: str, is_idle: bool, tmp_path: Path
) -> None:
    with desk_room(tmp_path, "--variant", generation) as room:
        room.begin_anew()
        room.longest = RUN
        controller = GENERATIONS[generation].bots["bot4"].controller
        told = room.folder / f"data/bot4/conf/controllers/{controller}.yml"

        def made_anew(_step: object) -> None:
            if is_idle:
                told.write_text(told.read_text().replace("no_trade: false", "no_trade: true"))
            room.type_again("bot4")

        room.by_hand = made_anew
        run = room.run("bot4-notrade", "bot4")
        assert (run.verdict is Verdict.VERIFIED) is is_idle, (run.sentence, run.blockers)
