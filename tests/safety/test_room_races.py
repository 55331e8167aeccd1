"""Stop wins every race between two whole rooms, each a process of its own, with one journal.

One halts and the other resumes the shipped kill switch of one real Redis, some hundredths of a second apart.
``CONTROLROOM_SOAK=1`` runs three hundred races, else six.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[2]
RACES = 300 if os.environ.get("CONTROLROOM_SOAK") else 6
AHEAD = (-0.02, 0.0, 0.01, 0.02, 0.03, 0.4)
"""Seconds by which the resume is ahead of the halt, of the first races."""
KEY = "kill_switch:state"

Room = subprocess.Popen[str]


@pytest.fixture
def rooms(tmp_path: Path, redis_db: RedisServer) -> Iterator[tuple[Room, Room]]:
    """Two consoles of one host, with one journal."""
    argv = [sys.executable, "-m", "tests.safety.racing_room", str(tmp_path), redis_db.url]
    with ExitStack() as both:
        made = [
            both.enter_context(
                subprocess.Popen(
                    argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT
                )
            )
            for _ in range(2)
        ]
        for room in made:
            assert heard(room) == "ready"
        yield made[0], made[1]
        for room in made:
            assert room.stdin is not None
            room.stdin.close()
            room.wait(20)


def tell(room: Room, words: str) -> None:
    assert room.stdin is not None
    room.stdin.write(words + "\n")


def heard(room: Room) -> str:
    assert room.stdout is not None
    return room.stdout.readline().strip()


def test_a_resume_of_one_room_never_undoes_the_halt_of_another(
    rooms: tuple[Room, Room], redis_db: RedisServer
) -> None:
    random, met = Random(4711), set[str]()
    for race in range(RACES):
        seen = f"2026-11-21T00:00:00.{race:06d}+00:00"
        state = {"state": "ENGAGED", "engaged_at": seen, "engaged_by": "max", "engagement_reason": "before"}
        redis_db.command("SET", KEY, json.dumps(state))
        halting, resuming = random.sample(rooms, 2)
        ahead = AHEAD[race] if race < len(AHEAD) else random.uniform(-0.03, 0.06)
        calls = [(halting, f"halt h-{race} {seen}"), (resuming, f"resume r-{race} {seen}")]
        first, second = calls if ahead < 0 else reversed(calls)
        tell(*first)
        time.sleep(abs(ahead))
        tell(*second)
        told = [heard(halting), heard(resuming)]
        left = json.loads(redis_db.command("GET", KEY).split(b"\r\n", 1)[1])
        assert left["state"] == "ENGAGED", (race, told)
        assert left["engaged_at"] > seen, "a later resume must be held against this halt"
        assert told[0].split()[1] in ("VERIFIED", "ALREADY"), (race, told)
        met.add(told[1].split()[1])
    # They were races: some came too late to resume, and some had resumed before.
    assert RACES < 100 or {"REFUSED", "VERIFIED"} < met, met
