"""How a program of this host is told which Docker Engine it is to act on."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from backends.model.stack import Source

_HERE: Final = "unix:///var/run/docker.sock"
"""What no address means to the room. To the docker command it means its current context."""

ENGINE_VARIABLES: Final = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
)
"""Those that say where an engine is."""


def docker_env(source: Source) -> dict[str, str]:
    """The variables by which docker, its plugins and whatever calls them reach the engine of ``source``.

    With them the current context of the account has no say.
    """
    scheme, _, place = (source.url or _HERE).partition("://")
    if scheme == "context":
        return {"DOCKER_CONTEXT": place}
    if scheme == "ssh" and source.username:
        place = f"{quote(source.username, safe='')}@{place}"
    if scheme in ("unix", "ssh"):
        return {"DOCKER_HOST": f"{scheme}://{place}"}
    env = {"DOCKER_HOST": f"tcp://{place.rstrip('/')}"}
    folder = source.options.get("cert_path")
    if folder:
        env["DOCKER_CERT_PATH"] = folder
    if folder or scheme == "https":
        env["DOCKER_TLS_VERIFY"] = "1"
    return env


def is_here(source: Source) -> bool:
    """Whether its engine is certainly the one of this machine."""
    return urlsplit(source.url or _HERE).scheme == "unix"
