"""The Hummingbot desk's file against its contract: what must never be claimed, and its generations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.derive import real_money
from backends.model.action import (
    Action,
    Attest,
    Command,
    DockerExec,
    DockerVerb,
    FileEdit,
    HttpCall,
    RedisWrite,
)
from backends.model.fact import Level
from backends.model.intent import Identity, Intent
from backends.model.judge import judge
from backends.model.procedure import Procedure, RiskClass, Step
from backends.model.query import DockerQuery, FileQuery, RedisQuery
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState
from backends.model.stack import Environment, Stack
from backends.procedures.latch import halts_trading
from backends.procedures.plan import make_plan
from backends.stacks.loader import FOLDER
from tests.building import START, generations, is_found, missing, ok, running

FORMS = generations("hummingbot-desk")
R1, R0, H = FORMS["R1"], FORMS["R0"], FORMS["H"]
ACTIONS = ("soft_pause", "resume", "kill_switch", "set_target_base_pct")


def steps(stack: Stack) -> Iterator[tuple[Procedure, Step]]:
    return ((each, step) for each in stack.procedures.values() for step in each.steps)


def actions(stack: Stack, kind: type[Action]) -> list[Any]:
    return [step.action for _, step in steps(stack) if isinstance(step.action, kind)]


def commands(stack: Stack) -> list[str]:
    return [" ".join(action.argv) for action in actions(stack, Command)]


def test_the_first_eight_facts_say_whether_money_is_at_risk() -> None:
    assert [fact.label for fact in R1.facts.values() if fact.is_shown][:8] == [
        "Bot 1", "Bot 1 trades", "Kill is a dry run", "Last kill",
        "Portfolio action", "Reconciliation", "Bot 1 loss today", "Bot 1 open orders",
    ]  # fmt: skip
    assert ("bot1.mode", "LIVE MODE", Environment.LIVE) in R1.environment_facts
    assert ("bot1.mode_live", "true", Environment.LIVE) in R1.environment_facts


@pytest.mark.parametrize("bot", ["bot2", "bot3"])
@pytest.mark.parametrize("form", [R1, H], ids=["R1", "H"])
def test_a_banner_of_any_bot_of_the_runbook_says_that_money_is_real(form: Stack, bot: str) -> None:
    """Those without BOT_MODE follow their file, whose default is live."""
    live = {f"{bot}.mode": ok(f"{bot}.mode", "LIVE MODE")}
    assert real_money(form, live, START) == {f"{bot}.mode"}
    assert not real_money(form, {f"{bot}.mode": ok(f"{bot}.mode", "mode=PAPER")}, START)
    ended = running(bot, RunState.EXITED)
    assert not real_money(form, {**live, ended.key: ended}, START)
    (alarm,) = [each for each in form.alarms if each.fact == f"{bot}.mode"]
    assert alarm.at is judge(form.facts[alarm.fact], live[alarm.fact], START) is Level.CRIT
    assert alarm.service == bot


@pytest.mark.parametrize("form", FORMS)
def test_bot_4_is_judged_by_its_connector_for_its_testnet_reads_live_too(form: str) -> None:
    desk = FORMS[form]
    (alarm,) = [each for each in desk.alarms if each.id == "bot4-live"]
    fact = desk.facts[alarm.fact]
    for exchange, level, is_real in (
        ("binance_perpetual_testnet", Level.INFO, False),
        ("binance_perpetual", Level.CRIT, True),
        ("bitget_perpetual", Level.CRIT, True),
        ("another", Level.CRIT, False),
    ):
        read = ok(fact.id, exchange)
        assert judge(fact, read, START) is level
        assert bool(real_money(desk, {fact.id: read}, START)) is is_real
    assert not real_money(desk, {"bot4.mode": ok("bot4.mode", "LIVE MODE")}, START)


@pytest.mark.parametrize("form", FORMS)
def test_no_acknowledgement_counts_as_a_stop(form: str) -> None:
    """A 200 with dry_run true, an applied intent and one tick of hard_stop are none."""
    for procedure, step in steps(FORMS[form]):
        facts = {proof.fact for proof in step.proof}
        assert not facts & {"audit.newest", "audit.count", "intents.count", "kill.triggered", "kill.health"}
        if procedure.risk is not RiskClass.STOP:
            continue
        if isinstance(step.action, HttpCall):
            demands = {proof.fact: (proof.equals, proof.is_newer) for proof in step.proof}
            assert demands == {"kill.status": (("executed",), True), "kill.dry": (("false",), True)}
            assert step.is_once
        if isinstance(step.action, (RedisWrite, FileEdit)):
            proof = step.proof[-1]
            # A pause of the bus ends by itself: what halts takes none for a stop.
            words = {"soft_pause", "hard_stop"} if procedure.id == "pause-bot" else {"hard_stop"}
            assert set(proof.equals) == words and proof.reads == 4
            first = step.proof[0].fact
            assert first == ("$bot.manual" if procedure.id == "pause-bot" else proof.fact), step.id
        if isinstance(step.action, RedisWrite):
            assert step.is_once


@pytest.mark.parametrize("form", FORMS)
def test_an_intent_is_what_the_bots_take(form: str) -> None:
    sent = actions(FORMS[form], RedisWrite)
    assert sent
    for write in sent:
        assert (write.op, write.key, write.max_length) == ("xadd", "hb.execution_intent.v1", 50_000)
        payload = write.fields["payload"]
        assert payload["action"] in ACTIONS and payload["producer"] == "ops_console"
        assert payload["expires_at_ms"] == "$soon_ms" and payload["timestamp_ms"] == "$now_ms"
        assert payload["event_id"] == payload["correlation_id"] == "$event"
        assert payload["controller_id"] == "$controller_id" and payload["instance_name"]
        assert all(isinstance(word, str) for word in payload["metadata"].values())


def test_the_watchdog_is_stopped_before_a_bot_is_and_every_bot_is_a_target_of_its_own() -> None:
    halt = R1.procedures["halt"]
    assert halt.steps[0].action == DockerVerb("docker", "stop", "bot-watchdog", 5.0)
    targets = [step.target for step in halt.steps]
    assert list(dict.fromkeys(targets)) == ["watchdog", "orders of bot 1", "bot1", "bot2", "bot3", "bot4"]
    assert {step.target for step in halt.steps if isinstance(step.action, DockerVerb)} == {
        "watchdog", "bot1", "bot2", "bot3", "bot4",
    }  # fmt: skip
    assert R1.is_several and {gate.service for gate in R1.gates} == {"bot1", "bot2", "bot3", "bot4"}
    assert not any(gate.latches for gate in R1.gates)
    assert [each.id for each in R1.procedures.values() if halts_trading(each, R1)] == ["halt"]


def test_the_third_way_to_a_bot_is_the_third_although_its_bus_names_no_controller() -> None:
    halt = Intent("op", R1.id, "halt", Identity("kim", 1000, "ops1"), SafeText("drill"), 0, "screen")
    ladders = make_plan(halt, R1.procedures["halt"], R1, START).ladders
    assert {each.target: [step.way for step in each.rungs] for each in ladders} == {
        "watchdog": [1], "orders of bot 1": [1], "bot1": [3], "bot2": [3], "bot3": [3], "bot4": [3],
    }  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_nothing_starts_bot_2_and_nothing_names_bot_1_alone_for_the_control_plane(form: str) -> None:
    for line in commands(FORMS[form]):
        if " up " in line:
            assert "--profile multi" not in line and " bot2" not in line, line
    (up,) = [
        step.action for step in FORMS[form].procedures["start-desk"].steps if isinstance(step.action, Command)
    ]
    assert up.argv[-4:] == ("--profile", "external", "up", "-d")


@pytest.mark.parametrize("form", FORMS)
def test_what_can_start_real_trading_needs_all_of_a_restore(form: str) -> None:
    for procedure, step in steps(FORMS[form]):
        starts_bot_1 = (
            isinstance(step.action, Command) and "up" in step.action.argv and "bot1" in step.action.argv
        )
        is_to_paper = procedure.id == "bot1-profile"
        if starts_bot_1 and not is_to_paper:
            assert procedure.risk is RiskClass.RESTORE and procedure.requires, procedure.id
    for ident in {"live-microcap", "live-notrade"} & FORMS[form].procedures.keys():
        live = FORMS[form].procedures[ident]
        assert live.needs_approval and {each.id for each in live.requires} >= {"strict", "keys", "kill"}


@pytest.mark.parametrize("form", ["R1", "H"])
def test_a_headless_bot_1_is_set_to_paper_before_it_is_made_anew_with_a_paper_profile(form: str) -> None:
    paper = [step.action for step in FORMS[form].procedures["bot1-profile"].steps]
    assert any(isinstance(each, FileEdit) and each.value == "paper" for each in paper)


def test_where_every_bot_has_a_prompt_only_what_is_typed_there_starts_a_strategy() -> None:
    started = R0.procedures["start-strategy"]
    assert started.needs_approval and "bot1" in started.params[0].one_of
    for procedure, step in steps(R0):
        if procedure.id in ("start-desk", "recreate-bot1", "image-rollback"):
            assert "preflight" not in step.id and "by itself" not in procedure.summary
    assert [each for each in R0.environment_facts if each[0].startswith("bot1")] == [
        ("bot1.mode", "bitget_perpetual", Environment.LIVE)
    ]


def test_where_no_bot_has_a_prompt_nobody_is_asked_to_type_there() -> None:
    asked = [step.action.text for _, step in steps(H) if isinstance(step.action, Attest)]
    assert len(asked) >= 4
    assert not [text for text in asked if "docker attach" in text or "terminal" in text]


@pytest.mark.parametrize("form", FORMS)
def test_a_script_is_proved_by_the_report_of_this_very_run(form: str) -> None:
    """Exit 0 alone proves nothing, and a report may be yesterday's."""
    scripts = [
        step
        for _, step in steps(FORMS[form])
        if isinstance(step.action, Command) and "python3" in step.action.argv
    ]
    assert len(scripts) >= 15
    for step in scripts:
        assert any(proof.is_newer for proof in step.proof), step.title


