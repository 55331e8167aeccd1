"""What an engine is asked, and how: over connections that are kept, and never anywhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backends.model.fact import SourceError
from backends.model.stack import Source, SourceKind
from backends.readers import docker
from backends.readers.docker import DockerServiceReader
from backends.readers.docker_client import DockerClient, DockerRefusedError

ABOUT = b'{"ApiVersion": "1.41"}'


class Engine(ThreadingHTTPServer):
    """Says its version, and else what it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.said = (200, b"[]")
        self.asked: list[tuple[str, str]] = []
        self.links = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def source(self, root: str = "") -> Source:
        url = f"tcp://127.0.0.1:{self.server_address[1]}{root}"
        return Source("docker", SourceKind.DOCKER, "Docker", url, every=1.0, deadline=5.0)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Engine

    def setup(self) -> None:
        super().setup()
        self.server.links += 1

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["User-Agent"] or ""))
        status, body = (200, ABOUT) if self.path.endswith("/version") else self.server.said
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 301:
            self.send_header("Location", "/version")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def engine() -> Iterator[Engine]:
    it = Engine()
    yield it
    it.shutdown()
    it.server_close()


def test_a_question_says_who_asks(engine: Engine) -> None:
    DockerClient(engine.source(), 5.0).get("/containers/json", {"all": "1"})
    path, agent = engine.asked[-1]
    assert (path, agent.partition("/")[0]) == ("/v1.41/containers/json?all=1", "docker-sdk-python")


def test_an_engine_behind_a_path_is_asked_there_for_lists_and_for_streams(engine: Engine) -> None:
    client = DockerClient(engine.source(root="/far"), 5.0)
    client.get("/containers/json")
    wire = client.open("/events", {"since": "1"})
    wire.settimeout(5.0)
    wire.recv(1)
    paths = [path for path, _ in engine.asked]
    assert paths == ["/far/version", "/far/v1.41/containers/json", "/far/v1.41/events?since=1"]
    wire.close()


def test_where_an_engine_sends_to_nobody_asks(engine: Engine) -> None:
    client = DockerClient(engine.source(), 5.0)
    engine.said = (301, b"")
    with pytest.raises(DockerRefusedError, match="Docker answered 301"):
        client.get("/containers/json")


def test_a_connection_is_kept_but_not_one_with_an_answer_that_was_not_read_whole(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.readers.docker_client.ANSWER_LIMIT", 100_000)
    client = DockerClient(engine.source(), 5.0)
    assert [client.get("/containers/json") for _ in range(3)] == [[], [], []]
    assert engine.links == 1
    engine.said = (200, b" " * 5_000_000)
    with pytest.raises(SourceError, match="longer than"):
        client.get("/containers/json")
    engine.said = (500, b'{"message": "no"}')
    with pytest.raises(DockerRefusedError, match="Docker answered 500: no"):
        client.get("/containers/json")
    engine.said = (200, b"[1]")
    assert client.get("/containers/json") == [1]
    assert engine.links == 2


async def test_a_list_that_says_what_it_said_before_is_not_taken_apart_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    entries = docker.entries
    monkeypatch.setattr(docker, "entries", lambda listed: entries(taken.append(listed) or listed))
    reader = DockerServiceReader(engine.source(), [], is_streaming=False)
    engine.said = (200, b"")
    with pytest.raises(SourceError, match="does not speak Docker's language"):
        await reader.services()
    for said, times in ((b"[]", 1), (b"[]", 1), (b"[ ]", 2), (b"[]", 3)):
        engine.said = (200, said)
        assert await reader.services() == {}
        assert len(taken) == times
    await reader.close()
