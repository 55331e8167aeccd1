"""Where docker's own variables say that the engine is, read as the docker command reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HOST: Final = "DOCKER_HOST"
CONTEXT: Final = "DOCKER_CONTEXT"
CERTIFICATES: Final = "DOCKER_CERT_PATH"
_DEFAULT: Final = "default"
"""The context that means this machine's own engine."""
_TLS: Final = ("DOCKER_TLS_VERIFY", "DOCKER_TLS")


def context(env: Mapping[str, str]) -> str | None:
    """The context they name, if any. What DOCKER_HOST says outranks it."""
    named = env.get(CONTEXT)
    return named if named and named != _DEFAULT else None


def certificates(env: Mapping[str, str], url: str) -> str | None:
    """The folder of the TLS files for the engine at ``url``; None where no TLS is asked for.

    The certificate is verified in any case, also where the docker command would leave that out.
    """
    if not url.startswith(("tcp://", "https://")) or not any(env.get(name) for name in _TLS):
        return None
    return env.get(CERTIFICATES) or env.get("DOCKER_CONFIG") or f"{env.get('HOME', '')}/.docker"