@pytest.mark.parametrize("form", FORMS)
def test_a_bot_made_anew_is_proved_by_what_it_wrote_since(form: str) -> None:
    """Its log and its minutes still hold what it said before."""
    written = re.compile(r".*\.(preflight_run|preflight_at|minute_at|orders)")
    proofs = [
        (procedure.id, proof)
        for procedure, step in steps(FORMS[form])
        for proof in step.proof
        if written.fullmatch(proof.fact)
    ]
    assert len(proofs) >= 4
    assert [name for name, proof in proofs if not proof.is_newer] == []


def test_the_backup_is_proved_by_its_end_and_writes_over_none() -> None:
    (step,) = R1.procedures["opsdb-backup"].steps
    assert isinstance(step.action, DockerExec)
    assert step.action.output == "/opt/hbot/reports/ops_db/postgres_dump_$now.sql"
    assert {proof.fact for proof in step.proof} == {"db.dump", "db.dump_size", "db.dump_end"}


def test_each_report_is_read_by_its_own_words() -> None:
    words = {
        "gates.status": ("PASS", "FAIL"), "bus.status": ("pass", "fail"), "recon.status": ("ok", "critical"),
        "soak.status": ("ready", "hold"), "readiness.status": ("GO", "HOLD"), "day2.go": ("true", "false"),
        "kill.status": ("executed", "error"), "bot1.state": ("running", "hard_stop"),
    }  # fmt: skip
    for ident, (good, bad) in words.items():
        meanings = R1.facts[ident].meanings or {}
        assert meanings[good] is Level.OK and meanings[bad] is not Level.OK
        assert good.swapcase() not in meanings


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"hbot-bot1": "hbot", "hbot-kill-switch": "hbot"}, "R1"),
        ({"hbot-bot1": "hbot", "hbot-bot-watchdog": "hbot", "hbot-clickhouse": "hbot"}, "R1"),
        ({"hbot-bot1": "hbot", "hbot-clickhouse": "hbot"}, "R0"),
        ({"bot1": "kzay-capital", "redis": "kzay-capital"}, "H"),
        ({"bot1": "somebody-else", "redis": "somebody-else"}, None),
        ({}, None),
    ],
)
def test_a_generation_is_known_by_its_containers(there: Mapping[str, str], expected: str | None) -> None:
    found = [name for name, form in FORMS.items() if form.generation and form.generation.fits(there)]
    assert found == ([expected] if expected else [])


