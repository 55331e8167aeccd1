"""Credentials from the environment or from files. What cannot be trusted to be secret is refused."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from backends.model.secret import Secret

SIZE_LIMIT: Final = 64 * 1024
"""Bytes a secret file may have."""
FILE_SUFFIX: Final = "_FILE"


class CredentialError(Exception):
    """A credential cannot be used. The message says which one and why; it never holds the credential."""


class Credential(Struct, frozen=True):
    """A secret text and where it came from, in words: ``environment REDIS_PASSWORD``, ``file /run/x``."""

    value: Secret
    origin: str
    names: tuple[str, ...] = ()
    """Environment variables that hold it."""


def from_environment(name: str, env: Mapping[str, str]) -> Credential | None:
    """The secret in variable ``name``, or in the file that ``name``_FILE names; None when neither is set.

    Raises CredentialError when both are set, when it is empty, or when the file cannot be trusted.
    """
    file_name = name + FILE_SUFFIX
    if name in env and file_name in env:
        raise CredentialError(f"{name} and {file_name} are both set; expected one of them")
    if file_name in env:
        if not env[file_name]:
            raise CredentialError(f"{file_name} is set but empty; expected a file's path")
        try:
            found = from_file(Path(env[file_name]).expanduser())
        except RuntimeError:
            raise CredentialError(f"{file_name}: {no_home(env[file_name])}") from None
        return Credential(found.value, f"{found.origin} ({file_name})")
    if name not in env:
        return None
    if not env[name]:
        raise CredentialError(f"{name} is set but empty")
    if not env[name].isascii() and env[name].encode("utf-8", "replace").decode() != env[name]:
        raise CredentialError(f"{name} is not UTF-8 text")
    return Credential(Secret(env[name]), f"environment {name}", (name,))


def no_home(text: str) -> str:
    """Why the ``~`` at the beginning of a path means nothing."""
    return f"there is no home folder of {text.partition('/')[0]}"


def from_file(path: Path) -> Credential:
    """The secret in ``path``, without one trailing newline; it can be renewed from there.

    Raises CredentialError unless it is a regular file of at most 64 KiB, no symbolic link, that belongs
    to this user (or root) and that nobody else may read or write.
    """
    return Credential(Secret(_content(path), partial(_content, path)), f"file {path}")


def _content(path: Path) -> str:
    """As ``from_file`` takes it."""
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would hang.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CredentialError(f"secret file {path}: {_reason(error)}") from None
    try:
        if why := _objection(os.fstat(handle)):
            raise CredentialError(f"secret file {path}: {why}")
        with os.fdopen(handle, "rb", closefd=False) as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise CredentialError(f"secret file {path}: {_reason(error)}") from None
    finally:
        os.close(handle)
    if len(raw) > SIZE_LIMIT:
        raise CredentialError(f"secret file {path}: larger than {SIZE_LIMIT // 1024} KiB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise CredentialError(f"secret file {path}: not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise CredentialError(f"secret file {path}: empty")
    return text


def _objection(about: os.stat_result) -> str | None:
    if stat.S_ISDIR(about.st_mode):
        return "it is a directory; expected a file"
    if not stat.S_ISREG(about.st_mode):
        return "not a regular file"
    if about.st_uid not in (os.getuid(), 0):
        return "it belongs to another user; expected your own file"
    mode = stat.S_IMODE(about.st_mode)
    if mode & 0o177:
        return f"others may use it (mode {mode:04o}); expected mode 0600: chmod 600"
    return None if about.st_size <= SIZE_LIMIT else f"larger than {SIZE_LIMIT // 1024} KiB"


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link; expected the file itself"
    return error.strerror.lower() if error.strerror else "cannot be read"
