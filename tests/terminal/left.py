"""What a run leaves in the journal, and how that of one face compares with that of the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.servers.between import journal

FACES: Final = ("screen", "command")

BY_PROGRAMS: Final = {
    "compose-dev", "compose-dev-workers", "compose-build", "console-explorer", "console-notebooks",
    "console-rebuild", "alert-worker", "paper-run-file", "compose-down", "compose-down-volumes", "jwt-keys",
    "free-port", "fills-enable", "backup-database", "restore-database", "copy-redis",
}  # fmt: skip
"""Procedures of trading-platform that change containers, files or processes which its demo only shows:
``test_platform_programs.py`` runs each by both faces on a real engine and a real host."""

BY_UNITS: Final = {"start-on-host"}
"""Those that start units of systemd: ``test_start_on_host.py`` runs each by both faces on a real one."""


def left_by(name: str, folder: Path) -> dict[str, Any]:
    """What the newest real run of that procedure left in the journal below ``folder``, without what differs
    between any two runs: times, ids, who wrote it how, for which rows a step was repeated, and which way of
    a stop was read back first: the next begins after half a second, on a busy machine before that. Of a stop
    it is kept that one was, and that what it had read was written down."""
    ours = [each for each in journal(folder) if each.get("procedure") == name]
    real = [each for each in ours if each["kind"] == "intent" and each["mode"] == "live"]
    if not real:
        return {"kinds": [each["kind"] for each in ours]}
    began = real[-1]
    run = [each for each in ours if each.get("operation") == began["operation"]]
    steps = {each["step"]["id"]: each["step"] for each in run if each["kind"] == "step"}
    is_stop = began["class"] == "stop"
    states = {
        ident.partition(":")[0]: (step["source"], None if is_stop else step["state"])
        for ident, step in steps.items()
    }
    repeated = {ident.partition(":")[0] for ident in steps if ":" in ident}
    ended = [each for each in run if each["kind"] == "outcome"][-1]
    after = sorted({each["fact"] for each in ended.get("after", [])})
    return {
        "kinds": list(dict.fromkeys(each["kind"] for each in run)),
        "intent": {key: began.get(key) for key in ("stack", "environment", "class", "mode")},
        "before": [each.get("fact") or each.get("require") for each in began.get("before", [])],
        "steps": {ident: state for ident, state in states.items() if ident not in repeated},
        "rows": {
            "steps": {ident: state for ident, state in states.items() if ident in repeated},
            "targets": began.get("targets"),
            "outcome": (ended["verdict"], None if is_stop else ended.get("rung")),
            "after": bool(after) if is_stop else after,
            "is_proved": any(step["state"] == "verified" for step in steps.values()),
        },
    }


def assert_alike(name: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two runs of that procedure left the same, but for what the rows decide where one of the two worlds
    happened to have none: no order was open."""
    rows = [each.get("rows", {}).get("steps") for each in (one, other)]
    left_out = {"rows"} if bool(rows[0]) is not bool(rows[1]) else set()
    kept = [{key: value for key, value in each.items() if key not in left_out} for each in (one, other)]
    assert kept[0] == kept[1], name
