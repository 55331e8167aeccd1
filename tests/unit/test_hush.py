"""Between the key of a stop and its effect no stack of the room is polled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.config import load
from backends.engine import Engine, Mode
from tests.sim.desk import KIM, asked


@pytest.mark.parametrize(("procedure", "hushed"), [("halt", 2), ("resume", 0)])
def test_an_order_to_stop_hushes_every_stack(
    procedure: str, hushed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "two.toml"
    config.write_text("[stack.trading-platform]\n[stack.claire-de-binare]\n")
    config.chmod(0o600)
    engine = Engine(load(config, env={"HOME": str(tmp_path)}).stacks, Mode.WATCH, tmp_path, KIM)
    done: list[str] = []

    def call(what: Callable[..., Any], *_: object) -> None:
        done.append(what.__name__)

    monkeypatch.setattr(engine, "_call", call)
    engine.submit(asked(procedure, stack="trading-platform"))
    assert done == ["hush"] * hushed + ["hurry", "begin"]
