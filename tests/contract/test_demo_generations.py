"""The Hummingbot desk before and after the generation its file describes, by the room that ships."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from backends.config import load
from backends.demo.hummingbot_desk.generations import GENERATIONS
from backends.generation import settle
from backends.model.procedure import Verdict
from backends.model.trading import TradingState
from backends.model.weigh import word_of
from tests.contract.desk_room import ID, PRACTISED, SCRIPTS, Room, desk_room
from tests.contract.desk_signs import show
from tests.servers.process import wait_until


@pytest.fixture(scope="class")
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """One for all tests of a generation."""
    wanted = request.cls.generation
    with desk_room(tmp_path_factory.mktemp("state"), "--variant", wanted) as opened:
        assert opened.generation == wanted
        yield opened


@pytest.fixture
def room(opened: Room) -> Room:
    opened.begin_anew()
    return opened


class Each:
    """What holds for every one of them."""

    seen_without_database: tuple[str, str]
    """Where the database's writer shows that it misses it."""

    fails: tuple[str, ...] = ()
    """Checks that cannot pass in this generation."""

    lacks: tuple[str, ...] = ()
    """Scripts that this generation has not."""

    faults: tuple[str, ...] = (
        "halt-not-obeyed", "bots-deaf", "hard-stop", "redis-hang", "redis-refuse", "recon-critical",
        "portfolio-kill", "reports-stale", "scripts-lie",
    )  # fmt: skip
    """Those of its demo that no other test here switches on."""

    def test_each_fault_of_its_demo_shows_in_the_room(self, room: Room) -> None:
        show(room, self.faults)

    def test_every_fact_is_read(self, room: Room) -> None:
        room.wait_for_facts()

    def test_its_containers_tell_the_generation_without_the_config_file(self, room: Room) -> None:
        text = room.world.config.read_text()
        config = room.world.config.with_name("unsaid.toml")
        config.write_text(text.replace(f'variant = "{room.generation}"\n', ""))
        assert config.stat().st_size < len(text.encode())
        (stack,) = settle(load(config, env={}).stacks)
        assert stack.generation is not None
        assert (stack.generation.id, stack.generation.doubt) == (room.generation, None)

    def test_what_becomes_of_the_writer_without_its_database_is_seen(self, room: Room) -> None:
        room.switch("postgres-down", is_on=True)
        room.wait_for(*self.seen_without_database)

        if room.generation == "R0":
            wait_until(lambda: room.finds("writer-loops") == "opsdb-start", 20.0, "the loop to be found")

    def test_what_is_no_stop_comes_to_its_verdict_here_too(self, room: Room) -> None:
        room.wait_for("bot3.state", "running")
        room.wait_for("service:postgres", "healthy")
        for name in (*PRACTISED, "opsdb-backup", "bot3-scenario", "bot4-scenario", "bus-restart"):
            run = room.practise(name)
            assert run.verdict is Verdict.VERIFIED, (name, run.sentence, run.blockers)

    def test_each_of_the_desk_s_scripts_is_run_and_its_report_is_the_proof(self, room: Room) -> None:
        assert {*SCRIPTS} - room.scripts() == {*self.lacks}
        verdicts = {name: room.practise(name).verdict for name in sorted(room.scripts())}
        fails = dict.fromkeys(self.fails, Verdict.CONTRADICTED)
        assert verdicts == dict.fromkeys(verdicts, Verdict.VERIFIED) | fails

    def test_bots_are_stopped_one_by_one_and_one_is_paused_and_resumed(self, room: Room) -> None:
        room.pause_and_resume("bot3")
        for name, chosen in {"stop-bot1": {}, "stop-bot": {"bot": "bot4"}}.items():
            run = room.run(name, **chosen)
            assert run.verdict is Verdict.VERIFIED, (name, run.sentence)
        assert word_of(room.value("service:bot3")) in ("running", "healthy", "starting")
        if "bot-watchdog" in GENERATIONS[room.generation].parts:
            room.begin_anew()
            room.wait_for("bot1.state", "running")
            room.wait_for("service:bot-watchdog", "exited")
            wait_until(lambda: room.practise("start-watchdog").verdict is Verdict.VERIFIED, 40.0, "its start")

    def test_a_pause_that_only_the_bus_obeys_is_none(self, room: Room) -> None:
        """It ends by itself, or with the next order over the bus."""
        room.wait_for("bot1.state", "running")
        room.pause_by_bus("bot1")
        room.switch("file-not-read", is_on=True)
        run = room.run("pause-bot", bot="bot1")
        assert run.verdict is Verdict.CONTRADICTED, run.sentence
        assert word_of(room.value("bot1.state")) == "soft_pause"

    def test_a_halt_stops_every_bot(self, room: Room) -> None:
        bots = GENERATIONS[room.generation].bots
        for bot in bots:
            room.wait_for(f"{bot}.state", "running")
        room.switch("connector-not-ready", is_on=True)  # when a stop is most wanted, the bus is refused
        halted = room.run("halt")
        assert halted.verdict is Verdict.VERIFIED, halted.sentence
        if GENERATIONS[room.generation].has_own_groups:  # else another bot may have taken the order
            assert "local_authority_reject" in room.letters()
        assert all(f"{bot}: " in halted.sentence for bot in bots)
        assert ("orders of bot 1: " in halted.sentence) == (room.generation == "H")
        for bot, trader in bots.items():
            told = room.folder / f"data/{bot}/conf/controllers/{trader.controller}.yml"
            assert "manual_kill_switch: true" in told.read_text()
        room.wait_for_state(TradingState.HALTED)
        room.start_past_a_halt("bot3")


