"""One file describes several generations of a stack; the one whose containers exist is taken."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import pytest
from msgspec.structs import replace

from backends import generation
from backends.config import load
from backends.generation import PATIENCE, settle
from backends.model.stack import Stack
from backends.stacks.toml_file import ConfigError

HERE = Path(__file__).parent
BASE = (
    (HERE / "small_stack.toml")
    .read_text(encoding="utf-8")
    .replace('"paper"', '"paper"\nvariant = "one"\n[names]\nplace = "127.0.0.1"', 1)
    .replace("redis://127.0.0.1", "redis://%{place}")
)
VARIANTS = """
[variant.one]
title = "the first"
present = ["web-1"]
absent = ["web-two"]

[variant.two]
title = "the second"
present = ["web-two"]
project = "second"
drop = ["alarm:many", "fact:orders.open", "source:db", "procedure:halt/two"]

[variant.two.names]
place = "second.internal"

[[variant.two.service]]
name = "web"
containers = ["web-two"]

[[variant.two.service]]
name = "extra"
containers = ["extra"]
role = "more"

[[variant.two.fact]]
id = "api.kill"
ok = ["RUN", "GO"]

[[variant.two.procedure]]
id = "halt"
shows = []

[[variant.two.procedure.step]]
id = "one"
title = "Ask it twice"
"""


class Containers:
    """A Docker Engine that lists what it is told, as late as it is told."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.go_on = threading.Event()
        self.go_on.set()
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.go_on.wait(5.0)
                rows = [
                    {"Names": [f"/{name}"], "Labels": {"com.docker.compose.project": project}}
                    for name, project in outer.names.items()
                ]
                body = json.dumps({"ApiVersion": "1.41"} if "version" in self.path else rows).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def docker() -> Iterator[Containers]:
    engine = Containers()
    yield engine
    engine.go_on.set()
    engine.server.shutdown()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time where the time is not what is tested."""
    monkeypatch.setattr(generation, "PATIENCE", 10.0)


def loaded(folder: Path, docker_url: str, more: str = "", variants: str = VARIANTS) -> Stack:
    (folder / "stack.toml").write_text(BASE + variants, encoding="utf-8")
    config = folder / "config.toml"
    config.write_text(
        f'[stack.small]\nfile = "stack.toml"\n{more}\n[stack.small.source.docker]\nurl = "{docker_url}"\n'
    )
    return load(config, env={"HOME": str(folder)}).stacks[0]


@pytest.mark.usefixtures("patience")
def test_the_generation_whose_containers_exist_is_taken(tmp_path: Path, docker: Containers) -> None:
    docker.names = {"web-two": "second", "stranger": ""}
    (stack,) = settle([loaded(tmp_path, docker.url)])
    assert stack.title == "A small stack, the second"
    assert stack.generation is not None and stack.generation.doubt is None
    assert [service.match for service in stack.services] == [("web-two",), ("extra",)]
    assert "orders.open" not in stack.facts and set(stack.sources) == {"redis", "api", "docker"}
    assert stack.sources["redis"].url == "redis://second.internal:6379/0"
    assert list(stack.facts["api.kill"].meanings or ()) == ["RUN", "GO", "STOP"]
    assert [step.title for step in stack.procedures["halt"].steps] == ["Ask it twice"]
    assert stack.alarms == ()


@pytest.mark.alone
def test_what_the_containers_do_not_tell_is_assumed_and_said(
    tmp_path: Path, docker: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.names = {"web-two": "another project"}
    with monkeypatch.context() as patient:
        patient.setattr(generation, "PATIENCE", 10.0)
        (stack,) = settle([loaded(tmp_path, docker.url)])
    assert stack.title == "A small stack, the first (assumed: no container of any generation exists)"
    docker.go_on.clear()
    silent = loaded(tmp_path, docker.url)
    asked = monotonic()
    stacks = settle([replace(silent, id=f"silent-{number}") for number in range(5)])
    assert monotonic() - asked < PATIENCE + 2.0, "however many are silent"
    for stack in stacks:
        assert "(assumed: Docker" in stack.title and "did not answer within 0.75 s" in stack.title


def test_a_config_file_may_say_which_one_runs(tmp_path: Path, docker: Containers) -> None:
    docker.names = {"web-two": "second"}
    (stack,) = settle([loaded(tmp_path, docker.url, 'variant = "one"')])
    assert stack.title == "A small stack, the first"
    with pytest.raises(ConfigError, match=r"config\.toml:3: .*no variant 'three'; there is one, two"):
        loaded(tmp_path, docker.url, 'variant = "three"')


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('ok = ["RUN", "GO"]', 'okay = ["RUN"]', "okay", "fact 'api.kill': okay: unknown key"),
        ('ok = ["RUN", "GO"]', 'label = 3', "label", "fact 'api.kill': label: expected text"),
        ('"source:db", ', '"source:dbx", ', "drop", "'source:dbx': there is no such source"),
        ('"fact:orders.open", ', "", 'source = "db"', "there is no source 'db'"),
        ("halt/two", "halt/four", "drop", "'procedure:halt/four': there is no such procedure"),
        ("shows = []", 'shows = ["%{other}"]', "shows", "procedure 'halt': shows[0]: %{other} is no name"),
        ("shows = []", 'shows = ["nothing"]', "shows", "procedure 'halt': shows[0]: there is no fact"),
        ('title = "Ask it twice"', "titel = 1", "titel", "step 'one': titel: unknown key"),
        ('role = "more"', "", "[[variant.two.service]]", "service 'extra': role is missing"),
        ('present = ["web-1"]', "", "[variant.one]", "variant.one: expected present or any_of"),
        ('absent = ["web-two"]', 'drop = ["alarm:many"]', "[variant.one]", "by itself; expected no overlay"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_overlay_is_named_with_its_own_line(
    tmp_path: Path, old: str, new: str, line: str, says: str
) -> None:
    assert old in VARIANTS
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "tcp://127.0.0.1:1", variants=VARIANTS.replace(old, new, 1))
    message = str(caught.value)
    assert says in message
    number = int(message.removeprefix(f"{tmp_path / 'stack.toml'}:").partition(":")[0])
    assert line in "\n".join((tmp_path / "stack.toml").read_text().splitlines()[number - 1 :][:2]), message