@pytest.mark.parametrize("form", FORMS)
def test_every_bot_that_may_trade_raises_its_hard_stop(form: str) -> None:
    bots = {gate.fact for gate in FORMS[form].gates} - {"bot2.state"}  # reserved: it is not there
    assert bots == {alarm.fact for alarm in FORMS[form].alarms if alarm.id.endswith("-hard-stop")}


@pytest.mark.parametrize("form", FORMS)
def test_a_hard_stop_may_be_a_halt_and_a_halt_is_an_alarm_that_says_how_it_ends(form: str) -> None:
    alarms = {alarm.id: alarm for alarm in FORMS[form].alarms}
    causes = [alarm.cause for name, alarm in alarms.items() if name.endswith("-hard-stop")]
    assert causes and all("a halt is in force" in cause for cause in causes)
    assert alarms["halted"].fact == "halt.files"
    assert judge(FORMS[form].facts["halt.files"], ok("halt.files", 1), START) is Level.WARN
    assert judge(FORMS[form].facts["halt.files"], ok("halt.files", 0), START) is Level.OK


@pytest.mark.parametrize(
    ("diagnosis", "readings", "is_it"),
    [
        ("kill-dry", [missing("kill.dry_run")], True),
        ("kill-dry", [ok("kill.dry_run", False)], True),
        ("kill-dry", [ok("kill.dry_run", True)], False),
        ("store-stands", [ok("store.age", 900.0)], True),
        ("store-stands", [ok("store.age", 30.0)], False),
        ("bot1-stands", [running("bot1", RunState.RUNNING, Health.UNHEALTHY)], True),
        ("bot1-stands", [running("bot1", RunState.RUNNING, Health.STARTING)], False),
        ("bot1-loops", [running("bot1", RunState.RESTARTING), ok("bot1.last_error", "KeyError: x")], True),
        ("bot1-loops", [running("bot1", RunState.RUNNING), ok("bot1.last_error", "KeyError: x")], False),
    ],
)
def test_a_failure_is_known_by_its_readings(diagnosis: str, readings: list[Any], is_it: bool) -> None:
    assert is_found(R1, diagnosis, *readings) is is_it
    assert R1.diagnoses[diagnosis].procedure in R1.procedures


