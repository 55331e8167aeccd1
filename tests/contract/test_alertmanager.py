"""What a real Alertmanager holds, read as a stack file would: its HTTP answers, counted and as a table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from backends.demo.process import free_port
from backends.model.fact import Fact, Found, Table, ValueType
from backends.model.query import HttpQuery
from backends.model.stack import Source, SourceKind
from backends.readers.http import HttpFactReader
from backends.web import Web
from tests.conftest import need
from tests.servers.process import Child, drop_home, make_home

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
LOSS = {"alertname": "DailyLoss", "severity": "critical"}
LAG = {"alertname": "FeedLag", "severity": "warning"}
PATHS = {
    "ready": ("/-/ready", ValueType.BOOL, "none"),
    "all": ("/api/v2/alerts", ValueType.TABLE, "json"),
    "heard": ("/api/v2/alerts?silenced=false", ValueType.COUNT, "json"),
    "silences": ("/api/v2/silences", ValueType.COUNT, "json"),
}


@pytest.fixture
def alertmanager() -> Iterator[str]:
    """One that nobody but this test sends to and that tells nobody."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        need("alertmanager", "not installed")
    home, port = make_home("alertmanager"), free_port()
    (home / "alertmanager.yml").write_text(CONFIG)
    url = f"http://127.0.0.1:{port}"
    child = Child(
        [program, f"--config.file={home}/alertmanager.yml", f"--storage.path={home}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"],
        home / "log",
    )  # fmt: skip

    def is_ready() -> bool:
        try:
            return httpx.get(f"{url}/-/ready", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    try:
        child.wait_ready(is_ready, 30.0)
        yield url
    finally:
        child.stop(5.0)
        drop_home(home)


def post(url: str, what: Any) -> None:
    httpx.post(url, json=what, trust_env=False).raise_for_status()


async def told(url: str) -> dict[str, Any]:
    """What each of ``PATHS`` says now."""
    source = Source("alertmanager", SourceKind.HTTP, "Alertmanager", url, every=10.0, deadline=5.0)
    facts = [
        Fact(name, name, "Alerts", source.id, HttpQuery(path, body=body), kind)
        for name, (path, kind, body) in PATHS.items()
    ]
    async with Web() as web:
        findings = await HttpFactReader(source, web).read(facts)
    return {name: each.value if isinstance(each, Found) else each for name, each in findings.items()}


async def test_alerts_are_counted_and_listed_and_a_silenced_one_is_no_longer_heard(alertmanager: str) -> None:
    nothing = await told(alertmanager)
    assert (nothing["ready"], nothing["heard"], nothing["silences"]) == (True, 0, 0)
    post(f"{alertmanager}/api/v2/alerts", [{"labels": LOSS}, {"labels": LAG}])
    both = await told(alertmanager)
    assert both["heard"] == 2
    assert isinstance(both["all"], Table)
    labels = [row[both["all"].columns.index("labels")] for row in both["all"].rows]
    assert sorted("DailyLoss" in each for each in labels) == [False, True]
    now = datetime.now(UTC)
    post(
        f"{alertmanager}/api/v2/silences",
        {
            "matchers": [{"name": "alertname", "value": "FeedLag", "isRegex": False}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "kim",
            "comment": "the venue is closed",
        },
    )
    quiet = await told(alertmanager)
    assert (quiet["heard"], quiet["all"].total, quiet["silences"]) == (1, 2, 1)
