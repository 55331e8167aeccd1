"""A secret that is replaced in its file is used from then on, without a restart; the old one stays hidden."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends import rotation
from backends.engine import Engine, Mode
from backends.journal.redact import Redactor
from backends.journal.verify import read
from backends.model.intent import Intent
from backends.model.procedure import Verdict
from backends.model.reading import Outcome
from backends.model.safetext import SafeText
from backends.model.secret import Secret
from backends.rotation import Rotation
from backends.secret_file import CredentialError, from_file
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

OLD, NEW = "old-canary-4711-aaaa", "new-canary-0815-bbbb"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "redis-password"
    path.write_text(OLD + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def guarded(redis_db: RedisServer) -> Iterator[RedisServer]:
    """A Redis on which an operator of this name and password may read."""
    redis_db.command("ACL", "SETUSER", "room", "on", f">{OLD}", "~*", "+@all")
    redis_db.command("SET", "kill_switch:state", '{"state": "ACTIVE"}')
    yield redis_db
    redis_db.command("ACL", "DELUSER", "room")


@contextmanager
def a_room(
    tmp_path: Path,
    guarded: RedisServer,
    secret_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    every: float = 0.3,
) -> Iterator[Engine]:
    """An armed room that logs in with what is in the file, looked at again after so many seconds."""
    monkeypatch.setattr(rotation, "EVERY", every)
    plain = redis_stack(guarded.url)
    source = replace(plain.sources["redis"], username="room", password=from_file(secret_file).value)
    engine = Engine([replace(plain, sources={"redis": source})], Mode.ARMED, tmp_path, KIM)
    engine.start()
    try:
        wait_until(lambda: outcome(engine) is Outcome.OK, 10.0)
        yield engine
    finally:
        engine.stop()


def outcome(engine: Engine) -> Outcome:
    return engine.board("tiny").readings["kill.state"].outcome


def replace_it(guarded: RedisServer) -> None:
    """Another password on the server, which drops who came with the old one."""
    guarded.command("ACL", "SETUSER", "room", f"<{OLD}", f">{NEW}")
    guarded.command("CLIENT", "KILL", "USER", "room")


def halts(engine: Engine, guarded: RedisServer) -> None:
    """A stop is asked for, and proved."""
    engine.submit(Intent("op-1", "tiny", "halt", KIM, SafeText("rotated"), seen=0, via="screen"))
    wait_until(lambda: (run := engine.run("op-1")) and run.verdict, 10, "a verdict")
    run = engine.run("op-1")
    assert run is not None
    assert run.verdict is Verdict.VERIFIED, run.sentence
    assert b"ENGAGED" in guarded.command("GET", "kill_switch:state")


def rotate(guarded: RedisServer, secret_file: Path, engine: Engine) -> None:
    """Replaced on the server, noticed, and then in the file."""
    replace_it(guarded)
    wait_until(lambda: outcome(engine) is Outcome.FAILED, 10.0)
    secret_file.write_text(NEW + "\n")
    wait_until(lambda: outcome(engine) is Outcome.OK, 15.0)


def test_a_stop_lands_with_the_new_one_although_its_connection_was_warm_with_the_old(
    tmp_path: Path, guarded: RedisServer, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_room(tmp_path, guarded, secret_file, monkeypatch) as engine:
        wait_until(lambda: guarded.command("CLIENT", "LIST").count(b"user=room") > 1, 10, "a warm writer")
        rotate(guarded, secret_file, engine)
        halts(engine, guarded)


def test_a_stop_reads_the_file_anew_and_does_not_wait_until_its_turn_comes(
    tmp_path: Path, guarded: RedisServer, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_room(tmp_path, guarded, secret_file, monkeypatch, every=600.0) as engine:
        replace_it(guarded)
        secret_file.write_text(NEW + "\n")
        halts(engine, guarded)


def test_reads_recover_when_the_file_has_the_new_one_and_both_stay_hidden(
    tmp_path: Path, guarded: RedisServer, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_room(tmp_path, guarded, secret_file, monkeypatch) as engine:
        rotate(guarded, secret_file, engine)
        engine.record("noted", "tiny", "halt", f"it was {OLD} and is {NEW}")
    told = [record["text"] for record in read(tmp_path / "journal")]
    assert "it was **** and is ****" in told
    assert any(text.startswith("a credential was replaced") for text in told)
    assert OLD not in str(told)
    assert NEW not in str(told)


def test_a_file_that_cannot_be_trusted_any_more_changes_nothing(secret_file: Path) -> None:
    secret = from_file(secret_file).value
    redactor = Redactor([secret])
    secret_file.write_text(NEW)
    secret_file.chmod(0o644)
    with pytest.raises(CredentialError):
        secret.renew()
    assert secret.reveal() == OLD
    secret_file.chmod(0o600)
    assert secret.renew()
    assert not secret.renew()
    assert secret.reveal() == NEW
    assert redactor.text(f"{OLD} {NEW}") == "**** ****"


async def renewed(is_so: Callable[[], bool], *secrets: Secret) -> None:
    """A stop asks for it until it is so, which is before the files' own turn comes."""
    rotating = Rotation(secrets, lambda _: None)
    keeping = asyncio.create_task(rotating.keep())
    async with asyncio.timeout(rotation.EVERY / 2):
        while not is_so():
            rotating.hurry()
            await asyncio.sleep(0.01)
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


def test_a_file_on_a_disk_that_hangs_keeps_no_other_secret_from_being_renewed(secret_file: Path) -> None:
    other, back = from_file(secret_file).value, threading.Event()
    secret_file.write_text(NEW)

    def hangs() -> str:
        back.wait(30)
        return OLD

    async def looks() -> None:
        try:
            await renewed(lambda: other.reveal() == NEW, Secret(OLD, hangs), other)
        finally:
            back.set()

    asyncio.run(looks())


def test_a_disk_that_answers_with_an_error_ends_nothing_and_keeps_no_other_secret_from_being_renewed(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file server that was restarted does: the file opens, and cannot be read."""
    broken = secret_file.with_name("broken")
    broken.write_text(OLD)
    broken.chmod(0o600)
    first, other = from_file(broken).value, from_file(secret_file).value
    secret_file.write_text(NEW)
    real, inode, refused = os.fstat, broken.stat().st_ino, list[int]()

    def stale(handle: int) -> os.stat_result:
        about = real(handle)
        if about.st_ino == inode:
            refused.append(handle)
            raise OSError(errno.ESTALE, "Stale file handle")
        return about

    monkeypatch.setattr(os, "fstat", stale)
    with pytest.raises(CredentialError, match="stale file handle"):
        from_file(broken)
    refused.clear()
    # Whoever is refused twice went on after the first time.
    asyncio.run(renewed(lambda: other.reveal() == NEW and len(refused) > 1, first, other))
    assert first.reveal() == OLD
