"""Stands for systemd's ``journalctl`` where no journal is kept: a program of its own, put there by ``Units``.

It knows the arguments this room's reader uses (64 for any other) and prints entries of the file ``journal``
as JSON, a cursor in each, as the real one does with ``--output=json``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PLAIN = ("--no-pager", "--quiet", "--follow", "--output=json", "--no-tail", "--boot")
VALUED = ("--output-fields", "--after-cursor", "--lines", "--unit", "--user-unit", "--since")
FIELDS = {"--unit": ("_SYSTEMD_UNIT", "UNIT"), "--user-unit": ("_SYSTEMD_USER_UNIT", "USER_UNIT")}
EVERY = 0.1


def main(arguments: list[str]) -> int:
    """Print what is there, then what comes, for as long as somebody reads."""
    values: dict[str, list[str]] = {}
    for word in arguments:
        name, _, value = word.partition("=")
        if name in VALUED:
            values.setdefault(name, []).append(value)
        elif word not in PLAIN:
            return 64
    wanted = {field: values.get(option, []) for option, names in FIELDS.items() for field in names}
    after = values.get("--after-cursor", ["s=demo;i=0"])[0]
    place = int(after.rpartition("=")[2])
    lines = (HOME / "journal").read_bytes().splitlines()
    since = float(values.get("--since", ["@0"])[0].removeprefix("@")) * 1e6
    entries = matching(lines[place:], place, wanted)
    entries = [entry for entry in entries if int(str(entry["__REALTIME_TIMESTAMP"])) >= since]
    if "--lines" in values:
        entries = entries[-int(values["--lines"][0]) :]
    place = len(lines)
    while True:
        for entry in entries:
            sys.stdout.write(json.dumps(entry) + "\n")
        sys.stdout.flush()
        if "--follow" not in arguments:
            return 0
        time.sleep(EVERY)
        lines = (HOME / "journal").read_bytes().splitlines()
        entries = matching(lines[place:], place, wanted)
        place = len(lines)


def matching(lines: list[bytes], place: int, wanted: dict[str, list[str]]) -> list[dict[str, object]]:
    """The entries with a field that names one of the units wanted for it, each with the cursor after it."""
    entries = [{**json.loads(line), "__CURSOR": f"s=demo;i={place + n}"} for n, line in enumerate(lines, 1)]
    return [entry for entry in entries if any(entry.get(field) in units for field, units in wanted.items())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
