"""The Hummingbot desk's demo, run by the engine that ships: halts, false halts, and one procedure a class."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from backends.model.examination import Answer
from backends.model.procedure import Verdict
from backends.model.stack import Environment
from backends.model.trading import TradingState
from backends.model.weigh import word_of
from backends.procedures.confirm import phrase_of
from tests.contract.desk_room import ID, LONGEST, PRACTISED, SCRIPTS, Room, desk_room
from tests.contract.desk_signs import is_started_again, show
from tests.servers.process import wait_until


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """One for all tests here: starting a world is what takes time."""
    with desk_room(tmp_path_factory.mktemp("state")) as opened:
        assert opened.engine.stacks[0].title == "Hummingbot desk, generation R1"
        yield opened


@pytest.fixture
def room(opened: Room) -> Room:
    opened.begin_anew()
    return opened


def test_every_fact_is_read(room: Room) -> None:
    room.wait_for_facts()


def test_a_paper_bot_whose_banner_says_real_money_makes_the_desk_live_until_it_starts_on_paper(
    room: Room,
) -> None:
    log = room.folder / "data/bot3/logs/logs_epp_v2_4_bot3_paper_smoke.log"
    with log.open("a") as file:
        file.write(
            "2026-01-01 00:00:00,000 - 1 - x - INFO - EPP v2.4 STARTUP LIVE MODE — REAL MONEY AT RISK\n"
        )
    wait_until(lambda: room.environment() is Environment.LIVE, 20.0, "the desk to be live", every=0.3)
    assert "bot3-live" in {alarm.id for alarm in room.engine.board(ID).alarms}
    room.type_again("bot3")
    wait_until(lambda: room.environment() is Environment.DEMO, 20.0, "it to be over", every=0.3)


def test_deaf_bots_a_flood_and_a_critical_report_raise_their_alarms(room: Room) -> None:
    for fault in ("bots-deaf", "recon-critical", "hard-stop"):
        room.switch(fault, is_on=True)
    wanted = {"bots-deaf", "reconciliation", "bot1-hard-stop", "daily-loss"}
    wait_until(lambda: wanted <= {alarm.id for alarm in room.engine.board(ID).alarms}, 25.0, "the alarms")
    assert room.finds("bots-deaf") == "recreate-bot1"
    room.switch("bots-deaf", is_on=False)
    assert room.finds("bots-deaf") is None


def test_bots_at_their_prompt_reports_of_an_hour_ago_and_a_lost_database_show_in_the_room(room: Room) -> None:
    show(room, ["reports-stale"])
    room.wait_for("bot3.state", "running")
    for fault in ("bots-at-prompt", "postgres-down"):
        room.switch(fault, is_on=True)
    wait_until(lambda: room.silence("bot3") > 5.0, 20.0, "bot 3 to say nothing")
    assert word_of(room.value("service:bot3")) == "running"
    wait_until(lambda: room.silence("bot1") < 5.0, 10.0, "bot 1, which has no prompt, to speak")
    room.wait_for("service:postgres", "exited")


def test_a_bot_that_reads_its_file_no_more_is_halted_by_its_container_and_the_watchdog_before_it(
    room: Room,
) -> None:
    room.wait_for("bot1.state", "running")
    assert is_started_again(room, "watchdog-works")
    room.wait_for("bot1.state", "running")
    room.switch("file-not-read", is_on=True)
    room.pause_by_bus("bot1")  # which would end by itself, and is no stop
    halted = room.run("stop-bot1")
    assert (halted.verdict, halted.rung) == (Verdict.VERIFIED, 3), halted.sentence
    time.sleep(2.0)  # twice the watchdog's pause
    with room.docker() as client:
        assert client.inspect_container("hbot-bot1")["State"]["Status"] == "exited"


def test_going_live_is_ready_on_the_screen_once_everything_has_held_for_its_time(room: Room) -> None:
    room.wait_for("bot1.state", "running")
    for procedure in ("live-microcap", "live-notrade"):
        wait_until(
            lambda each=procedure: room.engine.held(ID, each) > 1.0,
            20.0,
            f"{procedure} to be held for a while",
        )


def test_a_scenario_of_bot_4_is_done_when_a_minute_shows_what_it_is_for(room: Room) -> None:
    room.by_hand = lambda _step: room.type_again("bot4")
    run = room.run("bot4-scenario", phrase="bot4", scenario="smoke")
    assert run.verdict is Verdict.VERIFIED, (run.sentence, run.blockers)
    assert [step.step for step in run.steps] == ["typed", "preflight", "minutes", "seen"]


def test_a_bot_s_own_guards_are_seen_while_the_bus_is_gone(room: Room) -> None:
    room.wait_for("bot1.wrote_state", "running")  # its newest minute may be of the stop before
    room.switch("redis-refuse", is_on=True)
    asked = room.engine.checks(ID).examine([room.engine.stacks[0].checks["local-guards"]])
    (result,) = asked.result(LONGEST).values()
    room.switch("redis-refuse", is_on=False)
    assert result.answer is Answer.YES, result


def test_a_copied_controller_and_a_script_that_leads_nowhere_fail_their_checks(room: Room) -> None:
    def answers() -> list[Answer]:
        asked = room.engine.checks(ID).examine([room.engine.stacks[0].checks[each] for each in wanted])
        return [asked.result(LONGEST)[f"check:{each}"].answer for each in wanted]

    wanted = ("controller-names", "script-names")
    conf = room.folder / "data/bot3/conf"
    assert answers() == [Answer.YES, Answer.YES]
    for name, text in {
        "controllers/controller_mm_v1_bot3_bitget_paper.yml": "id: epp_v2_4_bot_a\n",
        "scripts/script_mm_v1_bot3_bitget_paper.yml": "controllers_config:\n  - controller_mm_v1.yml\n",
    }.items():
        (conf / name).write_text(text)
    assert answers() == [Answer.NO, Answer.NO]
    (conf / "controllers/controller_mm_v1_bot3_bitget_paper.yml").unlink()
    (conf / "scripts/script_mm_v1_bot3_bitget_paper.yml").unlink()


def test_each_of_the_desk_s_scripts_is_run_and_its_report_is_the_proof(room: Room) -> None:
    assert {*SCRIPTS} == room.scripts()
    verdicts = {name: room.practise(name).verdict for name in SCRIPTS}
    assert verdicts == dict.fromkeys(SCRIPTS, Verdict.VERIFIED)


def test_what_is_no_stop_and_no_mere_script_comes_to_its_verdict(room: Room) -> None:
    room.wait_for("bot3.state", "running")
    for name in PRACTISED:
        run = room.practise(name)
        assert run.verdict is Verdict.VERIFIED, (name, run.sentence, run.blockers)


def test_a_script_a_bus_restart_and_a_halt_come_to_their_verdicts(room: Room) -> None:
    room.wait_for("bot1.state", "running")
    trading = room.engine.board(ID).trading
    assert [gate.state for gate in trading.gates].count(TradingState.HALTED) == 1  # bot 2, which is not there
    # Routine: the report of this very run is the proof, and exit 0 alone is none.
    assert room.run("policy-check").verdict is Verdict.VERIFIED
    # A dump is proved by its last line.
    dumped = room.run("opsdb-backup")
    assert dumped.verdict is Verdict.VERIFIED, dumped.sentence
    dump = max((room.folder / "reports/ops_db").iterdir(), key=lambda path: path.stat().st_mtime)
    assert "CREATE TABLE public.accounting_snapshot" in dump.read_text()
    room.switch("scripts-lie", is_on=True)
    lied = room.run("accounting-check")
    assert lied.verdict is Verdict.CONTRADICTED and "before this" in lied.sentence
    room.switch("scripts-lie", is_on=False)
    # Degrade: a checkpoint, the restart, another, and the bots read again.
    refused = room.run("bus-restart")
    assert refused.verdict is Verdict.REFUSED
    restarted = room.run("bus-restart", phrase="redis")
    assert restarted.verdict is Verdict.VERIFIED, restarted.sentence
    room.wait_for("bus.label", "post_restart")
    # Restore: a paused bot is resumed, and none that portfolio risk does not let trade.
    room.pause_and_resume("bot3")
    room.switch("portfolio-kill", is_on=True)
    room.wait_for("risk.action", "kill_switch")
    blocked = room.run("resume-bot", phrase=f"RESUME {ID}", bot="bot1", controller="epp_v2_4_bot_a")
    assert blocked.verdict is Verdict.REFUSED and "Portfolio risk" in " ".join(blocked.blockers)
    room.switch("portfolio-kill", is_on=False)
    # Stop: every bot, the watchdog, and bot 1's orders, each read back.
    room.switch("connector-not-ready", is_on=True)
    halted = room.run("halt")
    assert halted.verdict is Verdict.VERIFIED, halted.sentence
    for said in ("watchdog: ", "orders of bot 1: Last kill reads executed, made since", "bot1: ", "bot3: "):
        assert said in halted.sentence
    told = room.folder / "data/bot1/conf/controllers/epp_v2_4_bot_a.yml"
    assert "manual_kill_switch: true" in told.read_text() and "# bot1: " in told.read_text()
    room.wait_for_state(TradingState.HALTED)
    # Its alarm says whose it is and how it ends.
    alarm = wait_until(
        lambda: [it for it in room.engine.board(ID).alarms if it.id == "halted" and "(3)" in it.title],
        20.0,
        "the alarm of the halt, of all three",
    )[0]
    assert "resume-bot" in alarm.response
    client = redis.Redis.from_url(room.world["redis"], decode_responses=True)
    sent = [
        json.loads(entry["payload"])
        for _, entry in client.xrange("hb.execution_intent.v1")
        if "kill_switch" in entry["payload"]
    ]
    client.close()
    # One that nobody answered in time is sent again under its own id; no two have one.
    kills = {(each["event_id"], each["controller_id"]) for each in sent}
    assert len({ident for ident, _ in kills}) == len(kills) >= 3
    room.start_past_a_halt("bot1")


def test_the_kill_switch_obeys_an_intent_for_bot_1_however_old_and_none_for_another(room: Room) -> None:
    room.wait_for("bot1.state", "running")
    report = room.folder / "reports/kill_switch/latest.json"
    with closing(redis.Redis.from_url(room.world["redis"], decode_responses=True)) as bus:

        def order(bot: str) -> str:
            intent = {
                "instance_name": bot,
                "controller_id": "none",
                "action": "kill_switch",
                "expires_at_ms": 1,
            }
            return str(bus.xadd("hb.execution_intent.v1", {"payload": json.dumps(intent)}))

        def has_read(entry: str) -> bool:
            (group,) = [each for each in bus.xinfo_groups("hb.execution_intent.v1") if "kill" in each["name"]]
            return bool(group["last-delivered-id"] >= entry and not group["pending"])

        for bot, is_obeyed in (("bot3", False), ("bot1", True)):
            entry = order(bot)
            wait_until(lambda entry=entry: has_read(entry), 20.0, f"the intent for {bot} to be read")
            assert (report.is_file() and entry in report.read_text()) is is_obeyed, bot
    said = json.loads(report.read_text())
    assert (said["trigger"], said["trading_pair"], said["dry_run"]) == ("execution_intent", "", False)
    assert said["result"]["status"] == "executed"
    room.wait_for("kill.status", "executed")


def test_one_bot_is_stopped_with_its_orders_or_it_is_said_that_they_may_be_open(room: Room) -> None:
    report = room.folder / "reports/kill_switch/latest.json"

    def wait_for_age() -> None:
        """One of just before would count as made since: clocks may differ by a second."""
        wait_until(lambda: not report.exists() or time.time() - report.stat().st_mtime > 2.0, 10.0, "its age")

    wait_for_age()
    room.switch("kill-no-keys", is_on=True)
    stopped = room.run("stop-bot1")
    assert stopped.verdict is not Verdict.VERIFIED
    assert "Last kill reads error" in stopped.sentence and "bot1: " in stopped.sentence
    room.begin_anew()
    wait_for_age()
    stopped = room.run("stop-bot1")
    assert stopped.verdict is Verdict.VERIFIED, stopped.sentence
    other = room.run("stop-bot", bot="bot3")
    # A halt of before may end it first, at its last rung.
    assert other.verdict in (Verdict.VERIFIED, Verdict.ALREADY), other.sentence
    assert word_of(room.value("service:bot3")) != "running"
    room.wait_for("bot4.state", "running")


def test_the_watchdog_is_started_last_and_a_bot_of_paper_by_hand(room: Room) -> None:
    room.run("stop-bot", bot="bot4")
    room.wait_for("service:bot-watchdog", "exited")
    room.begin_anew()
    wait_until(lambda: word_of(room.value("service:bot1")) == "healthy", 60.0, "bot 1 to be well")
    phrase = phrase_of(room.engine.stacks[0].procedures["start-watchdog"], room.engine.stacks[0], {})
    wait_until(lambda: room.run("start-watchdog", phrase).verdict is Verdict.VERIFIED, 40.0, "its start")
    room.by_hand = lambda _step: room.type_again("bot3")
    script = "v2_epp_v2_4_bot3_paper_smoke.yml"
    run = room.run("bot3-scenario", "bot3", script=script)
    assert run.verdict is Verdict.VERIFIED, (run.sentence, run.blockers)


def test_an_intent_that_another_bot_took_is_a_dead_letter_and_nothing_else(room: Room) -> None:
    """In this generation all bots share one group and one consumer."""
    for bot in ("bot1", "bot3", "bot4"):
        room.wait_for(f"{bot}.state", "running")
    intent = {"instance_name": "bot3", "controller_id": "epp_v2_4_bot3_paper_smoke", "action": "soft_pause"}

    def is_refused() -> bool:
        bus.xadd("hb.execution_intent.v1", {"payload": json.dumps(intent)})
        letters = bus.xrevrange("hb.dead_letter.v1", count=10)
        return any("controller_not_found" in json.dumps(letter) for letter in letters)

    with closing(redis.Redis.from_url(room.world["redis"], decode_responses=True)) as bus:
        wait_until(is_refused, 20.0, "one that reached another bot", every=0.3)


def test_a_kill_that_was_a_dry_run_and_a_bot_that_comes_back_are_not_green(room: Room) -> None:
    for fault in ("kill-dry-run", "halt-not-obeyed"):
        room.switch(fault, is_on=True)
    halted = room.run("halt")
    assert halted.verdict is Verdict.CONTRADICTED, halted.sentence
    assert "Last kill reads dry_run" in halted.sentence and "bot1: " in halted.sentence
    room.wait_for("bot1.state", "running")
    room.wait_for_state(TradingState.TRADING)


def test_a_halt_without_redis_still_stops_every_container(room: Room) -> None:
    room.switch("redis-hang", is_on=True)
    halted = room.run("halt")
    stopped = [step for step in halted.steps if step.step.startswith("stop-")]
    assert len(stopped) == 4 and all(step.state.value == "verified" for step in stopped), halted.sentence
    assert (halted.verdict, halted.rung) == (Verdict.VERIFIED, 3)
