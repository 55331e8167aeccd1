"""What the desk's bus and files say that is easily misread: its own facts, by the readers that ship."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.derivation import Deriver
from backends.board.derive import real_money
from backends.model.examination import Answer
from backends.model.fact import Absent, Broken, Finding, Found, Level, Table, ValueType
from backends.model.judge import level_of
from backends.model.query import DockerQuery, FileQuery
from backends.model.stack import Stack
from backends.readers.files import FilesFactReader
from backends.readers.redis import RedisFactReader
from backends.stacks.loader import built_in, load_stack
from tests.building import START, checked, generations, missing, ok, running
from tests.servers.redis import RedisServer

STACK = load_stack(built_in()["hummingbot-desk"])
INTENTS, LETTERS = "hb.execution_intent.v1", "hb.dead_letter.v1"


async def ask(server: RedisServer, *names: str) -> list[Finding]:
    reader = RedisFactReader(replace(STACK.sources["redis-slow"], url=server.url, deadline=5.0))
    found = await reader.read([STACK.facts[name] for name in names])
    await reader.close()
    return [found[name] for name in names]


def level(name: str, found: Finding) -> Level | None:
    return level_of(STACK.facts[name], found.value) if isinstance(found, Found) else None


def put(server: RedisServer, stream: str, ago: float, payload: Any, number: int = 0, **trim: int) -> None:
    limit = ["MAXLEN", str(trim["longest"])] if trim else []
    ident = f"{int((time.time() - ago) * 1000)}-{number}"
    said = payload if isinstance(payload, str) else json.dumps(payload)
    server.command("XADD", stream, *limit, ident, "payload", said)


async def test_a_flood_of_intents_is_seen_where_their_stream_is_at_its_longest(redis_db: RedisServer) -> None:
    """3.6: XLEN saturates at the trim length. A hard stop that lasts for hours fills it."""
    for number in range(40):
        put(redis_db, INTENTS, 300.0, {"action": "soft_pause"}, number)
    (calm,) = await ask(redis_db, "intents.flow")
    assert (calm, level("intents.flow", calm)) == (Found(0), Level.OK)
    for number in range(40):
        put(redis_db, INTENTS, 30.0, {"action": "kill_switch"}, number, longest=40)
    assert redis_db.command("XLEN", INTENTS) == b":40\r\n", "as long as before"
    (flood,) = await ask(redis_db, "intents.flow")
    assert (flood, level("intents.flow", flood)) == (Found(40), Level.CRIT)


async def test_more_intents_than_are_counted_are_a_flood_as_well(redis_db: RedisServer) -> None:
    for number in range(260):
        put(redis_db, INTENTS, 5.0, {"action": "kill_switch"}, number)
    assert await ask(redis_db, "intents.flow") == [Found(200)]


@pytest.mark.parametrize(
    ("reasons", "ago", "new", "faults", "worst"),
    [
        ([], 0.0, 0, 0, Level.OK),
        (["local_authority_reject", "expired_intent"], 60.0, 2, 0, Level.WARN),
        (["local_authority_reject", "controller_not_found"], 60.0, 2, 1, Level.CRIT),
        (["schema_validation"], 60.0, 1, 1, Level.CRIT),
        ([None], 60.0, 1, 1, Level.CRIT),
        (["controller_not_found"], 1000.0, 0, 0, Level.OK),
    ],
)
async def test_one_intent_that_another_bot_took_is_a_fault_and_one_that_came_too_late_is_none(
    redis_db: RedisServer, reasons: list[str | None], ago: float, new: int, faults: int, worst: Level
) -> None:
    """10.2, 3.6: the wrong bot acknowledges it, and the right one never sees it."""
    put(redis_db, LETTERS, 2000.0, {"reason": "controller_not_found", "entry_id": "1-0"})
    for number, reason in enumerate(reasons):
        put(redis_db, LETTERS, ago, {"entry_id": "1-0", "reason": reason}, number)
    found = await ask(redis_db, "dead.new", "dead.faults")
    assert found == [Found(new), Found(faults)]
    levels = {level(name, it) for name, it in zip(("dead.new", "dead.faults"), found, strict=True)}
    assert next(each for each in (Level.CRIT, Level.WARN, Level.OK) if each in levels) is worst
    (alarm,) = [each for each in STACK.alarms if each.id == "dead-letters"]
    assert (alarm.fact, alarm.at) == ("dead.faults", Level.CRIT)


async def test_letters_that_cannot_be_read_are_not_none(redis_db: RedisServer) -> None:
    put(redis_db, LETTERS, 60.0, '{"reason": "controller_no')
    new, faults = await ask(redis_db, "dead.new", "dead.faults")
    assert new == Found(1)
    assert isinstance(faults, Broken)


async def test_without_a_stream_nothing_was_counted(redis_db: RedisServer) -> None:
    assert await ask(redis_db, "intents.flow", "dead.new", "dead.faults") == [Absent(), Absent(), Absent()]


@pytest.mark.parametrize("bot", ["bot2", "bot3"])
async def test_real_money_is_real_after_midnight_too_when_its_banner_is_in_the_log_of_yesterday(
    tmp_path: Path, bot: str
) -> None:
    """8, 11.6: logs are begun anew each day, and seven are kept. Nothing but the banner says which it is."""
    logs = tmp_path / "data" / bot / "logs"
    logs.mkdir(parents=True)
    began = "2026-02-26 09:00:00,000 - 1 - epp - WARNING - LIVE MODE \u2014 REAL MONEY AT RISK\n"
    (logs / "logs_x.log.2026-02-26").write_text(began)
    (logs / "logs_x.log").write_text("2026-02-27 00:00:01,000 - 1 - epp - INFO - tick\n")
    fact = STACK.facts[f"{bot}.mode"]
    reader = FilesFactReader(replace(STACK.sources["files"], url=f"file://{tmp_path}", deadline=10.0))
    found = (await reader.read([fact]))[fact.id]
    assert isinstance(found, Found)
    reading = ok(fact.id, found.value)
    assert real_money(STACK, {fact.id: reading, f"service:{bot}": running(bot)}, START) == {fact.id}
    (alarm,) = [each for each in STACK.alarms if each.fact == fact.id]
    assert (alarm.at, alarm.service) == (level(fact.id, found), bot)


@pytest.mark.parametrize("form", generations("hummingbot-desk"))
async def test_a_default_password_is_an_alarm_and_fails_its_check_and_no_value_is_told(
    tmp_path: Path, form: str
) -> None:
    """10.3: the compose and template files are public."""
    stack = generations("hummingbot-desk")[form]
    fact = stack.facts["env.public"]
    assert isinstance(fact.query, FileQuery)
    template, compose = fact.query.public
    fallback = "environment:\n  GF_SECURITY_ADMIN_PASSWORD: ${GRAFANA_ADMIN_PASSWORD:-canary-admin}\n"
    own, bot = "own-canary", "BOT2_PASSWORD=canary-2\n"
    well = f"GRAFANA_ADMIN_PASSWORD={own}\nBOT2_PASSWORD={own}\n"
    for env, public in ((well, 0), (well + bot, 1), (well.partition("\n")[2], 1)):
        for name, text in ((fact.query.path, env), (template, bot), (compose, fallback)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        reader = FilesFactReader(replace(stack.sources["files"], url=f"file://{tmp_path}", deadline=10.0))
        found = (await reader.read([fact]))[fact.id]
        assert isinstance(found, Found) and isinstance(found.value, Table)
        assert (found.value.total, "canary" in repr(found)) == (public, False)
        answer = checked(stack, "passwords-own", ok(fact.id, found.value))
        assert answer is (Answer.NO if public else Answer.YES)
        (alarm,) = [each for each in stack.alarms if each.fact == fact.id]
        assert (level_of(fact, found.value) is alarm.at) is bool(public)


@pytest.mark.parametrize("bot", ["bot1", "bot3"])
async def test_the_minutes_of_the_newest_generation_are_read_where_it_writes_them_now(
    tmp_path: Path, bot: str
) -> None:
    """7.1: beside what it left in the folder of before."""
    stack = generations("hummingbot-desk")["H"]
    for folder, hours in (("epp_v24", 48), ("runtime_v24", 0)):
        at = time.time() - 3600 * hours
        path = tmp_path / f"data/{bot}/logs/{folder}/{bot}_a/minute.csv"
        path.parent.mkdir(parents=True)
        row = f"{datetime.fromtimestamp(at, UTC).isoformat()},{folder},{hours}\n"
        path.write_text("ts,state,orders_active\n" + row)
        os.utime(path, (at, at))
    minutes = [
        fact
        for fact in stack.facts.values()
        if isinstance(fact.query, FileQuery) and fact.query.path.endswith(f"/{bot}_*/minute.csv")
    ]
    reader = FilesFactReader(replace(stack.sources["files"], url=f"file://{tmp_path}", deadline=10.0))
    found = await reader.read(minutes)
    newest = [it for it in found.values() if isinstance(it, Found) and it.observed_wall is not None]
    assert newest and all(time.time() - (it.observed_wall or 0.0) < 600 for it in newest)


def logged(at: float, level: str) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S},000 - 1 - epp - {level} - something\n"


@pytest.mark.parametrize("form", generations("hummingbot-desk"))
@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ([(-900, "ERROR"), (60, "INFO")], Answer.YES),
        ([(-900, "INFO"), (60, "ERROR"), (120, "INFO")], Answer.NO),
        ([(60, "CRITICAL")], Answer.NO),
        ([(60, "WARNING")], Answer.YES),
    ],
)
async def test_an_error_of_a_bot_is_in_its_file_alone_for_what_docker_has_of_it_has_no_level(
    tmp_path: Path, form: str, lines: list[tuple[int, str]], answer: Answer
) -> None:
    """8: a headless one says time, logger and text there, and the runbook's grep for ERROR finds nothing."""
    stack = generations("hummingbot-desk")[form]
    started = START.wall - 3600
    (tmp_path / "data/bot1/logs").mkdir(parents=True)
    text = "".join(logged(started + at, level) for at, level in lines)
    (tmp_path / "data/bot1/logs/logs_x.log").write_text(text)
    reader = FilesFactReader(replace(stack.sources["files"], url=f"file://{tmp_path}", deadline=10.0))
    found = (await reader.read([stack.facts["bot1.error_at"]]))["bot1.error_at"]
    error = (
        missing("bot1.error_at") if found == Absent() else ok("bot1.error_at", getattr(found, "value", None))
    )
    since = ok("bot1.started", started)
    made = Deriver(stack).make("bot1.error_since", {each.key: each for each in (error, since)}, START)
    others = {each.fact for each in stack.checks["logs-clean"].demands} - {made.key}
    rest = [ok(fact, False if stack.facts[fact].type is ValueType.BOOL else 0) for fact in others]
    assert checked(stack, "logs-clean", made, *rest) is answer


