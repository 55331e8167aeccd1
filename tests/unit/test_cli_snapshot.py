"""What ``status`` says: complete, stable in its names, and never better than what is known."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from backends.journal.drills import overdue
from backends.model.alarm import Alarm, Priority
from backends.model.board import Board, SourceHealth
from backends.model.clock import Instant
from backends.model.fact import Fact, Level, Table, ValueType
from backends.model.query import RedisQuery
from backends.model.reading import Good, Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service, Usage
from backends.model.stack import Environment, LogGrammar, ServiceSpec, Source, SourceKind, Stack
from backends.model.trading import Gate, Trading, TradingState
from tests.sim.world import HALT
from tui.commands.grid import grid
from tui.commands.snapshot import SCHEMA, stack_data
from tui.commands.status import exit_code, stack_text, stacks_text
from tui.commands.verdict import ExitCode

THEN = Instant(100.0, 1_790_000_000.0)
NOW = Instant(101.0, 1_790_000_001.0)


def fact(ident: str, kind: ValueType = ValueType.TEXT, **more: Any) -> Fact:
    return Fact(ident, ident.title(), "risk", "redis", RedisQuery("get", ident), kind, **more)


def reading(key: str, value: Any = None, outcome: Outcome = Outcome.OK, **more: Any) -> Reading[Any]:
    return Reading(key, "redis", outcome, THEN, 1.0, value=value, **more)


SERVICE = Service(
    "gateway", Runtime.DOCKER, "abc", SafeText("gw-1"), RunState.RUNNING, Health.HEALTHY, restarts=2,
    started_wall=THEN.wall - 60, usage=Usage(memory=1 << 20),
)  # fmt: skip

STACK = Stack(
    id="lab",
    title="Lab",
    environment=Environment.DEMO,
    sources={
        "redis": Source("redis", SourceKind.REDIS, "Redis", "redis://h:1/0", 1.0, 0.5),
        "docker": Source("docker", SourceKind.DOCKER, "Docker", "unix:///d.sock", 1.0, 0.5),
    },
    services=(
        ServiceSpec("gateway", ("gw-1",), "trades", "docker"),
        ServiceSpec("grafana", ("grafana",), "draws", "docker", is_required=False),
    ),
    facts={
        it.id: it
        for it in (
            fact("word", meanings={"ACTIVE": Level.OK}),
            fact("lost"),
            fact("gone", missing=Level.CRIT),
            fact("rows", ValueType.TABLE),
            fact("never"),
            fact("hidden", is_shown=False),
        )
    },
    gates=(),
    echoes=(),
    alarms=(),
    checks={},
    checklists={},
    diagnoses={},
    procedures={},
    logs=LogGrammar(()),
)

TABLE = Table(("id", "qty"), ((SafeText("a"), SafeText("1")),), 7)


def board(
    state: TradingState = TradingState.TRADING, *, up: bool = True, gates: tuple[Gate, ...] = (), **more: Any
) -> Board:
    readings = {
        "word": reading("word", SafeText("ACTIVE")),
        "lost": reading(
            "lost", outcome=Outcome.FAILED, error=SafeText("refused"), last_good=Good(SafeText("7"), THEN)
        ),
        "gone": reading("gone", outcome=Outcome.MISSING),
        "rows": reading("rows", TABLE),
        "never": reading("never", outcome=Outcome.NEVER),
        "hidden": reading("hidden", SafeText("x")),
        "service:gateway": reading("service:gateway", SERVICE),
        "service:grafana": reading("service:grafana", outcome=Outcome.MISSING),
        "service:stray": reading("service:stray", SERVICE),
    }
    sources = {
        "redis": SourceHealth("redis", "Redis", up, THEN, error=None if up else SafeText("refused")),
        "docker": SourceHealth("docker", "Docker", True, THEN),
    }
    trading = Trading(state, SafeText("all gates allow it"), THEN, THEN, gates)
    return Board("lab", 9, THEN, Environment.DEMO, readings, sources, trading, **more)


ALARM = Alarm(
    "a", Priority.HIGH, SafeText("Drawdown 9 %"), SafeText("c"), SafeText("k"), SafeText("r"), THEN, "word"
)
UNDRILLED = overdue("lab", HALT, [1], THEN)


def found(rows: list[dict[str, Any]], **what: Any) -> dict[str, Any]:
    return next(row for row in rows if what.items() <= row.items())


def test_every_source_service_and_fact_of_the_stack_is_there() -> None:
    data = stack_data(STACK, board(alarms=(ALARM,)), NOW)
    assert [row["id"] for row in data["sources"]] == ["redis", "docker"]
    assert [row["name"] for row in data["services"]] == ["gateway", "grafana", "stray"]
    assert [row["id"] for row in data["facts"]] == list(STACK.facts)
    assert [row["id"] for row in data["alarms"]] == ["a"]
    assert json.loads(json.dumps(data, allow_nan=False)) == data


READ = "outcome quality age observed_age error level"
NAMES = {
    "": "id title environment seq taken trading sources services facts alarms",
    "trading": "state because since age gates",
    "trading.gates": "fact label raw state because",
    "sources": "id title kind url up since last_ok_age failures error",
    "services": f"name role expected required {READ} container ident state health health_output restarts"
    " exit_code oom_killed uptime cpu memory memory_limit image digest",
    "facts": f"id label group source type unit {READ} value last_good",
    "facts.value": "columns rows total",
    "facts.last_good": "value age",
    "alarms": "id priority title cause consequence response subject section since age",
}
"""What scripts rely on, by where it stands. A name that goes or changes makes ``SCHEMA`` grow; a new one is
added here."""


def names_in(data: Any, place: str = "") -> dict[str, set[str]]:
    """The names of every object, by the names that lead to it."""
    found: dict[str, set[str]] = {}
    for each in data if isinstance(data, list) else [data] if isinstance(data, dict) else []:
        for name, value in each.items() if isinstance(each, dict) else ():
            found.setdefault(place, set()).add(name)
            for where, names in names_in(value, f"{place}.{name}".lstrip(".")).items():
                found.setdefault(where, set()).update(names)
    return found


def test_the_names_stay() -> None:
    gate = Gate("word", "switch", SafeText("ACTIVE"), TradingState.TRADING, SafeText(""))
    data = stack_data(STACK, board(alarms=(ALARM,), gates=(gate,)), NOW)
    assert names_in(data) == {place: set(names.split()) for place, names in NAMES.items()}
    assert SCHEMA == 1


def test_what_is_read_on_demand_alone_is_not_among_the_facts() -> None:
    asked = {**STACK.facts, "asked": fact("asked", is_shown=False, on_demand=True)}
    data = stack_data(replace(STACK, facts=asked), board(), NOW)
    assert [row["id"] for row in data["facts"]] == list(STACK.facts)


def test_the_five_kinds_of_no_value_stay_five() -> None:
    facts = stack_data(STACK, board(), NOW)["facts"]
    lost, gone, never = (found(facts, id=name) for name in ("lost", "gone", "never"))
    assert (lost["outcome"], lost["level"], lost["error"]) == ("failed", "unknown", "refused")
    assert lost["value"] is None
    assert lost["last_good"] == {"value": "7", "age": 1.0}
    assert (gone["outcome"], gone["level"]) == ("missing", "crit")
    assert (never["outcome"], never["age"], never["level"]) == ("never", None, "unknown")


def test_a_table_keeps_its_columns_and_its_true_total() -> None:
    value = found(stack_data(STACK, board(), NOW)["facts"], id="rows")["value"]
    assert value == {"columns": ["id", "qty"], "rows": [["a", "1"]], "total": 7}


def test_a_value_that_grew_old_is_no_longer_good() -> None:
    later = Instant(NOW.mono + 60, NOW.wall + 60)
    data = stack_data(STACK, board(), later)
    assert found(data["facts"], id="word")["level"] == "unknown"
    assert found(data["services"], name="gateway")["level"] == "unknown"


def test_a_missing_service_is_critical_only_when_it_is_required() -> None:
    services = stack_data(STACK, board(), NOW)["services"]
    assert found(services, name="grafana")["level"] == "info"
    assert found(services, name="stray")["expected"] is False


@pytest.mark.parametrize(
    ("it", "code"),
    [
        (board(), ExitCode.VERIFIED),
        (board(TradingState.HALTED), ExitCode.VERIFIED),
        (board(TradingState.UNKNOWN), ExitCode.UNKNOWN),
        (board(TradingState.CONFLICT), ExitCode.CONFLICT),
        (board(up=False), ExitCode.PARTIAL),
        (board(alarms=(ALARM,)), ExitCode.PARTIAL),
        (board(alarms=(UNDRILLED,)), ExitCode.VERIFIED),
        (board(alarms=(UNDRILLED, ALARM)), ExitCode.PARTIAL),
    ],
    ids=[
        "trading", "halted", "unknown", "conflict", "a source is down", "an urgent alarm",
        "a drill is overdue", "a drill, and an urgent alarm",
    ],
)  # fmt: skip
def test_the_exit_status_reflects_the_state(it: Board, code: ExitCode) -> None:
    assert exit_code(it) is code


def test_the_table_shows_every_shown_fact_and_no_blank_for_a_failure() -> None:
    text = "\n".join(stack_text(STACK, board(up=False, alarms=(ALARM,)), NOW))
    assert "TRADING: all gates allow it (1.0s old)" in text
    assert re.search(r"HIGH +1\.0s +Drawdown 9 %", text)
    assert re.search(r"redis +DOWN +redis://h:1/0 +refused", text)
    assert re.search(r"Lost +was 7 1\.0s ago +UNKNOWN +FAILED \S+ +refused", text)
    assert re.search(r"Gone +\? +CRIT +MISSING", text)
    assert re.search(r"Never +\? +UNKNOWN +NEVER read", text)
    assert "Hidden" not in text


def test_the_table_of_several_stacks_ends_with_a_line_for_each() -> None:
    """A terminal shows its end: what is wrong with the first of them must not be scrolled away unseen."""
    lost = board(TradingState.UNKNOWN, up=False, alarms=(ALARM, UNDRILLED))
    deaf = replace(board(TradingState.HALTED, up=False), stack="desk")
    lines = list(stacks_text((STACK, STACK, STACK), (lost, deaf, replace(board(), stack="other")), NOW))
    assert [line.split(None, 3) for line in lines[-4:]] == [
        ["All", "stacks"],
        ["lab", "DEMO", "UNKNOWN", "1/2 sources  HIGH Drawdown 9 %  +1"],
        ["desk", "DEMO", "HALTED", "1/2 sources  no alarm, but not all is known"],
        ["other", "DEMO", "TRADING", "2/2 sources  no alarm"],
    ]
    assert list(stacks_text((STACK,), (lost,), NOW)) == list(stack_text(STACK, lost, NOW))


def test_a_service_that_does_not_run_is_not_up_but_says_how_it_ended() -> None:
    ended = replace(SERVICE, state=RunState.EXITED, exit_code=137)
    key = "service:gateway"
    it = board()
    after = replace(it, readings={**it.readings, key: reading(key, ended)})
    line = next(line for line in stack_text(STACK, after, NOW) if "exited" in line)
    assert "exit code 137, restarts 2" in line
    assert "up " not in line


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert grid([["a", "bb", "c"], ["aaa", "b", "ccc"]], indent="") == ["a    bb  c", "aaa  b   ccc"]


def test_an_endless_name_is_cut_and_says_so() -> None:
    (line,) = grid([["x" * 100, "end"]], indent="", widest=10)
    assert line == "x" * 9 + "…  end"
