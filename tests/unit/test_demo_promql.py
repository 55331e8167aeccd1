"""The demo's Prometheus answers the questions that are asked of the platform's."""

from __future__ import annotations

import pytest

from backends.demo.promql import QueryError, Store, evaluate

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


@pytest.mark.parametrize("query", ["", "up{", "up}", "up ==", "count(", 'up{job="a]', "€", "(1", "up{a~~b}"])
def test_what_is_no_query_is_an_error(query: str) -> None:
    with pytest.raises(QueryError):
        evaluate(query, STORE)
