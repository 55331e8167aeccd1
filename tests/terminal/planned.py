"""A procedure by command as an operator runs it: its dry run, and then itself with what that asks for."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.stacks.loader import built_in
from tests.terminal.program import command

REASON = ("--reason", "the quarterly exercise")
CHANGED = "the situation has changed since this plan was shown"
"""Why a plan is refused that no longer fits: whoever made it looks again."""
LOOKS = 3
"""How often at most: a plan that never fits is a fault."""


@dataclass(frozen=True)
class Operator:
    """Whoever runs procedures of one stack from one config file."""

    stack: str
    config: Path
    env: Mapping[str, str]
    longest: float = 150.0
    """Seconds a command may take."""

    def perform(self, name: str, *chosen: str) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
        """What the dry run reports, and how the run by its plan ended: a new one if it no longer fitted."""
        for _ in range(LOOKS):
            report = self.dry_run(name, *chosen)
            done = self.run(name, *chosen, *self._answers(report))
            if CHANGED not in done.stdout:
                break
        return report, done

    def dry_run(self, name: str, *chosen: str) -> dict[str, Any]:
        done = self.run(name, *chosen, "--dry-run", "--json")
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        whole = ("run", *arguments, "--stack", self.stack, *REASON)
        return command(self.config, self.env, *whole, seconds=self.longest)

    def _answers(self, report: Mapping[str, Any]) -> list[str]:
        """What the dry run says has to be given, and a person's word for each step that is one."""
        if report["class"] == "stop":
            return []  # it is watched until those that must obey were heard
        known = {each["fact"]: each["text"] for each in report["known"]}
        typed = report["confirm"] or known.get(report["challenge"])
        answers = ["--plan", report["plan"], *(["--confirm", typed] if typed else [])]
        for step in _attested(self.stack, report["procedure"]):
            answers += ["--attest", step]
        return answers


def alone(config: str) -> str:
    """A demo's config with nobody to ask for consent: that a second person is demanded is shown elsewhere."""
    return config.replace('environment = "demo"', 'environment = "demo"\nsingle_operator = true')


def _attested(stack: str, procedure: str) -> list[str]:
    """The steps of it that wait for a person, in any generation."""
    stated = tomllib.loads(built_in()[stack].read_text())
    return [
        step["id"]
        for form in (stated, *stated.get("variant", {}).values())
        for one in form.get("procedure", ())
        if one["id"] == procedure
        for step in one.get("step", ())
        if step.get("do", {}).get("kind") == "attest"
    ]
