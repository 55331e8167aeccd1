"""A real ClickHouse on a free loopback port, with the desk's database and its table."""

from __future__ import annotations

import shutil
import signal
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from backends.demo.process import free_port
from tests.servers.process import Child, UnavailableError, drop_home, make_home

DATABASE: Final = "hbot_events"
TABLE: Final = "event_store_raw_v1"
PASSWORD: Final = "hünter2 with: spaces "
"""Of every user but ``default``, who has none and may write."""
USERS: Final = {"reader": "free", "wall": "two", "locked": "one", "tight": "little"}
"""By name, the profile: no bounds of its own; may only read, and set limits; may only read; has no memory."""

_CONFIG: Final = """<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host><http_port>{port}</http_port>
  <path>{home}/data/</path><tmp_path>{home}/tmp/</tmp_path>
  <user_files_path>{home}/files/</user_files_path><format_schema_path>{home}/schemas/</format_schema_path>
  <users_config>users.xml</users_config><default_profile>free</default_profile>
  <default_database>default</default_database><timezone>Europe/Berlin</timezone>
  <mark_cache_size>1048576</mark_cache_size><keep_alive_timeout>10</keep_alive_timeout>
  <background_pool_size>1</background_pool_size><background_schedule_pool_size>1</background_schedule_pool_size>
</yandex>"""
_USERS: Final = """<yandex>
  <profiles>
    <free><max_memory_usage>100000000</max_memory_usage><max_threads>1</max_threads></free>
    <two><readonly>2</readonly></two><one><readonly>1</readonly></one>
    <little><max_memory_usage>1000000</max_memory_usage></little>
  </profiles>
  <quotas><free/></quotas>
  <users>{users}</users>
</yandex>"""
_USER: Final = """<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
  <profile>{profile}</profile><quota>free</quota></{name}>"""
_COLUMNS: Final = """ingest_ts DateTime DEFAULT now(), event_ts DateTime, event_id String,
  correlation_id String, event_type String, producer String, instance_name String, controller_id String,
  source_file String, source_line UInt64, payload_json String, raw_json String"""


@dataclass
class ClickHouseServer:
    port: int
    home: Path
    child: Child

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, statement: str, **settings: object) -> str:
        """What it answers to ``default``. Raises urllib's HTTPError."""
        url = f"{self.url}/?{urlencode({'database': DATABASE, **settings})}"
        with urllib.request.urlopen(url, statement.encode(), timeout=20.0) as answer:
            return str(answer.read().decode())

    def stop(self) -> None:
        self.child.stop()
        drop_home(self.home)


def start_clickhouse() -> ClickHouseServer:
    """A fresh one, whose table is empty; UnavailableError where it is not installed."""
    program = shutil.which("clickhouse-server") or shutil.which("clickhouse-server", path="/usr/sbin")
    if program is None:
        raise UnavailableError("clickhouse-server is not installed")
    home, port = make_home("clickhouse"), free_port()
    who = {"default": ("", "free")} | {name: (PASSWORD, profile) for name, profile in USERS.items()}
    users = (_USER.format(name=it, password=word, profile=profile) for it, (word, profile) in who.items())
    (home / "config.xml").write_text(_CONFIG.format(home=home, port=port))
    (home / "users.xml").write_text(_USERS.format(users="".join(users)))
    # Asked to end, it waits until each connection is idle for long enough.
    child = Child([program, f"--config-file={home}/config.xml"], home / "log", signal.SIGKILL)
    server = ClickHouseServer(port, home, child)

    def answers() -> bool:
        try:
            return server.run("SELECT 1", database="default") == "1\n"
        except OSError:
            return False

    try:
        server.child.wait_ready(answers, 30.0)
        server.run(f"CREATE DATABASE {DATABASE}", database="default")
        server.run(
            f"CREATE TABLE {TABLE} ({_COLUMNS}) ENGINE = MergeTree ORDER BY (source_file, source_line)"
        )
    except (UnavailableError, urllib.error.HTTPError):
        server.stop()
        raise
    return server
