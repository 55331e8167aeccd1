"""An answer becomes a value only when it is exactly what the fact asks for; otherwise there is a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.model.fact import Absent, Broken, Fact, Found, Table, ValueType
from backends.model.query import RedisQuery
from backends.model.safetext import SafeText
from backends.readers.extract import Members, Rows, Same, extract

TEXT, INT, FLOAT, BOOL = ValueType.TEXT, ValueType.INT, ValueType.FLOAT, ValueType.BOOL
TIME, COUNT, TABLE = ValueType.TIME, ValueType.COUNT, ValueType.TABLE


def fact(kind: ValueType, pick: str | None = None, **more: Any) -> Fact:
    return Fact("f", "F", "g", "redis", RedisQuery("get", "k"), kind, pick, **more)


def value(kind: ValueType, raw: Any, pick: str | None = None) -> Any:
    found = extract(fact(kind, pick), raw)
    assert isinstance(found, Found), found
    return found.value


def why(kind: ValueType, raw: Any, pick: str | None = None, **more: Any) -> str:
    finding = extract(fact(kind, pick, **more), raw)
    assert isinstance(finding, Broken), finding
    assert type(finding.why) is SafeText
    return str(finding.why)


def rows(table: Any) -> list[list[str]]:
    assert isinstance(table, Table)
    return [[str(cell) for cell in row] for row in table.rows]


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (TEXT, b"ACTIVE", "ACTIVE"),
        (TEXT, b"active", "active"),
        (TEXT, b"\x1b[2J[/", "\\x1b[2J[/"),
        (INT, b"-150", -150),
        (INT, b" 7\n", 7),
        (FLOAT, b"np.float64(1.5)", 1.5),
        (INT, 3.0, 3),
        (INT, b"9223372036854775807", 2**63 - 1),
        (FLOAT, b"12.50", 12.5),
        (FLOAT, "190.10", 190.1),
        (FLOAT, b"-1e-3", -0.001),
        (FLOAT, 4, 4.0),
        (BOOL, True, True),
        (BOOL, b"true", True),
        (BOOL, b"False", False),
        (BOOL, b"0", False),
        (COUNT, b"0", 0),
        (COUNT, [1, 2, 3], 3),
        (COUNT, b"[1, 2]", 2),
        (COUNT, Members([b"a"], 40), 40),
        (COUNT, Rows([], 0), 0),
        (COUNT, Rows([{"count": 17}], 1), 17),
        (COUNT, Rows([{"symbol": "AAPL"}], 1), 1),
        (TIME, b"1790000000", 1_790_000_000.0),
        (TIME, 1_790_000_000_250, 1_790_000_000.25),
        (TIME, "2026-11-21T15:31:02.5+00:00", 1_795_275_062.5),
        (TIME, "2026-11-21T16:31:02.5+01:00", 1_795_275_062.5),
        (TIME, "2026-11-21T15:31:02.5Z", 1_795_275_062.5),
        (TIME, "2026-11-21T15:31:02.5", 1_795_275_062.5),
    ],
)
def test_what_fits_is_found(kind: ValueType, raw: Any, expected: object) -> None:
    found = value(kind, raw)
    assert found == expected
    assert type(found) is type(expected) or isinstance(found, SafeText)


@pytest.mark.parametrize(
    ("kind", "raw", "reason"),
    [
        (TEXT, b"", "is empty, text expected"),
        (TEXT, b" \n", "is blank, text expected"),
        (TEXT, b"\xff\xfe", "is not UTF-8 text: '\\\\xff\\\\xfe'"),
        (TEXT, [], "is a list, text expected"),
        (TEXT, 5, "is a number, text expected"),
        (TEXT, False, "is false, text expected"),
        (INT, b"", "is empty, a number expected"),
        (INT, b"3.5", "is 3.5, a whole number expected"),
        (INT, True, "is true, a number expected"),
        (INT, 2**63, "is too large a number"),
        (INT, -(10**400), "is too large a number"),
        (INT, b"9" * 19, "is too large a number"),
        (INT, b"1_000", "is '1_000', a number expected"),
        (INT, "١٢", "is '١٢', a number expected"),
        (FLOAT, b"np.float64(nan)", "is 'np.float64(nan)', a number expected"),
        (FLOAT, "np.float64(1.5)", "is 'np.float64(1.5)', a number expected"),
        (FLOAT, b"nan", "is 'nan', a number expected"),
        (FLOAT, float("nan"), "is a number, a number expected"),
        (FLOAT, float("-inf"), "is too large a number"),
        (FLOAT, b"1e999", "is too large a number"),
        (FLOAT, b"Infinity", "is 'Infinity', a number expected"),
        (BOOL, "true", "is 'true', true or false expected"),
        (BOOL, 1, "is a number, true or false expected"),
        (BOOL, b"yes", "is 'yes', true or false expected"),
        (COUNT, b"-1", "is -1, a count cannot be negative"),
        (COUNT, "many", "is 'many', a number expected"),
        (TIME, 0, "is 0, not a time of this century"),
        (TIME, b"20261121", "is '20261121', not a time of this century"),
        (TIME, b"soon", "is 'soon', a time expected"),
        (TIME, True, "is true, a time expected"),
        (TABLE, b"ACTIVE", "not JSON"),
        (TABLE, 5, "is a number, a list expected"),
    ],
)
def test_what_does_not_fit_is_broken_with_the_reason(kind: ValueType, raw: Any, reason: str) -> None:
    assert why(kind, raw) == reason


STATE = b'{"state": "ENGAGED", "by": null, "n": "", "details": {"ticket": "OPS-7", "runs": [{"id": 4}]}}'


def test_a_path_leads_into_json_and_its_lists() -> None:
    assert value(TEXT, STATE, "state") == "ENGAGED"
    assert value(TEXT, STATE, "details.ticket") == "OPS-7"
    assert value(INT, STATE, "details.runs.0.id") == 4
    assert value(INT, STATE, "details.runs.-1.id") == 4


def test_missing_null_empty_and_no_member_are_four_different_things() -> None:
    assert extract(fact(TEXT, "state"), None) == Absent()
    assert extract(fact(TEXT, "by"), STATE) == Absent()
    assert extract(fact(TEXT, "by.name"), STATE) == Absent()
    assert extract(fact(INT, "details.runs.1.id"), STATE) == Absent()
    assert why(TEXT, STATE, "n") == "is empty, text expected"
    assert why(TEXT, STATE, "reason") == "no member 'reason'"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"TRIPPED", "not JSON"),
        (b"{'state': 'OPEN'}", "not JSON"),
        (b'{"state": "OPEN"', "not JSON"),
        (b'{"state": "OPEN"} trailing', "not JSON"),
        (b"", "is empty"),
        (b"[" * 100_000, "not JSON"),
        (b'{"state": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"state": NaN}', "not JSON: holds NaN"),
        (b'{"state": "OPEN", "state": "TRIPPED"}', "not JSON: member 'state' is there twice"),
        (b'{"state": "\xff"}', "is not UTF-8 text"),
        (b'"OPEN"', "is 'OPEN', an object with 'state' expected"),
        (b'["OPEN"]', "is a list, an object with 'state' expected"),
        (b"7", "is a number, an object with 'state' expected"),
        (b'{"state": {"now": "OPEN"}}', "is an object, text expected"),
        (b'{"STATE": "OPEN"}', "no member 'state'"),
    ],
)
def test_a_malformed_state_is_never_a_state(raw: bytes, reason: str) -> None:
    assert why(TEXT, raw, "state").startswith(reason)


def test_the_answers_own_timestamp_is_its_age_and_must_be_there() -> None:
    price = b'{"bid": "190.10", "timestamp": "2026-11-21T15:31:02.5+00:00", "sent": null}'
    found = extract(fact(FLOAT, "bid", observed="timestamp"), price)
    assert found == Found(190.1, 1_795_275_062.5)
    assert why(FLOAT, price, "bid", observed="at") == "its own timestamp 'at': no member 'at'"
    assert why(FLOAT, price, "bid", observed="sent") == "its own timestamp 'sent': is null"
    assert why(FLOAT, price, "bid", observed="bid").startswith("its own timestamp 'bid': is '190.10', not a")


def test_a_time_with_a_limited_age_is_its_own_timestamp_and_any_other_may_lie_ahead() -> None:
    raw = b"2026-11-21T15:31:02.5+00:00"
    assert extract(fact(TIME, max_age=30.0), raw) == Found(1_795_275_062.5, 1_795_275_062.5)
    assert extract(fact(TIME), raw) == Found(1_795_275_062.5, None)


def test_one_value_needs_one_row_and_one_column() -> None:
    one = Rows([{"qty": 5, "symbol": "AAPL", "details": {"by": "kim"}}], 1)
    assert value(INT, one, "qty") == 5
    assert value(TEXT, one, "details.by") == "kim"
    assert why(INT, one) == "3 columns, one expected"
    assert why(INT, one, "size") == "no member 'size'"
    assert why(INT, Rows([{"n": 1}, {"n": 2}], 2)) == "2 rows, one expected"
    assert why(INT, Rows([{"n": 1}], 900)) == "900 rows, one expected"
    assert extract(fact(INT), Rows([], 0)) == Absent()
    assert extract(fact(INT), Rows([{"sum": None}], 1)) == Absent()


def test_one_value_of_a_collection_needs_one_entry() -> None:
    entry = b'{"event": "ENGAGED"}'
    assert value(TEXT, Members([entry], 1000), "event") == "ENGAGED"
    assert value(INT, Members([{"qty": b"5"}], 1), "qty") == 5
    assert why(TEXT, Members([entry, entry], 2), "event") == "2 entries, one expected"
    assert extract(fact(TEXT, "event"), Members([], 0)) == Absent()


def test_rows_become_a_table_with_their_columns_and_how_many_there_are() -> None:
    table = value(TABLE, Rows([{"symbol": "AAPL", "qty": 5}, {"symbol": None, "qty": 1.5}], 900))
    assert table.columns == ("symbol", "qty")
    assert rows(table) == [["AAPL", "5"], ["–", "1.5"]]
    assert table.total == 900


def test_entries_that_are_json_objects_become_columns_and_any_other_is_shown_as_it_is() -> None:
    entries = [b'{"event": "ENGAGED", "operator": "kim"}', b'{"event": "DISENGAGED", "ok": true}']
    table = value(TABLE, Members(entries, 2))
    assert table.columns == ("event", "operator", "ok")
    assert rows(table) == [["ENGAGED", "kim", "–"], ["DISENGAGED", "–", "true"]]
    assert rows(value(TABLE, Members([entries[0], b"\x1b[2J\xff"], 2)))[1] == ["\\x1b[2J\\xff"]


def test_json_lists_and_objects_become_tables_of_bounded_size() -> None:
    assert rows(value(TABLE, b'{"list": [{"a": [1, {"b": null}]}]}', "list")) == [['[1,{"b":null}]']]
    assert rows(value(TABLE, {"AAPL": 1, "MSFT": 2})) == [["AAPL", "1"], ["MSFT", "2"]]
    big = value(TABLE, [{f"c{n}": "x" * 9000 for n in range(99)}] * 5000)
    assert (len(big.rows), len(big.columns), big.total) == (200, 24, 5000)
    assert max(len(cell) for row in big.rows for cell in row) < 600


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
ANSWERS = (
    JSON
    | st.builds(Members, st.lists(st.binary(), max_size=3), st.integers(0, 9))
    | st.builds(Rows, st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=3), st.integers(0, 9))
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(ValueType), ANSWERS, st.none() | st.sampled_from(["a", "0", "a.b", "-1.0"]))
def test_no_answer_whatever_raises_or_gives_an_unsafe_value(
    kind: ValueType, raw: Any, pick: str | None
) -> None:
    finding = extract(fact(kind, pick), raw)
    assert isinstance(finding, (Found, Absent, Broken))
    if isinstance(finding, Found):
        assert isinstance(finding.value, (bool, int, float, SafeText, Table))
        assert not isinstance(finding.value, float) or abs(finding.value) < float("inf")
        assert not isinstance(finding.value, SafeText) or finding.value.strip()


def test_rows_are_limited_to_those_that_are_meant() -> None:
    venues = Members([{"venue": b"A", "ms": b"1200.5"}, {"venue": b"B", "ms": b"80"}], 2)
    slow = fact(COUNT, where={"ms": ">1000"})
    assert extract(slow, venues) == Found(1)
    found = extract(fact(TABLE, where={"venue": "B"}), venues)
    assert isinstance(found, Found)
    assert rows(found.value) == [["B", "80"]]
    assert extract(fact(COUNT, where={"venue": "!^B|C"}), venues) == Found(1)
    assert extract(fact(COUNT, where={"venue": "!~A|B"}), venues) == Found(0)
    ghosts = Rows([{"member": "x", "document": "none"}], 1)
    assert extract(fact(COUNT, where={"document": "yes", "priority": "P1"}), ghosts) == Found(0)


@pytest.mark.parametrize(
    ("raw", "where", "reason"),
    [
        (Members([{"ms": b"nan"}], 1), {"ms": ">1000"}, "a number expected"),
        (Members([{"ms": b"1"}], 1), {"rate": ">1000"}, "no column rate"),
        (Rows([{"document": "yes"}], 1), {"document": "yes", "priority": "P1"}, "no column priority"),
        (Members([{"ms": b"1"}], 9000), {"ms": ">1000"}, "only 1 can be looked at"),
    ],
)
def test_rows_that_cannot_be_told_apart_are_not_counted(raw: Any, where: Any, reason: str) -> None:
    assert reason in why(COUNT, raw, where=where)


def test_a_step_in_brackets_takes_the_first_of_a_list_that_reads_so() -> None:
    gates = {"checks": [{"name": "lint", "pass": True}, {"name": "day2", "pass": False}, {"name": "day2"}, 7]}
    assert value(BOOL, gates, "checks.[name=day2].pass") is False
    assert value(TEXT, gates, "checks.[pass=true].name") == "lint"
    entries = [
        {"id": b"3-0", "payload": b'{"bot": "two", "state": "running"}'},
        {"id": b"2-0", "payload": b'{"bot": "one", "state": "hard_stop"'},
        {"id": b"1-0", "payload": b'{"bot": "one", "state": "soft_pause"}'},
    ]
    stream = Members(entries, 4000)
    assert value(TEXT, stream, "[payload.bot=two].payload.state") == "running"
    assert value(TEXT, stream, "[payload.bot=one].payload.state") == "soft_pause"  # the cut entry is no bot's
    assert extract(fact(TEXT, "[payload.bot=six].payload.state"), stream) == Absent()
    assert value(INT, Rows([{"bot": "a", "n": 1}, {"bot": "b", "n": 2}], 2), "[bot=b].n") == 2
    assert "list expected" in why(TEXT, {"checks": {"a": 1}}, "checks.[name=lint].pass")
    assert extract(fact(TEXT, "[payload.bot=two].payload.state", observed="[payload.bot=six].payload.at"),
                   stream) != Absent()  # fmt: skip


def test_the_same_answer_about_the_same_fact_is_understood_once() -> None:
    same, asked, other = Same(), fact(INT, "n"), fact(TEXT, "n")
    made: list[bytes] = []

    def finding(of: Fact, said: bytes) -> Any:
        return same.finding(of, said, lambda: made.append(said) or extract(of, said))

    one, two, word = b'{"n": 1}', b'{"n": 2}', b'{"n": "1"}'
    assert finding(asked, one) is finding(asked, bytes(bytearray(one)))
    assert made == [one]
    assert finding(asked, two) == Found(2)
    assert finding(asked, one) == Found(1)
    assert made == [one, two, one], "only the last one is kept"
    assert isinstance(finding(other, one), Broken), "it is another fact, of the same name"
    assert finding(other, word) == Found(SafeText("1"))


def test_an_answer_that_could_not_be_understood_is_so_when_it_comes_again() -> None:
    same, asked = Same(), fact(INT)
    found = [same.finding(asked, said, lambda said=said: extract(asked, said)) for said in (b"x", b"x", b"7")]
    assert [type(each) for each in found] == [Broken, Broken, Found]
