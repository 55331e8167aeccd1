"""Who is at the keyboard, as the operating system and the SSH session say; never as ``USER`` says."""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
from collections.abc import Container, Mapping
from pathlib import Path

from backends.model.intent import Identity

LOGIN = Path("/proc/self/loginuid")
"""Set once by the system when somebody logs in, and kept through ``su`` and ``sudo``."""

_NO_LOGIN = 2**32 - 1


def identify(env: Mapping[str, str] | None = None, shared: Container[str] = ()) -> Identity:
    """The operator of this process. ``env`` (the process' own by default) gives the SSH client's address;
    ``shared`` names the accounts that several people use, which root always is.
    """
    uid = os.getuid()
    user = name_of(uid)
    return Identity(
        user=user,
        uid=uid,
        is_shared=uid == 0 or user in shared,
        login=_login(uid),
        host=socket.gethostname(),
        tty=_tty(),
        remote=_remote((os.environ if env is None else env).get("SSH_CONNECTION", "")),
    )


def name_of(uid: int) -> str:
    """What the operating system calls that user; the number where it knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def told(user: str, login: str | None, *, is_shared: bool) -> str:
    """The account in words, with what else there is to know of who it was: ``root by kim, shared``."""
    name = user if login is None else f"{user} by {login}"
    return f"{name}, shared" if is_shared else name


def _login(uid: int) -> str | None:
    try:
        login = int(LOGIN.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if login in (_NO_LOGIN, uid) else name_of(login)


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
