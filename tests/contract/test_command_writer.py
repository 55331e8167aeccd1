"""Commands of the stack file, run for real: what they get, what they cannot do, and how they are ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backends.journal.redact import Redactor
from backends.model.action import Command, HttpCall, aim
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.secret import Secret
from backends.writers.command import CommandEffector
from tests.servers.process import wait_until

DONE, FAILED, UNKNOWN = ReceiptKind.DONE, ReceiptKind.FAILED, ReceiptKind.UNKNOWN
VALUES = {"symbol": "AAPL", "operator": "kim"}
CANARY = "canary-secret-4711"
TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))"


def python(program: str, *argv: str, **more: Any) -> Command:
    return Command("", (sys.executable, "-c", program, *argv), **more)


async def act(command: Command, values: Mapping[str, Any] = VALUES) -> Receipt:
    effector = CommandEffector([command], Redactor([Secret(CANARY)]).text, {"redis": Secret(CANARY)})
    await effector.warm()
    return await effector.act(command, values, Step("s", "Run it", command, ()))


async def told(command: Command, values: Mapping[str, Any] = VALUES) -> Any:
    receipt = await act(command, values)
    assert (receipt.kind, receipt.text) == (DONE, "exit 0"), receipt.after
    return json.loads(receipt.after or "")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


async def test_it_gets_its_arguments_a_folder_and_almost_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", CANARY)
    monkeypatch.setenv("DESK_REGION", "eu")
    command = python(TELL, "close", "$symbol", "--for=$operator", folder=str(tmp_path), env=("DESK_REGION",))
    argv, env, folder = await told(command)
    assert argv == ["close", "AAPL", "--for=kim"]
    assert folder == str(tmp_path)
    assert env["DESK_REGION"] == "eu"
    assert set(env) <= {"PATH", "HOME", "LANG", "DESK_REGION", "LC_CTYPE"}


async def test_a_password_goes_into_the_environment_of_the_program_that_is_to_have_it_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "of the shell")
    kept = tmp_path / "kept"
    keep = f"import json, os; open({str(kept)!r}, 'w').write(json.dumps(dict(os.environ))); {TELL}"
    named = {"REDIS_PASSWORD": "redis", "DB_PASSWORD": "a source without one"}
    command = python(keep, given={"REDIS_HOST": "10.0.0.5"}, secret=named)
    receipt = await act(command)
    env = json.loads(kept.read_text())
    assert (env["REDIS_PASSWORD"], env["REDIS_HOST"]) == (CANARY, "10.0.0.5")
    assert "DB_PASSWORD" not in env
    assert CANARY not in str(receipt)
    assert aim(command).startswith("REDIS_HOST=10.0.0.5 REDIS_PASSWORD=**** ")


@pytest.mark.parametrize("value", ["$(id)", "; id", "a b", "*", "a\nb", "`id`", "| id", "$HOME", "'\""])
async def test_no_shell_ever_sees_a_value(value: str) -> None:
    argv, _, _ = await told(python(TELL, "$symbol", "x$symbol"), {"symbol": value})
    assert argv == [value, f"x{value}"]


@pytest.mark.parametrize("value", ["--force", "-", "-5", -5, "", None, True, ["a"], "a\0b"])
async def test_a_value_cannot_become_an_option_or_nothing(value: object, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    receipt = await act(
        python("open(__import__('sys').argv[1], 'w')", str(ran), "$symbol"), {"symbol": value}
    )
    assert receipt.kind is FAILED
    assert "nothing was run" in receipt.text
    assert not ran.exists()


async def test_after_the_end_of_options_a_value_may_begin_like_one() -> None:
    argv, _, _ = await told(python(TELL, "-x", "--", "$symbol"), {"symbol": "--force"})
    assert argv == ["-x", "--", "--force"]


async def test_only_what_the_stack_file_lists_is_run(tmp_path: Path) -> None:
    listed = python("pass")
    effector = CommandEffector([listed], str)
    ran = tmp_path / "ran"
    for other in (python(f"open({str(ran)!r}, 'w')"), python("pass", "more"), python("pass", folder="/tmp")):
        receipt = await effector.act(other, VALUES, Step("s", "s", other, ()))
        assert receipt.kind is FAILED
        assert "does not list" in receipt.text
    call = HttpCall("x", "POST", "/")
    assert (await effector.act(call, VALUES, Step("s", "s", call, ()))).kind is FAILED
    assert not ran.exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("/bin/sh", "-c", "true"), "is a shell"),
        (("bash", "-c", "true"), "is a shell"),
        (("$symbol",), "must be named"),
        (("/nonexistent/program",), "no such file"),
        (("/etc",), "permission denied"),
        ((), "must be named"),
    ],
)
async def test_what_cannot_or_must_not_run_is_a_failure(argv: tuple[str, ...], words: str) -> None:
    receipt = await act(Command("", argv))
    assert receipt.kind is FAILED
    assert words in receipt.text
    assert "nothing was run" in receipt.text


async def test_a_missing_folder_is_named() -> None:
    receipt = await act(python("pass", folder="/nonexistent/folder"))
    assert receipt.kind is FAILED
    assert "/nonexistent/folder" in receipt.text


async def test_only_a_listed_exit_code_is_an_acknowledgement() -> None:
    program = "import sys; print('half done', file=sys.stderr); sys.exit(3)"
    receipt = await act(python(program))
    assert (receipt.kind, receipt.text) == (UNKNOWN, "exit 3: half done")
    receipt = await act(python(program, ok=(0, 3)))
    assert (receipt.kind, receipt.text, receipt.after) == (DONE, "exit 3", "half done")
    receipt = await act(python("import os; os.kill(os.getpid(), 9)"))
    assert (receipt.kind, receipt.text) == (UNKNOWN, "was ended by signal 9")


async def test_it_has_no_terminal_and_nothing_to_read() -> None:
    program = (
        "import json, os, sys\n"
        "try: tty = os.open('/dev/tty', os.O_RDWR)\n"
        "except OSError: tty = None\n"
        "print(json.dumps([sys.stdin.read(), tty, os.getpid() == os.getpgrp() == os.getsid(0)]))"
    )
    assert await told(python(program)) == ["", None, True]


async def test_what_it_prints_is_bounded_and_made_safe_and_holds_no_secret() -> None:
    program = (
        "import sys\n"
        "for n in range(200_000): print('line', n)\n"
        f"print('password is {CANARY}')\n"
        "sys.stdout.flush(); sys.stdout.buffer.write(b'\\x1b]52;c;x\\x07 \\xff end\\n')"
    )
    receipt = await act(python(program))
    after = receipt.after or ""
    assert receipt.kind is DONE
    assert after.startswith("… ")
    assert 50_000 < len(after) < 70_000
    assert "\x1b" not in after
    assert "\\x1b]52;c;x\\x07 \\xff end" in after
    assert CANARY not in after
    assert "password is ****" in after


async def test_half_a_secret_at_the_cut_is_left_out() -> None:
    """Two hundred thousand bytes without a line end, of which the kept part starts inside a secret."""
    rest = 65_536 - len(CANARY) // 2
    receipt = await act(python(f"print('x' * 100_000 + '{CANARY}' + 'y' * {rest - 1})"))
    assert CANARY[len(CANARY) // 2 :] not in (receipt.after or "")


@pytest.mark.linux
async def test_its_whole_group_is_ended_when_its_time_is_over(tmp_path: Path) -> None:
    """The child ignores SIGTERM and would live on."""
    pids = tmp_path / "pids"
    child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    program = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "print('waiting', flush=True); time.sleep(60)"
    )
    began = time.monotonic()
    # As much as two programs need to start on a busy machine.
    receipt = await act(python(program, timeout=4.0))
    assert time.monotonic() - began < 20.0
    assert (receipt.kind, receipt.text) == (UNKNOWN, "did not end within 4 s and was ended: waiting")
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda pid=pid: not is_alive(pid), 20, f"{pid} gone")


@pytest.mark.linux
async def test_a_command_that_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    command = python(f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    task = asyncio.create_task(act(command))
    await asyncio.to_thread(wait_until, lambda: pids.exists() and pids.read_text(), 10, "started")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    pid = int(pids.read_text())
    wait_until(lambda: not is_alive(pid), 20, "ended")


async def test_a_program_left_behind_does_not_hold_up_the_answer(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    )
    began = time.monotonic()
    receipt = await act(python(program))
    assert time.monotonic() - began < 20.0
    assert receipt.kind is DONE
    os.kill(int(receipt.after or "0"), 9)


@pytest.mark.alone
async def test_a_flood_of_output_takes_little_of_this_programs_time() -> None:
    before = time.process_time()
    receipt = await act(python("while True: print('y' * 10_000)", timeout=1.5))
    assert receipt.kind is UNKNOWN
    assert time.process_time() - before < 0.3


@pytest.mark.linux
async def test_no_open_files_are_left() -> None:
    await act(python("pass"))
    before = open_files()
    for _ in range(5):
        await act(python("print('x')"))
        await act(Command("", ("/nonexistent/program",)))
    assert open_files() <= before


async def test_output_for_a_file_replaces_it_only_when_the_program_ended_well(tmp_path: Path) -> None:
    target = tmp_path / "dump.sql"
    write = "import sys; print('-- dump complete' * 9000); print('said', file=sys.stderr); sys.exit({})"
    receipt = await act(python(write.format(0), output=str(target)))
    assert receipt.kind is DONE and receipt.text == f"exit 0, 144001 bytes in {target}"
    assert receipt.after == "said"
    whole = target.read_text()
    assert target.stat().st_mode & 0o777 == 0o600 and whole.endswith("-- dump complete\n")
    failed = await act(python("print('half'); import sys; sys.exit(3)", output=str(target)))
    ended = await act(python("import time; print('half'); time.sleep(9)", output=str(target), timeout=0.3))
    assert (failed.kind, ended.kind) == (UNKNOWN, UNKNOWN)
    assert target.read_text() == whole and names(tmp_path) == ["dump.sql"]


async def test_output_for_a_folder_that_is_not_there_runs_nothing(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = f"open({str(ran)!r}, 'w')"
    receipt = await act(python(program, output=str(tmp_path / "none" / "dump.sql")))
    assert receipt.kind is FAILED and "no such file or directory; nothing was run" in receipt.text
    assert not ran.exists()
