"""Who is at the keyboard, as the operating system and the SSH session say; never as ``USER`` says."""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
from collections.abc import Mapping

from backends.model.intent import Identity


def identify(env: Mapping[str, str] | None = None) -> Identity:
    """The operator of this process. ``env`` (the process' own by default) gives the SSH client's address."""
    uid = os.getuid()
    return Identity(
        user=_user(uid),
        uid=uid,
        host=socket.gethostname(),
        tty=_tty(),
        remote=_remote((os.environ if env is None else env).get("SSH_CONNECTION", "")),
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _tty() -> str | None:
    for stream in range(3):
        try:
            return os.ttyname(stream)
        except OSError:
            continue
    return None


def _remote(connection: str) -> str | None:
    client = connection.split(" ", maxsplit=1)[0]
    try:
        return str(ipaddress.ip_address(client.split("%")[0]))
    except ValueError:
        return None
