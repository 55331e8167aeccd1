"""What the journal survives: other processes, a full disk, a killed room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from backends.journal.verify import read, verify
from tests.servers.process import wait_until

ROOT = Path(__file__).parents[2]

WRITER = """
import sys
from pathlib import Path
from backends.journal.entry import Kind, Session
from backends.journal.identity import identify
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.model.clock import SystemClock
from tests.records import whole

folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
journal = Journal(folder, Session(identify(), "0.1.0"), SystemClock(), Redactor())
for number in range(count):
    journal.post(whole(Kind.STEP, f"{name} {number}"))
sys.exit(journal.close(60))
"""

HALT = """
import asyncio, json, resource, sys
from pathlib import Path
from msgspec.structs import replace
from backends.journal.entry import Entry, Kind, Session
from backends.journal.journal import Journal
from backends.journal.redact import Redactor
from backends.model.clock import SystemClock
from tests.sim.world import HALT, KIM, RUNG_1, RUNG_2, Reader, Service, World, intent, tiny_stack
from backends.procedures.permit import arm
from backends.procedures.runner import Procedures

folder, fault, room_left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def say(**what):
    print(json.dumps(what), flush=True)

class Loud(Service):
    async def act(self, action, values, step):
        say(effect=self.source)
        return await super().act(action, values, step)

async def main():
    clock = SystemClock()
    journal = Journal(folder, Session(KIM, "0.1.0"), clock, Redactor())
    await journal.record(Entry(Kind.NOTE, "before"), 5)
    if room_left >= 0:
        file = folder / "000001.jsonl"
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + room_left, resource.RLIM_INFINITY))
    world = World()
    services = {"redis": Loud(world, "redis", fault), "orchestrator": Loud(world, "orchestrator", fault)}
    # With time for a busy machine: that the second way begins is not what is tested.
    stack = tiny_stack(replace(HALT, steps=(RUNG_1, replace(RUNG_2, after=5.0))))
    made = Procedures(
        stack, arm(KIM, is_watch=False), services, Reader(world), journal, clock, lambda run: None
    )
    run = await made.execute(intent())
    say(verdict=run.verdict.value, degraded=run.journal_degraded, unwritten=journal.unwritten)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.record(Entry(Kind.NOTE, "after"), 5)
    await made.close()
    say(left=journal.close(5))

asyncio.run(main())
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(child: subprocess.Popen[str]) -> list[dict[str, object]]:
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_eight_processes_at_once_write_one_valid_chain(tmp_path: Path) -> None:
    children = [start(WRITER, tmp_path, name, 1000) for name in "abcdefgh"]
    for child in children:
        said(child)
    found = verify(tmp_path)
    assert (found.records, found.repairs, found.damage) == (8000, 0, None)
    texts = [record["text"] for record in read(tmp_path)]
    for name in "abcdefgh":
        own = [text for text in texts if text.startswith(name)]
        assert own == [f"{name} {number}" for number in range(1000)]


def test_a_process_killed_while_writing_leaves_a_chain_the_others_go_on_with(tmp_path: Path) -> None:
    victim, other = start(WRITER, tmp_path, "victim", 100_000), start(WRITER, tmp_path, "other", 300)
    journal = tmp_path / "000001.jsonl"
    wait_until(lambda: journal.exists() and b"victim 50" in journal.read_bytes(), 30)
    victim.kill()
    victim.communicate()
    said(other)
    said(start(WRITER, tmp_path, "last", 1))
    assert verify(tmp_path).is_whole
    texts = [record["text"] for record in read(tmp_path)]
    assert [text for text in texts if text.startswith("other")] == [
        f"other {number}" for number in range(300)
    ]
    assert texts[-1] == "last 0"


@pytest.mark.parametrize("room_left", [0, 1, 300])
def test_with_a_full_disk_the_stop_works_and_is_marked_and_its_records_come_later(
    tmp_path: Path, room_left: int
) -> None:
    *effects, outcome, end = said(start(HALT, tmp_path, "ok", room_left))
    assert effects == [{"effect": "redis"}]
    assert (outcome["verdict"], outcome["degraded"]) == ("VERIFIED", True)
    assert outcome["unwritten"] != 0
    assert end == {"left": 0}
    found = verify(tmp_path)
    assert (found.repairs, found.damage) == (0, None)
    records = list(read(tmp_path))
    kinds = [record["kind"] for record in records]
    assert kinds[:2] == ["note", "intent"]
    assert "outcome" in kinds
    assert kinds.index("intent") < kinds.index("step") < kinds.index("outcome")
    assert all(each.get("audit_degraded") for each in records if each["kind"] in ("intent", "outcome"))


@pytest.mark.parametrize("fault", ["hang", "ok"])
def test_a_room_killed_at_its_first_effect_leaves_its_intent_behind(tmp_path: Path, fault: str) -> None:
    child = start(HALT, tmp_path, fault, -1)
    assert child.stdout is not None
    assert json.loads(child.stdout.readline()) == {"effect": "redis"}
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    intents = [record for record in read(tmp_path) if record["kind"] == "intent"]
    assert [each["operation"] for each in intents] == ["op-1"]
    assert verify(tmp_path).damage is None