@pytest.mark.parametrize(("flow", "level"), [(2.0, Level.OK), (11.0, Level.WARN), (60.0, Level.CRIT)])
def test_a_bot_that_repeats_its_intent_every_second_is_a_flood(flow: float, level: Level) -> None:
    (alarm,) = [alarm for alarm in R1.alarms if alarm.id == "intent-flood"]
    assert alarm.at is Level.CRIT
    assert judge(R1.facts[alarm.fact], ok(alarm.fact, flow), START) is level


def test_each_generation_has_its_own_names_and_only_what_it_has() -> None:
    assert "kill-switch" not in R0.sources and "clickhouse" in R0.sources and "loki" not in H.sources
    assert not [step for step in R0.procedures["halt"].steps if isinstance(step.action, HttpCall)]
    assert "no kill-switch service" in R0.procedures["halt"].will_not[0]
    assert {spec.match[0] for spec in R1.services} >= {"hbot-bot1", "hbot-kill-switch"}
    assert {spec.match[0] for spec in H.services} >= {"bot1", "bot7", "desk-snapshot", "metrics-exporter"}
    assert not [spec for spec in H.services if spec.match[0].startswith("hbot-")]
    assert [gate.label for gate in H.gates] == [f"Bot {number}" for number in range(1, 8)]
    assert H.sources["postgres"].url.endswith("/kzay_capital_ops")
    assert all(
        "/opt/hbot/infra/compose/docker-compose.yml" in line for line in commands(H) if " compose " in line
    )
    assert "recover-event-store" in R1.procedures and "recover-event-store" not in H.procedures
    assert H.facts["intents.pending"].pick == "[name=hb_group_bot1].pending"


def test_what_a_search_for_secrets_found_is_counted_and_never_shown() -> None:
    """Its report holds the leaked text."""
    read = {
        (fact.query.what, fact.pick)
        for fact in R1.facts.values()
        if isinstance(fact.query, FileQuery) and fact.query.path.startswith("reports/security")
    }
    assert {pick for what, pick in read if what == "json"} == {"status", "finding_count", "include_logs"}
    assert {what for what, _ in read} <= {"json", "age", "exists"}


def test_secrets_are_neither_asked_for_nor_compared() -> None:
    for fact in R1.facts.values():
        if isinstance(fact.query, DockerQuery) and fact.query.what == "env_is":
            assert not re.search("KEY|SECRET|PASS|TOKEN", fact.query.name.replace("KILL_SWITCH", ""))
        if isinstance(fact.query, FileQuery) and fact.query.path.endswith(".env"):
            wanted = fact.query.what in ("env", "mode") or fact.type.value == "count"
            assert wanted or fact.id in ("env.script", "env.bot1_mode", "env.image")
        assert not (
            isinstance(fact.query, FileQuery)
            and "connectors" in fact.query.path
            and fact.query.what != "list"
        )


def test_every_section_is_a_heading_of_the_runbook() -> None:
    text = (FOLDER / "hummingbot-desk" / "runbook.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    for form in FORMS.values():
        items = (*form.alarms, *form.procedures.values(), *form.checks.values(), *form.diagnoses.values())
        assert {item.section for item in items if item.section} <= headings
        assert all(rule.section for rule in form.alarms)


def test_what_reads_the_bus_is_bounded() -> None:
    reads = [fact.query for fact in R1.facts.values() if isinstance(fact.query, RedisQuery)]
    assert max(query.stop for query in reads) < 200 and not {"keys"} & {query.op for query in reads}
    assert replace(R1, others=()) == R1