@pytest.mark.parametrize(
    "stack", [*generations("hummingbot-desk").values(), load_stack(built_in()["surveillance"])]
)
def test_no_check_takes_the_newest_lines_of_a_log_for_all_of_a_run(stack: Stack) -> None:
    """A line that has left the newest ones was written all the same: only a bool knows of the whole run."""
    for name, check in stack.checks.items():
        for demand in check.demands:
            fact = stack.facts.get(demand.fact)
            if fact is not None and isinstance(fact.query, DockerQuery) and fact.query.since_start:
                is_of_run = fact.type in (ValueType.BOOL, ValueType.TEXT, ValueType.TIME)
                assert is_of_run or demand.at_most != 0, (name, fact.id)


KEYS = ("KILL_SWITCH_API_KEY", "KILL_SWITCH_SECRET", "KILL_SWITCH_PASSPHRASE")


@pytest.mark.parametrize(
    ("values", "count"),
    [
        (("canary", "canary", "canary"), 3),
        (("canary", "canary", ""), 2),
        (("your_key", "canary", "canary"), 2),
        (("your_key", "your_key", "your_key"), 0),
    ],
)
@pytest.mark.parametrize("form", ["R1", "H"])
async def test_a_key_that_is_still_the_template_s_is_no_key_to_cancel_with(
    tmp_path: Path, form: str, values: tuple[str, ...], count: int
) -> None:
    """5: credentials are tested before a dry run is, and a kill with none answers and cancels nothing."""
    stack = generations("hummingbot-desk")[form]
    fact = stack.facts["kill.keys"]
    assert isinstance(fact.query, FileQuery)
    for name, given in ((fact.query.path, values), (fact.query.public[0], ("your_key",) * 3)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{key}={value}\n" for key, value in zip(KEYS, given, strict=True))
        (tmp_path / name).write_text(text)
    reader = FilesFactReader(replace(stack.sources["files"], url=f"file://{tmp_path}", deadline=10.0))
    found = (await reader.read([fact]))[fact.id]
    assert found == Found(count) and "canary" not in repr(found)
    rest = [ok("kill.dry_run", True), ok("kill.health", "ok"), missing("kill.error")]
    assert checked(stack, "kill-ready", *rest, ok(fact.id, count)) is (
        Answer.YES if count == 3 else Answer.NO
    )
