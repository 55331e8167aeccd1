"""Docker over TLS: list and streams go through the SDK's own transport, and a wrong CA is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.config import load
from backends.logs.ring import LogRing
from backends.model.fact import SourceError
from backends.model.procedure import ReceiptKind
from backends.model.stack import LogGrammar, Source, SourceKind
from backends.readers.docker import DockerServiceReader
from tests.conftest import started
from tests.contract.docker_place import poll_until, spec
from tests.contract.far_compose import project, start_redis
from tests.servers.certificates import certificates, serving
from tests.servers.compose import need_compose
from tests.servers.docker import DockerEngine
from tests.turns import DOCKER

pytestmark = DOCKER


@pytest.fixture
async def address(docker_engine: DockerEngine, tmp_path: Path) -> AsyncIterator[str]:
    """A TLS port in front of the engine that asks for a client certificate; its files are in ``tmp_path``."""
    certificates(tmp_path)
    context = serving(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                to.write(data)
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            to.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, out = await asyncio.open_unix_connection(docker_engine.socket)
        await asyncio.gather(copy(reader, out), copy(inner, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


def source(url: str, folder: Path) -> Source:
    options = {"cert_path": str(folder)}
    return Source("docker", SourceKind.DOCKER, "Docker", url, every=1.0, deadline=10.0, options=options)


async def test_list_statistics_and_logs_come_over_tls(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the environment says of the web's CAs must not outrank the engine's own.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    ring = LogRing(LogGrammar(()))
    reader = DockerServiceReader(source(address, tmp_path), [spec("cr-chatty")], logs=ring)
    try:
        await poll_until(reader, lambda found: found["cr-chatty"].usage.cpu is not None and ring.end > 5)
    finally:
        await reader.close()


def configured(folder: Path, text: str, **more: str) -> Source:
    """The engine of a room with that configuration and those variables of docker's."""
    config = folder / "config.toml"
    config.write_text(f"[stack.claire-de-binare.source.docker]\n{text}\n")
    (stack,) = load(config, env={"HOME": str(folder), **more}).stacks
    assert stack.sources["docker-facts"].options == stack.sources["docker"].options
    return replace(stack.sources["docker"], deadline=10.0)


@pytest.mark.parametrize("of_its_own", [False, True])
async def test_an_engine_of_the_environment_is_reached_with_the_certificates_of_the_environment(
    address: str, tmp_path: Path, of_its_own: bool
) -> None:
    told = {"DOCKER_CERT_PATH": str(tmp_path)} if of_its_own else {"DOCKER_CONFIG": str(tmp_path)}
    found = configured(tmp_path, "", DOCKER_HOST=address, DOCKER_TLS_VERIFY="1", **told)
    reader = DockerServiceReader(found, [spec("cr-chatty")])
    try:
        assert (await reader.services())["cr-chatty"] is not None
    finally:
        await reader.close()


async def test_an_engine_that_the_configuration_names_gets_no_certificates_of_the_environment(
    address: str, tmp_path: Path
) -> None:
    told = {"DOCKER_HOST": "tcp://10.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    found = configured(tmp_path, f'url = "{address}"', **told)
    assert (found.url, found.options) == (address, {})
    reader = DockerServiceReader(found, [spec("cr-chatty")])
    with pytest.raises(SourceError):
        await reader.services()
    await reader.close()


@pytest.mark.parametrize(
    ("told", "url", "folder"),
    [
        ({}, "unix:///var/run/docker.sock", None),
        ({"DOCKER_CONTEXT": "desk"}, "context://desk", None),
        ({"DOCKER_CONTEXT": "default"}, "unix:///var/run/docker.sock", None),
        ({"DOCKER_CONTEXT": "desk", "DOCKER_HOST": "tcp://far:2375"}, "tcp://far:2375", None),
        ({"DOCKER_HOST": "tcp://far:2376", "DOCKER_CERT_PATH": "/tls"}, "tcp://far:2376", None),
        ({"DOCKER_HOST": "tcp://far:2376", "DOCKER_TLS_VERIFY": "", "DOCKER_TLS": "1"}, "tcp://far:2376", ""),
        (
            {"DOCKER_HOST": "ssh://far", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/tls"},
            "ssh://far",
            None,
        ),
    ],
)
def test_the_variables_of_the_docker_command_mean_what_they_mean_to_it(
    told: dict[str, str], url: str, folder: str | None, tmp_path: Path
) -> None:
    found = configured(tmp_path, "", **told)
    assert found.url == url
    assert found.options.get("cert_path") == (None if folder is None else f"{tmp_path}/.docker")


async def test_an_engine_that_another_ca_signed_is_refused(address: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    certificates(other)
    reader = DockerServiceReader(source(address, other), [spec("cr-chatty")])
    with pytest.raises(SourceError, match=r"certificate of Docker at tcp://127.0.0.1:\d+ is not trusted"):
        await reader.services()
    await reader.close()


async def test_compose_acts_on_the_engine_over_tls(
    address: str, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    started("docker compose", need_compose)
    with project(tmp_path, docker_engine) as it:
        receipt = await start_redis(it, f'url = "{address}"\ncert_path = "{tmp_path}"')
        assert (receipt.kind, it.running()) == (ReceiptKind.DONE, {"redis"}), receipt.after


async def test_compose_does_nothing_on_an_engine_that_another_ca_signed(
    address: str, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    started("docker compose", need_compose)
    other = tmp_path / "other"
    other.mkdir()
    certificates(other)
    with project(tmp_path, docker_engine) as it:
        receipt = await start_redis(it, f'url = "{address}"\ncert_path = "{other}"')
        assert receipt.kind is ReceiptKind.UNKNOWN and "certificate" in receipt.text
        assert it.containers() == {}


async def test_a_missing_key_file_is_named(address: str, tmp_path: Path) -> None:
    (tmp_path / "key.pem").unlink()
    reader = DockerServiceReader(source(address, tmp_path), [spec("cr-chatty")])
    with pytest.raises(SourceError, match=r"the TLS file .*/key.pem for Docker does not exist"):
        await reader.services()
    await reader.close()
