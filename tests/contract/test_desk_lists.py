"""The checklists of the Hummingbot desk that are gone through when something is wrong or was changed: each
observed item is well on a calm desk, and is not, for its own reason, once what it is about is ill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest
from msgspec.structs import replace

from backends.model.examination import Answer, Examined
from tests.building import text
from tests.contract.desk_illnesses import hangs, report
from tests.contract.ward import Ward, ward

LISTS: Final = ("monitoring", "exposure", "break-glass", "baseline")
EXPORTER: Final = {"R1": "bot-metrics-exporter", "H": "metrics-exporter"}
RULES: Final = 7


def _ends(service: str) -> Callable[[Ward], object]:
    return lambda made: made.do(made.world.engine.service(service).stop())


def _ends_exporter(made: Ward) -> None:
    _ends(EXPORTER[str(made.generation)])(made)


def _loses_rules(made: Ward) -> None:
    """As after a rule file that Prometheus refused."""
    told = made.world.prometheus
    told._knows = replace(told._knows, rules=told._knows.rules[:RULES])


def _ships_nothing(made: Ward) -> None:
    made.world.bots["bot1"].told.clear()


def _leaks(made: Ward) -> None:
    report(made, "security/latest.json", status="pass", include_logs=False, finding_count=2)


ILL: Final[Mapping[str, tuple[Callable[[Ward], object], str]]] = {
    "bot-target": (_ends_exporter, "prom.bot_target reads false"),
    "kpi-refresh": (_ends_exporter, "prom.scrape_age"),
    "targets-up": (_ends_exporter, "prom.targets"),
    "loki-well": (_ships_nothing, "loki.bot1"),
    "rules-loaded": (_loses_rules, f"prom.rules reads {RULES}"),
    "grafana-well": (_ends("grafana"), "grafana.health"),
    "secrets-pass": (_leaks, "security.logs reads false"),
    "secrets-none": (_leaks, "security.findings reads 2"),
    "services-up": (_ends("risk-service"), "service:risk-service reads exited"),
    "recovered": (
        hangs("event-store-service", "no file of today"),
        "service:event-store-service reads unhealthy",
    ),
}
"""By check: what makes it fail, and a word of what is told of it."""


@pytest.fixture(scope="module", params=["R1", "H"])
def desk(request: pytest.FixtureRequest) -> Iterator[Ward]:
    with ward("hummingbot-desk", request.param) as made:
        yield made


@pytest.fixture(scope="module")
def seen(desk: Ward) -> Mapping[str, tuple[Examined, Examined]]:
    """What each check said in health, and after everything was made ill."""
    wanted = [desk.stack.checks[name] for name in ILL if name in desk.stack.checks]
    before: dict[str, Examined] = {}
    after: dict[str, Examined] = {}

    def are_well() -> bool:
        before.update(desk.examine(wanted))
        return all(each.answer is Answer.YES for each in before.values())

    def are_ill() -> bool:
        after.update(desk.examine(wanted))
        return not any(each.answer is Answer.YES for each in after.values())

    desk.wait(are_well)
    for bring in dict.fromkeys(bring for bring, _ in ILL.values()):
        bring(desk)
    desk.wait(are_ill)
    return {name: (before[name], after[name]) for name in before}


def test_all_that_these_lists_look_at_is_made_ill(desk: Ward) -> None:
    looked = {item.check for name in LISTS for item in desk.stack.checklists[name].items if item.check}
    assert looked <= ILL.keys()
    assert desk.generation != "R1" or looked == ILL.keys()


def test_each_item_is_well_on_a_calm_desk_and_is_not_for_its_own_reason(
    seen: Mapping[str, tuple[Examined, Examined]],
) -> None:
    well, ill = ({name: each[when] for name, each in seen.items()} for when in (0, 1))
    assert {name: text(each) for name, each in well.items() if each.answer is not Answer.YES} == {}
    assert {name: text(each) for name, each in ill.items() if each.answer is Answer.YES} == {}
    assert {name: text(each) for name, each in ill.items() if ILL[name][1] not in text(each)} == {}


def test_no_list_of_which_an_item_is_ill_is_done(
    desk: Ward, seen: Mapping[str, tuple[Examined, Examined]]
) -> None:
    lists = desk.lists()
    observed = {name for name in LISTS if any(it.check in seen for it in desk.stack.checklists[name].items)}
    assert observed == {*LISTS} - ({"baseline"} if desk.generation == "H" else set())
    assert [name for name in observed if lists[name] is Answer.YES] == []
