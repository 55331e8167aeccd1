"""What surveillance shows only after a minute, to its verdict on its demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.surveillance_shift import on_demo

pytestmark = pytest.mark.soak


def test_an_exchange_is_left_out_and_taken_in_again(tmp_path: Path) -> None:
    with on_demo(tmp_path) as shift:
        config = shift.world.config.parent / "project/config/exchanges.yaml"
        shift.verify("exchange-off", exchange="okx")
        assert not shift.store.exists("health:okx") and "enabled: false" in config.read_text()
        shift.verify("exchange-on", exchange="okx")
        assert json.loads(shift.store.get("health:okx") or "{}")["status"] == "connected"