class TestBefore(Each):
    generation = "R0"
    seen_without_database = ("service:ops-db-writer", "restarting")

    def test_a_bot_at_its_prompt_does_not_trade_until_somebody_starts_its_strategy(self, room: Room) -> None:
        room.wait_for("bot1.state", "running")
        room.switch("bots-at-prompt", is_on=True)
        room.wait_for("service:bot1", "running")
        room.by_hand = lambda _step: room.switch("bots-at-prompt", is_on=False)
        runs = []

        def is_begun() -> bool:
            """It is refused while the bot's container is on its way to the prompt."""
            bot, script = "bot1", "v2_epp_v2_4_bot_a.yml"
            runs.append(room.run("start-strategy", phrase=f"RESUME {ID}", bot=bot, script=script))
            return runs[-1].verdict is not Verdict.REFUSED

        wait_until(is_begun, 20.0, "the bot to be at its prompt", every=0.5)
        assert runs[-1].verdict is Verdict.VERIFIED, (runs[-1].sentence, runs[-1].blockers)

    def test_an_event_store_in_clickhouse_that_is_stopped_is_seen_and_comes_back(self, room: Room) -> None:
        def is_up() -> bool | None:
            room.engine.refresh(ID)
            return room.engine.board(ID).sources["clickhouse"].is_up

        wait_until(is_up, 20.0, "ClickHouse to answer", every=0.5)
        room.switch("clickhouse-down", is_on=True)
        wait_until(lambda: is_up() is False, 30.0, "the loss of it", every=0.5)
        room.wait_for("service:clickhouse", "exited")
        room.switch("clickhouse-down", is_on=False)
        wait_until(is_up, 60.0, "its return", every=0.5)

    def test_a_dry_run_of_the_ingest_loses_rows_and_its_cursor_is_kept_aside(self, room: Room) -> None:
        events, ingest = room.folder / "reports/event_store", room.folder / "reports/clickhouse_ingest"

        def lines() -> int:
            return sum(len(path.read_text().splitlines()) for path in events.glob("events_*.jsonl"))

        before = json.loads((ingest / "state.json").read_text())
        wait_until(lambda: lines() > sum(before.values()), 10, "another event")
        room.switch("reports-stale", is_on=True)
        dry = room.run("clickhouse-dry-run", phrase="clickhouse-ingest")
        assert dry.verdict is Verdict.VERIFIED, (dry.sentence, dry.blockers)
        once = room.run("clickhouse-once")
        assert once.verdict is Verdict.VERIFIED, (once.sentence, once.blockers)
        assert json.loads((ingest / "latest.json").read_text())["rows_inserted"] == 0
        assert json.loads((ingest / "state.before-dry-run.json").read_text()) == before


class TestAfter(Each):
    generation = "H"
    seen_without_database = ("ops.status", "fail")
    lacks = ("coordination-check", "upgrade-check")
    faults = (*Each.faults, "kill-dry-run", "kill-no-keys", "watchdog-works")
    # The bots that risk looks at are not those of the policy.
    fails = ("policy-check", "gates", "policy-and-gates", "secrets-and-gates")

    def test_the_file_s_pause_outlasts_the_allocator_which_ends_that_of_the_bus(self, room: Room) -> None:
        room.wait_for("bot7.state", "running")
        room.pause_by_bus("bot7")
        room.pause("bot6")
        room.wait_for("bot6.state", "hard_stop")
        alarms = room.engine.board(ID).alarms
        assert "bot6-hard-stop" in {alarm.id for alarm in alarms}
        room.wait_for("bot7.state", "soft_pause")
        room.switch("allocator-resumes", is_on=True)
        room.wait_for("bot7.state", "running")
        room.wait_for("bot6.state", "hard_stop")

    def test_a_kill_that_left_an_order_says_so_in_its_answer_and_in_its_report(self, room: Room) -> None:
        room.switch("kill-partial", is_on=True)
        url = room.world["http"]["kill-switch"]
        answered = httpx.post(f"{url}/kill", json={"trading_pair": "BTC-USDT"}, timeout=5.0)
        assert answered.status_code == 500
        assert answered.json()["result"]["failed"] == ["bot1-0"]
        room.wait_for("kill.status", "partial")
