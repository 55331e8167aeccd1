"""A stop from the command line ends with the verdict that stands once the engine has ended its work."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from backends.engine import Mode
from backends.model.clock import Instant
from backends.model.intent import Intent
from backends.model.procedure import Run, Verdict
from backends.model.safetext import SafeText
from backends.stacks.loader import built_in, load_stack
from tui.commands import run as command
from tui.commands.exitcode import ExitCode
from tui.commands.run_options import RunOptions
from tui.commands.session import Session

STACK = load_stack(built_in()["trading-platform"])


class Engine:
    """Its verdict changes while it ends its work."""

    mode = Mode.ARMED
    operator = "kim"

    def __init__(self, before: Verdict, after: Verdict) -> None:
        self._now, self._after = before, after

    def subscribe(self, heard: Callable[[], None]) -> None: ...

    def start(self) -> None: ...

    def submit(self, intent: Intent) -> None:
        self._procedure = intent.procedure

    def stop(self) -> None:
        self._now = self._after

    def run(self, operation: str) -> Run:
        sentence = SafeText(f"{self._now.value}: so it stands")
        at = Instant(1.0, 1.0)
        return Run(operation, STACK.id, self._procedure, "Halt", at, (), verdict=self._now, sentence=sentence)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_verdict_taken_back_at_the_very_end_is_told_and_is_the_status(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(Verdict.VERIFIED, Verdict.CONTRADICTED)
    monkeypatch.setattr(command, "engine_of", lambda *_, **__: engine)
    monkeypatch.setattr(command, "choose", lambda *_: (STACK,))
    monkeypatch.setattr(command, "WATCHED", 0.0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(Session, "config", lambda _, stop: SimpleNamespace(wrong=()))
    status = command.run(Session(Path("none")), "halt", None, RunOptions(as_json=as_json))
    assert status is ExitCode.CONFLICT
    assert "CONTRADICTED: so it stands" in capsys.readouterr().out
