"""A room of its own process that belongs to another account of this host, and does what it is told.

Run as a program by root: uid, the group both are in, umask, state folder, URL of the Redis. Each line it
hears is an order; it answers with one line of JSON.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.json import encode
from msgspec.structs import replace

from backends.engine import Engine, Mode
from backends.journal import identity
from backends.journal.chain_file import ChainFile
from backends.journal.entry import Entry, Kind, Session, body
from backends.journal.identity import identify
from backends.journal.verify import verify
from backends.model.clock import SystemClock
from backends.model.intent import Intent
from backends.model.procedure import Run
from backends.model.safetext import SafeText
from backends.model.stack import Stack
from backends.procedures import stop_runner
from backends.procedures.approval import ApprovalError
from backends.state_folder import closed
from tests.safety.racing_room import racing_stack

SMALL = 4000
"""Bytes after which a file of the chain is ended here: a few records."""


@dataclass
class Account:
    """This account's room."""

    engine: Engine
    folder: Path
    stack: Stack

    def intent(self, procedure: str, operation: str, epoch: str, **changes: Any) -> Intent:
        phrase = f"RESUME {self.stack.id}" if procedure == "resume" else None
        made = Intent(
            operation, self.stack.id, procedure, self.engine.operator, SafeText("ticket-OPS-7-is-done"),
            0, "cli", phrase=phrase, shown={"epoch": epoch},
        )  # fmt: skip
        return replace(made, **changes)

    def run(self, intent: Intent) -> Run:
        changed = threading.Event()
        unsubscribe = self.engine.subscribe(changed.set)
        self.engine.submit(intent)
        while (run := self.engine.run(intent.id)) is None or run.verdict is None:
            changed.wait(1.0)
            changed.clear()
        unsubscribe()
        return run

    def told(self, run: Run) -> dict[str, Any]:
        assert run.verdict is not None
        return {"verdict": run.verdict.name, "sentence": str(run.sentence), "plan": run.plan}

    def halt(self, operation: str, epoch: str) -> dict[str, Any]:
        return self.told(self.run(self.intent("halt", operation, epoch)))

    def dry(self, operation: str, epoch: str) -> dict[str, Any]:
        return self.told(self.run(self.intent("resume", operation, epoch, is_dry=True)))

    def ask(self, epoch: str, plan: str) -> str:
        return self.engine.approvals().request(self.intent("resume", "r", epoch), plan).code

    def approve(self, code: str) -> str:
        return self.engine.approvals().approve(code, self.engine.operator).procedure

    def resume(self, operation: str, epoch: str, plan: str, code: str) -> dict[str, Any]:
        return self.told(self.run(self.intent("resume", operation, epoch, plan=plan, approval=code)))

    def chain(self, number: str) -> str:
        """So many records, in files that are soon ended."""
        session = Session(self.engine.operator, "1", "live", "")
        file = ChainFile(self.folder / "journal", limit=SMALL)
        for each in range(int(number)):
            file.append(body(Entry(Kind.NOTE, f"record {each}"), session, SystemClock().now()), True)
        return "written"

    def verify(self) -> str:
        return str(verify(self.folder / "journal"))

    def closed(self) -> Any:
        return closed(self.folder, "journal", "journal/[!.]*", "plans", "approvals")

    def trouble(self) -> str | None:
        return self.engine._journal.trouble

    def forge(self, code: str, source: str, text: str) -> str:
        """A consent in a file that is another's and that this account may write to."""
        (self.folder / source).write_text(text)
        os.link(self.folder / source, self.folder / f"approvals/{code}.approval")
        return "linked"

    def move(self, source: str, target: str) -> str:
        (self.folder / source).rename(self.folder / target)
        return "moved"

    def remove(self, path: str) -> str:
        (self.folder / path).unlink()
        return "removed"

    def touch(self, path: str) -> str:
        """As if it had been made this moment."""
        os.utime(self.folder / path)
        return "touched"


def become(uid: int, group: int, umask: int) -> None:
    """That account from here on, in a group of its own and the common one."""
    os.setgroups([group] if group else [])
    os.setgid(uid)
    os.setuid(uid)
    os.umask(umask)


def main(uid: int, group: int, umask: int, folder: Path, url: str) -> None:
    stop_runner.QUIET = 0.0  # type: ignore[misc]  # the verdict is that of the end
    identity.LOGIN = Path("/nowhere")  # Whose login the tests are run by is another matter.
    plain = racing_stack(url)
    resume = replace(plain.procedures["resume"], needs_approval=True)
    stack = replace(plain, procedures={**plain.procedures, "resume": resume})

    def room(place: Path) -> Account:
        return Account(Engine([stack], Mode.ARMED, place, identify(), observe=False), place, stack)

    with TemporaryDirectory() as place:
        # As we are, once: all code is loaded from where perhaps only we may read.
        first = room(Path(place))
        first.engine.start()
        first.halt("h-0", "none")
        first.dry("r-0", "none")
        first.engine.stop()
    become(uid, group, umask)
    own = room(folder)
    own.engine.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order, *words = line.rstrip("\n").split(" ")
        try:
            answer = getattr(own, order)(*words)
        except (OSError, ApprovalError) as error:
            answer = f"{type(error).__name__}: {error}"
        sys.stdout.write(encode(answer).decode() + "\n")
        sys.stdout.flush()
    own.engine.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3], 8), Path(sys.argv[4]), sys.argv[5])
