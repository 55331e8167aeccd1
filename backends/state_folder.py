"""What is made in the state folder: for its account alone, or for the group that the folder was prepared for.

Prepared is a folder whose setgid bit is set and that its group can write to, as
``install -d -m 2770 -g GROUP FOLDER`` makes it. What is made below is then for that group as well, whatever
the umask says; below any other it is for its account alone.
"""

from __future__ import annotations

import errno
import grp
import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from backends.journal.identity import name_of

_PREPARED: Final = stat.S_ISGID | stat.S_IWGRP
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system says on which a file has one name alone."""
_EACH_OWN: Final = ("approvals", "plans")
"""Folders of files that nobody but their author may change or remove."""


def is_for_group(folder: Path) -> bool:
    """Whether what is made in it is for its group. Raises OSError."""
    return folder.stat().st_mode & _PREPARED == _PREPARED


def make_folder(folder: Path, *, is_sticky: bool = False) -> None:
    """Make it, if it is not there, with what is missing above it. Raises OSError.

    ``is_sticky``: of a group, each can remove there what is their own alone.
    """
    if folder.is_dir():
        return
    # A state folder that nobody prepared is no group's, also below a folder that is one's.
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not is_for_group(folder.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
        return
    # It appears with its mode: another account that comes at the same moment must not find it closed.
    made = _new(folder.parent)
    made.mkdir(mode=0o700)
    try:
        made.chmod((stat.S_ISVTX if is_sticky else 0) | 0o2770)
        made.rename(folder)
    except OSError:
        made.rmdir()
        if not folder.is_dir():
            raise


def open_file(path: Path, flags: int) -> int:
    """A descriptor of it; it is made if it is not there. A link is not followed. Raises OSError."""
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW
    if not is_for_group(path.parent):
        return os.open(path, flags | os.O_CREAT, 0o600)
    # Without O_CREAT: where all may write, the system may refuse that for a file of another account.
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    made = _new(path.parent)
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(handle, 0o660)
        with suppress(FileExistsError):
            _give_name(made, path)
    finally:
        os.close(handle)
        made.unlink()
    return os.open(path, flags)


def _give_name(made: Path, path: Path) -> None:
    """Raises FileExistsError where that is another's, which then is left as it is."""
    try:
        os.link(made, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # For a moment it is there and not the group's yet: who comes then is refused once.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(handle, 0o660)
        finally:
            os.close(handle)


def closed(state: Path, *patterns: str) -> tuple[str, str] | None:
    """What of the state folder this account cannot use, and what to do, in words; None when it can use all
    that is there, and make what is not. ``patterns`` name what is looked at."""
    try:
        there = {pattern: sorted(state.glob(pattern)) for pattern in patterns}
        is_all = all(there[pattern] for pattern in patterns if "/" not in pattern)
        for path in (each for found in there.values() for each in found):
            # What another room has removed meanwhile is nothing to use.
            with suppress(FileNotFoundError):
                if not _is_open(path, os.R_OK | os.W_OK):
                    return _told(path, state)
        # Where all of it is there, nothing has to be made.
        if not _is_open(state, os.R_OK if is_all else os.R_OK | os.W_OK):
            return _told(state, state)
    except FileNotFoundError:
        return None
    except OSError as error:
        return (
            f"{state}: {(error.strerror or 'cannot be read').lower()}",
            "See who may pass the folders above.",
        )
    return None


def _is_open(path: Path, how: int) -> bool:
    is_folder = stat.S_ISDIR(path.stat().st_mode)
    return os.access(path, how | (os.X_OK if is_folder else 0))


def _told(path: Path, state: Path) -> tuple[str, str]:
    """Why that is closed to this account, and what to do."""
    about = state.stat()
    if is_for_group(state) and not os.access(state, os.W_OK):
        group, me = _group(about.st_gid), name_of(os.getuid())
        return (
            f"{state} is for the group {group}, and this login of {me} is not in it",
            f"usermod -aG {group} {me}, then log in again",
        )
    at = shlex.quote(str(state))
    own = [shlex.quote(str(state / name)) for name in _EACH_OWN]
    files = " ".join(f"! -path {shlex.quote(str(state / name / '*'))}" for name in _EACH_OWN)
    # Folders last: nobody comes in before what is each author's own is held.
    return (
        f"{path} belongs to {name_of(path.stat().st_uid)} alone",
        f"To share it, have all of it made for your group: chgrp -R GROUP {at}; chmod -f +t {' '.join(own)};"
        f" find {at} -type f {files} -exec chmod g=u {{}} +; find {at} -type d -exec chmod g=u,g+s {{}} +",
    )


def _new(folder: Path) -> Path:
    """A name in it that nobody else uses."""
    return folder / f".new-{os.urandom(8).hex()}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
