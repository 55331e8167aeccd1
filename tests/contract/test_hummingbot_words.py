"""What the desk's files and bus really hold, odd as it is, read by the readers that ship."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.board.derivation import Deriver
from backends.model.examination import Answer
from backends.model.fact import Absent, Broken, Finding, Found, Table
from backends.model.judge import judge
from backends.model.reading import Outcome, Quality, Reading
from backends.readers.files import FilesFactReader
from backends.readers.redis import RedisFactReader
from backends.stacks.loader import built_in, load_stack
from tests.building import START, checked, later, ok
from tests.servers.redis import RedisServer

STACK = load_stack(built_in()["hummingbot-desk"])
HEAD = "ts,state,daily_loss_pct,drawdown_pct,orders_active,fee_source,risk_reasons\n"


@dataclass(frozen=True)
class Ago:
    """A moment so long before the test runs. It may be collected long before that, and minutes grow old."""

    seconds: float = 0.0


def stamp(ago: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).isoformat()


async def look(folder: Path, ident: str) -> Finding:
    reader = FilesFactReader(replace(STACK.sources["files"], url=f"file://{folder}", deadline=10.0))
    return (await reader.read([STACK.facts[ident]]))[ident]


def put(folder: Path, name: str, content: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    said = content if isinstance(content, str) else json.dumps(content, default=lambda it: stamp(it.seconds))
    path.write_text(said)


def level(ident: str, found: Finding, age: float = 0.0) -> str:
    """What the operator is told about it now."""
    now = later(0.0)
    if not isinstance(found, Found):
        return "unknown"
    lag = None if found.observed_wall is None else time.time() - found.observed_wall + age
    fact = STACK.facts[ident]
    reading = Reading(
        ident, "files", Outcome.OK, now, 5.0, value=found.value, observed_lag=lag, max_age=fact.max_age
    )
    return "stale" if reading.quality(now) is Quality.STALE else judge(fact, reading, now).value


KILLED = {
    "ts_utc": Ago(),
    "trigger": "http",
    "dry_run": False,
    "result": {"status": "executed", "error": None, "cancelled": ["a"]},
}


@pytest.mark.parametrize(
    ("name", "content", "ident", "expected"),
    [
        ("kill_switch/latest.json", KILLED, "kill.status", "ok"),
        (
            "kill_switch/latest.json",
            {**KILLED, "dry_run": True, "result": {"status": "dry_run"}},
            "kill.status",
            "warn",
        ),
        ("kill_switch/latest.json", {**KILLED, "dry_run": True}, "kill.dry", "warn"),
        (
            "kill_switch/latest.json",
            {**KILLED, "result": {"status": "error", "error": "missing_credentials"}},
            "kill.status",
            "crit",
        ),
        (
            "kill_switch/latest.json",
            {k: v for k, v in KILLED.items() if k != "ts_utc"},
            "kill.status",
            "unknown",
        ),
        ("promotion_gates/latest.json", {"ts_utc": Ago(), "status": "PASS"}, "gates.status", "ok"),
        ("promotion_gates/latest.json", {"ts_utc": Ago(), "status": "pass"}, "gates.status", "crit"),
        (
            "promotion_gates/latest.json",
            {"ts_utc": Ago(2 * 86400), "status": "PASS"},
            "gates.status",
            "stale",
        ),
        ("bus_recovery/latest.json", {"ts_utc": Ago(), "status": "PASS"}, "bus.status", "crit"),
        ("reconciliation/latest.json", {"ts_utc": Ago(), "status": "warning"}, "recon.status", "warn"),
        ("reconciliation/latest.json", {"ts_utc": Ago(1500), "status": "ok"}, "recon.status", "stale"),
        (
            "reconciliation/latest.json",
            '{"ts_utc": "2026-02-27T09:00:00+00:00", "status": "o',
            "recon.status",
            "unknown",
        ),
        (
            "portfolio_risk/latest.json",
            {"ts_utc": Ago(), "portfolio_action": "kill_switch"},
            "risk.action",
            "crit",
        ),
        (
            "exchange_snapshots/latest.json",
            {"ts_utc": Ago(), "mode": "proxy_local", "bots": {"bot1": {}}},
            "snap.probe",
            "unknown",
        ),
        (
            "event_store/integrity_20260227.json",
            {"missing_correlation_count": 0, "last_update_utc": Ago()},
            "store.missing",
            "ok",
        ),
        ("event_store/integrity_20260227.json", {"missing_correlation_count": 0}, "store.missing", "unknown"),
    ],
)
async def test_a_report_says_only_what_its_own_words_say(
    tmp_path: Path, name: str, content: Any, ident: str, expected: str
) -> None:
    put(tmp_path, f"reports/{name}", content)
    assert level(ident, await look(tmp_path, ident)) == expected


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("reports/bus_recovery/bus_recovery_pre_restart_20260227T090000Z.json", 1),
        ("C:\\hbot\\reports\\bus_recovery_pre_restart_20260227T090000Z.json", 1),
        ("reports/bus_recovery/bus_recovery_strict_cycle_20260227T090000Z.json", 0),
        ("reports/bus_recovery/bus_recovery_post_restart_20260227T090000Z.json", 0),
        (None, 0),
    ],
)
async def test_a_bus_check_counts_when_it_was_compared_with_what_was_before(
    tmp_path: Path, path: str | None, count: int
) -> None:
    put(tmp_path, "reports/bus_recovery/latest.json", {"previous_checkpoint_path": path})
    assert await look(tmp_path, "bus.compared") == Found(count)


async def test_a_gate_is_found_by_its_name_and_one_that_is_not_there_is_no_pass(tmp_path: Path) -> None:
    checks = [
        {"name": "smoke_checks", "pass": True},
        {"name": "secrets_hygiene", "pass": False, "severity": "critical"},
    ]
    put(tmp_path, "reports/promotion_gates/latest.json", {"ts_utc": stamp(), "checks": checks})
    failed = await look(tmp_path, "gate.secrets_hygiene")
    assert isinstance(failed, Found) and failed.value is False
    assert await look(tmp_path, "gate.ml_signal_governance") == Absent()


@pytest.mark.parametrize(
    ("rows", "ident", "value"),
    [
        (["{now},running,0.012,0.0,2,api:x,"], "bot1.daily_loss", 0.012),
        (["{now},running,0E+2,0.0,2,api:x,"], "bot1.daily_loss", 0.0),
        (["{now},running,0.003,0.0,2,api:x,", "{now},running,0.0"], "bot1.daily_loss", 0.003),
        (["{now},running,nan,0.0,2,api:x,"], "bot1.daily_loss", None),
        (["{now},running,np.float64(0.003),0.0,2,api:x,"], "bot1.daily_loss", 0.003),
        (["{now},running,,0.0,2,api:x,"], "bot1.daily_loss", None),
        (
            ["{now},running,0.0,0.0,2,api:x,edge_gate_blocked|high_vol"],
            "bot1.reasons",
            "edge_gate_blocked|high_vol",
        ),
    ],
)
async def test_minutes_are_read_by_column_name_whole_lines_only(
    tmp_path: Path, rows: list[str], ident: str, value: object
) -> None:
    lines = [row.format(now=stamp()) for row in rows]
    ends = "" if lines[-1].count(",") < 6 else "\n"
    put(tmp_path, "data/bot1/logs/epp_v24/bot1_a/minute.csv", HEAD + "\n".join(lines) + ends)
    found = await look(tmp_path, ident)
    assert isinstance(found, Broken) if value is None else isinstance(found, Found) and found.value == value


async def test_of_several_variants_the_newest_minutes_count_and_old_ones_are_stale(tmp_path: Path) -> None:
    for variant, loss, ago in (("a", "0.009", 4000), ("d", "0.001", 400)):
        row = f"{stamp(ago)},running,{loss},0.0,0,api:x,\n"
        put(tmp_path, f"data/bot1/logs/epp_v24/bot1_{variant}/minute.csv", HEAD + row)
    found = await look(tmp_path, "bot1.daily_loss")
    assert isinstance(found, Found) and found.value == 0.001
    assert level("bot1.daily_loss", found) == "stale"


async def test_env_files_show_names_and_switches_and_no_value(tmp_path: Path) -> None:
    put(
        tmp_path,
        "env/.env",
        "BOT1_SCRIPT_CONFIG=v2_x.yml\nBITGET_API_KEY=hunter2hunter2\nOPS_DB_PASSWORD=changeme\nEMPTY=\n",
    )
    (tmp_path / "env/.env").chmod(0o644)
    found = {
        ident: await look(tmp_path, ident)
        for ident in ("env.mode", "env.empty", "env.placeholders", "env.script")
    }
    assert "hunter2" not in str(found) and "changeme" not in str(found)
    values = {ident: each.value for ident, each in found.items() if isinstance(each, Found)}
    assert (values["env.mode"], values["env.placeholders"], values["env.script"]) == ("0644", 1, "v2_x.yml")


@pytest.mark.parametrize(
    ("env", "lacking", "answer"),
    [
        ("A=1\nC=2\nD=3\n", ["B"], Answer.NO),
        ("A=1\nB=\nC=2\n", [], Answer.YES),
        ("A=1\n", ["B"], Answer.NO),
        ("A=1\nA=2\n", ["B"], Answer.NO),
    ],
)
async def test_a_variable_that_is_wanted_is_missed_by_name_however_many_are_set(
    tmp_path: Path, env: str, lacking: list[str], answer: Answer
) -> None:
    put(tmp_path, "env/.env", env)
    put(tmp_path, "env/.env.template", "# wanted\nA=your_a\nB=your_b\n")
    names = ("env.template_keys", "env.keys")
    found = [await look(tmp_path, name) for name in names]
    readings = [ok(name, it.value) for name, it in zip(names, found, strict=True) if isinstance(it, Found)]
    left = Deriver(STACK).make("env.missing", {each.key: each for each in readings}, START)
    assert left.value is not None
    assert [str(row[0]) for row in left.value.rows] == lacking
    private = [ok("env.mode", "0600"), ok("env.placeholders", 0)]
    assert checked(STACK, "env-file", left, *private) is answer


async def test_the_state_of_a_bot_is_its_own_newest_word_and_grows_old(redis_db: RedisServer) -> None:
    def say(bot: str, state: str, ago: float) -> None:
        at = int((time.time() - ago) * 1000)
        payload = json.dumps({"instance_name": bot, "state": state, "timestamp_ms": at})
        redis_db.command("XADD", "hb.market_data.v1", "*", "payload", payload)

    say("bot1", "running", 100.0)
    say("bot1", "soft_pause", 90.0)
    say("bot3", "running", 1.0)
    source = replace(STACK.sources["redis"], url=redis_db.url, deadline=2.0)
    facts = [STACK.facts[ident] for ident in ("bot1.state", "bot3.state", "bot4.state")]
    reader = RedisFactReader(source)
    found = await reader.read(facts)
    await reader.close()
    assert isinstance(found["bot1.state"], Found) and found["bot1.state"].value == "soft_pause"
    assert level("bot1.state", found["bot1.state"]) == "stale"
    assert level("bot3.state", found["bot3.state"]) == "ok"
    assert found["bot4.state"] == Absent()


@pytest.mark.parametrize(
    ("scenario", "columns"),
    [
        ("smoke", "running,0.001,0.004,2,api:bitget:user_fee_query,"),
        ("manual_fee", "running,0.001,0.004,0,manual_fallback,"),
        ("auto_fee", "running,0.001,0.004,0,connector:bitget,"),
        ("edge_pause", "soft_pause,0.001,0.004,0,pending,edge_gate_blocked"),
        ("inventory_guard", "running,0.001,0.004,0,pending,base_pct_below_min|x"),
        ("cancel_budget", "hard_stop,0.001,0.004,0,pending,cancel_budget_repeated_breach"),
    ],
)
async def test_a_scenario_of_bot_4_is_seen_in_the_minutes_it_is_for_and_in_no_other(
    tmp_path: Path, scenario: str, columns: str
) -> None:
    name = "data/bot4/logs/epp_v24/bot4_a/minute.csv"
    plain = "running,0.001,0.004,0,pending,"
    put(tmp_path, name, HEAD + f"{stamp(120)},{plain}\n")
    assert await look(tmp_path, f"bot4.saw_{scenario}") == Absent()
    put(tmp_path, name, HEAD + f"{stamp(120)},{columns}\n{stamp(60)},{plain}\n")
    found = await look(tmp_path, f"bot4.saw_{scenario}")
    assert isinstance(found, Found)
    assert abs(time.time() - 120 - float(str(found.value))) < 30, "the minute it was seen in, not the newest"


async def test_minutes_on_a_fallback_are_those_whose_fees_nobody_was_asked_for(tmp_path: Path) -> None:
    rows = [f"{stamp(60 * n)},running,0.001,0.004,2,{source},\n" for n, source in enumerate(
        ("manual_fallback", "project:fees", "connector:bitget", "api:bitget:user_fee_query"))]  # fmt: skip
    put(tmp_path, "data/bot1/logs/epp_v24/bot1_a/minute.csv", HEAD + "".join(reversed(rows)))
    assert await look(tmp_path, "bot1.minutes_lately") == Found(4)
    assert await look(tmp_path, "bot1.fees_asked") == Found(3)


async def rows(folder: Path, ident: str) -> list[dict[str, str]]:
    found = await look(folder, ident)
    assert isinstance(found, Found) and isinstance(found.value, Table)
    return [
        dict(zip(found.value.columns, (str(cell) for cell in row), strict=True)) for row in found.value.rows
    ]


async def test_of_every_script_it_is_known_whether_the_controller_it_names_exists(tmp_path: Path) -> None:
    put(tmp_path, "data/bot3/conf/controllers/there.yml", "id: there\n")
    for name, content in {
        "bot1/conf/scripts/names_none.yml": "markets: {}\n",
        "bot1/conf/scripts/of_another_bot.yml": "controllers_config:\n  - there.yml\n",
        "bot3/conf/scripts/a_well.yml": "controllers_config: [there.yml]  # - gone.yml\n",
        "bot3/conf/scripts/b_half.yml": "controllers_config:\n  - there.yml\n  - gone.yml\n",
        "bot3/conf/scripts/c_elsewhere.yml": "controllers_config:\n  - ../controllers/there.yml\n",
        "bot3/conf/scripts/d_broken.yml": "controllers_config: [there.yml\n",
    }.items():
        put(tmp_path, f"data/{name}", content)
    there = [(row["name"].rpartition("/")[2], row["there"]) for row in await rows(tmp_path, "scripts.refer")]
    assert there == [
        ("names_none.yml", "no"), ("of_another_bot.yml", "no"), ("a_well.yml", "yes"), ("b_half.yml", "yes"),
        ("b_half.yml", "no"), ("c_elsewhere.yml", "no"), ("d_broken.yml", "no"),
    ]  # fmt: skip


async def test_of_every_controller_it_is_known_whether_its_id_is_its_own_and_only_its(tmp_path: Path) -> None:
    for name, content in {
        "bot1/conf/controllers/alone.yml": "id: alone\n",
        "bot1/conf/controllers/copied.yml": "id: copied\n",
        "bot3/conf/controllers/copied.yml": "id: copied\n",
        "bot3/conf/controllers/kept_its_template_s.yml": "id: alone_no\n",
        "bot3/conf/controllers/without.yml": "connector_name: x\n",
    }.items():
        put(tmp_path, f"data/{name}", content)
    ids = await rows(tmp_path, "controllers.ids")
    assert ids[0]["name"] == "data/bot1/conf/controllers/alone.yml"
    assert [(row["value"], row["own"], row["unique"]) for row in ids] == [
        ("alone", "yes", "yes"), ("copied", "yes", "no"), ("copied", "yes", "no"), ("alone_no", "no", "yes"),
        ("", "no", "yes"),
    ]  # fmt: skip
