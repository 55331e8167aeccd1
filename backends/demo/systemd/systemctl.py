"""Stands for systemd's ``systemctl`` where none runs: a program of its own, put in a folder by ``Units``.

It takes the arguments this room's reader and writer use (and ends with 64 for any other), keeps units in
files, prints what ``show`` prints and ends with the exit codes of the real one: 5 for a unit that is not
loaded, 4 for one that may not be touched, 1 for a job that failed or could not be had, or no bus.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
KNOWN = ("--user", "--system", "--no-ask-password", "--no-pager", "--timestamp=us")
NOT_FOUND = {"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}
ALREADY = {"start": ("active",), "stop": ("inactive", "failed")}
NO_JOB = {"masked": "is masked", "bad-setting": "has a bad unit file setting"}
LOADED = {
    "LoadState": "loaded",
    "ActiveState": "inactive",
    "SubState": "dead",
    "Result": "success",
    "ActiveEnterTimestamp": "",
    "InactiveEnterTimestamp": "",
    "FragmentPath": "",
    "UnitFileState": "enabled",
}
SERVICE = {
    "NRestarts": "0",
    "MainPID": "0",
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
    "MemoryCurrent": "[not set]",
    "MemoryMax": "infinity",
    "ExecMainExitTimestamp": "",
    "Environment": "",
}
TIMER = {"LastTriggerUSec": "", "NextElapseUSecRealtime": ""}


def main(arguments: list[str]) -> int:
    """Do what the real one would; its exit code."""
    options = [word for word in arguments if word.startswith("--") and word != "--"]
    words = [word for word in arguments if word not in options]
    asked = [word for word in options if word.startswith("--property=")]
    if (HOME / "calls").exists():
        with (HOME / "calls").open("a") as calls:
            calls.write(json.dumps([arguments, dict(os.environ)]) + "\n")
    is_known = all(option in KNOWN or option in asked for option in options)
    if not is_known or len(words) < 3 or words[1] != "--" or (len(words) > 3 and words[0] != "show"):
        return 64
    if (HOME / "no-bus").exists():
        sys.stderr.write("Failed to connect to bus: No such file or directory\n")
        return 1
    if words[0] == "show":
        names = asked[0].partition("=")[2].split(",")
        sys.stdout.write("\n\n".join(shown(unit, names) for unit in words[2:]) + "\n")
        return 0
    return change(words[0], words[2], is_users="--user" in options)


def shown(unit: str, names: list[str]) -> str:
    """One paragraph: the properties asked for that the unit has."""
    state = read(unit)
    of_its_kind = TIMER if unit.endswith(".timer") else SERVICE
    told = state if state is not None else NOT_FOUND
    properties = {"Id": unit, "Description": unit, **LOADED, **of_its_kind, **told}
    return "\n".join(f"{name}={properties[name]}" for name in names if name in properties)


def change(verb: str, unit: str, *, is_users: bool) -> int:
    """Start, stop or restart."""
    state = read(unit)
    if state is None:
        words = "not loaded" if verb == "stop" else "not found"
        sys.stderr.write(f"Failed to {verb} {unit}: Unit {unit} {words}.\n")
        return 5
    if verb != "stop" and state.get("LoadState") in NO_JOB:
        sys.stderr.write(f"Failed to {verb} {unit}: Unit {unit} {NO_JOB[state['LoadState']]}.\n")
        return 1
    if "refuses" in state:
        sys.stderr.write(f"Failed to {verb} {unit}: {state['refuses']}\n")
        return 4
    if state.get("ActiveState", "inactive") in ALREADY.get(verb, ()):
        return 0
    time.sleep(float(state.get("takes", "0")))
    now = datetime.now(UTC).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")
    if "breaks" in state and verb != "stop":
        write(unit, state | {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"})
        sys.stderr.write(f"Job for {unit} failed because the control process exited with error code.\n")
        return 1
    if verb == "stop":
        changed = {"ActiveState": "inactive", "SubState": "dead", "InactiveEnterTimestamp": now}
        process = {"MainPID": "0", "ExecMainCode": "2", "ExecMainStatus": "15", "ExecMainExitTimestamp": now}
    else:
        sub = state.get("runs", "running")
        changed = {"ActiveState": "active", "SubState": sub, "ActiveEnterTimestamp": now}
        told(unit, f"Started {unit}.", "USER_UNIT" if is_users else "UNIT")
        process = {"MainPID": str(os.getpid()), "ExecMainCode": "0", "ExecMainStatus": "0", "NRestarts": "0"}
    if unit.endswith(".service"):
        changed |= process
    write(unit, state | changed | {"Result": "success", "job": f"{verb} {time.time_ns()}"})
    return 0


def told(unit: str, message: str, field: str) -> None:
    """A line of systemd's own in the journal."""
    entry = {"__REALTIME_TIMESTAMP": str(time.time_ns() // 1000), "PRIORITY": "6", field: unit}
    with (HOME / "journal").open("a") as journal:
        journal.write(json.dumps(entry | {"MESSAGE": message}) + "\n")


def read(unit: str) -> dict[str, str] | None:
    """A unit's properties, None for one that does not exist."""
    try:
        found: dict[str, str] = json.loads((HOME / "units" / unit).read_text())
    except FileNotFoundError:
        return None
    return found


def write(unit: str, state: dict[str, str]) -> None:
    """Beside, then in its place: nobody reads half of it."""
    beside = HOME / "units" / f".{unit}.{os.getpid()}"
    beside.write_text(json.dumps(state))
    beside.replace(HOME / "units" / unit)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
