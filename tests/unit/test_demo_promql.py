"""The demo's Prometheus answers the questions that are asked of the platform's."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from backends.demo.promql import QueryError, Store, evaluate
from backends.model.query import HttpQuery
from backends.stacks.loader import built_in, load_stack

STORE: Store = {
    "up": [({"__name__": "up", "job": "gateway"}, 1.0), ({"__name__": "up", "job": "signal"}, 0.0)],
    "ALERTS": [
        ({"alertname": "GatewayDown", "alertstate": "firing"}, 1.0),
        ({"alertname": "Noise", "alertstate": "firing"}, 1.0),
        ({"alertname": "SignalDown", "alertstate": "pending"}, 1.0),
    ],
    "took_bucket:rate": [({"le": "0.1"}, 5.0), ({"le": "1"}, 10.0), ({"le": "+Inf"}, 10.0)],
}


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("up", [1.0, 0.0]),
        ('up{job="signal"}', [0.0]),
        ("up == 0", [0.0]),
        ('count(up{job!~"gateway|signal"}==0) or vector(0)', [0.0]),
        ("count(up==0) or vector(0)", [1.0]),
        ("count(up)*0", [0.0]),
        ("up * 2 > 1", [2.0]),
        ('count(ALERTS{alertstate="firing",alertname!~"Noise|Other"}) or vector(0)', [1.0]),
        ("sum by (job) (up)", [1.0, 0.0]),
        ("sum(up) by (job)", [1.0, 0.0]),
        ("max(up)", [1.0]),
        ("unknown_metric", []),
        ("histogram_quantile(0.95, sum(rate(took_bucket[5m])) by (le))", [0.91]),
        ("histogram_quantile(0.5,sum(rate(took_bucket[5m]))by(le))>=0", [0.1]),
        ("histogram_quantile(0.95, sum(rate(other_bucket[5m])) by (le))", []),
    ],
)
def test_a_query_has_the_value_prometheus_gives_it(query: str, values: list[float]) -> None:
    assert [value for _, value in evaluate(query, STORE)] == pytest.approx(values)


@pytest.mark.parametrize("name", ["prometheus.firing", "prometheus.down"])
def test_what_the_room_asks_of_prometheus_is_0_where_all_is_well_and_nothing_where_nothing_is_watched(
    name: str,
) -> None:
    asked = load_stack(built_in()["trading-platform"]).facts[name].query
    assert isinstance(asked, HttpQuery)
    query = unquote(asked.path.partition("?query=")[2])
    well: Store = {"up": [({"job": "gateway"}, 1.0)], "prometheus_rule_group_rules": [({}, 6.0)]}
    assert [value for _, value in evaluate(query, well)] == [0.0]
    assert evaluate(query, {}) == []
    ill: Store = {**well, "up": [({"job": "gateway"}, 0.0)], "ALERTS": STORE["ALERTS"][:1]}
    assert [value for _, value in evaluate(query, ill)] == [1.0]


@pytest.mark.parametrize("query", ["", "up{", "up}", "up ==", "count(", 'up{job="a]', "€", "(1", "up{a~~b}"])
def test_what_is_no_query_is_an_error(query: str) -> None:
    with pytest.raises(QueryError):
        evaluate(query, STORE)
