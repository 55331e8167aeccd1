"""Changing one key of a configuration file: written beside it and renamed, the former kept."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from backends.model.action import Action, FileEdit
from backends.model.procedure import Receipt, Step
from backends.model.safetext import SafeText
from backends.model.stack import Source
from backends.model.substitution import fill
from backends.writers.answer import already, done, failed, reason, unknown
from backends.writers.file_edit import Change, Edited, EditError, edit, word

SIZE_LIMIT: Final = 1024 * 1024
_FORMS: Final = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".env": "env"}


class FilesEffector:
    """Makes guarded changes in the files below one folder, one at a time.

    FAILED means that the file is as it was. The former file is kept under its name, the time and ``.bak``.
    """

    def __init__(self, source: Source) -> None:
        self._base = Path(unquote(urlsplit(source.url).path))
        self._turn = asyncio.Lock()

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Make the change once. UNKNOWN only when the disk gave no answer in time."""
        if not isinstance(action, FileEdit):
            return failed("does not take this kind of step")
        async with self._turn:
            working = asyncio.get_running_loop().run_in_executor(None, self._change, action, values)
            try:
                async with asyncio.timeout(step.deadline):
                    return await asyncio.shield(working)
            except TimeoutError:
                return unknown(f"the disk has not answered within {step.deadline:g} s")

    async def warm(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nothing is kept open."""

    def _change(self, action: FileEdit, values: Mapping[str, Any]) -> Receipt:
        try:
            path = self._path(str(fill(action.path, values)))
            key = tuple(str(fill(part, values)) for part in action.key)
            value = None if action.is_removed else fill(action.value, values)
            was = None if action.was is None else word(fill(action.was, values))
            seen = path.stat()
            if not stat.S_ISREG(seen.st_mode) or seen.st_size > SIZE_LIMIT:
                return failed(f"{path.name} is no file of up to {SIZE_LIMIT // 1024} KiB")
            text = path.read_bytes().decode("utf-8")
            edited = edit(text, _form(path), Change(key, value, action.is_created))
            return self._write(path, seen, key, edited, text, was)
        except (EditError, ValueError) as error:
            return failed(f"{action.path}: {reason(error)}; nothing was changed")
        except OSError as error:
            return failed(f"{action.path}: {error.strerror or reason(error)}; nothing was changed")

    def _path(self, said: str) -> Path:
        if ".." in Path(said).parts:
            raise ValueError("'..' in a path is not followed")
        # What a link leads to is changed, not the link.
        return (self._base / said).resolve(strict=True)

    def _write(
        self,
        path: Path,
        seen: os.stat_result,
        key: tuple[str, ...],
        edited: Edited,
        text: str,
        was: str | None,
    ) -> Receipt:
        name = f"{path.name}: {'.'.join(key)}"
        is_secret = _form(path) == "env"
        before = None if is_secret or edited.before is None else SafeText(word(edited.before))
        if edited.text == text:
            return already(f"{name} is so already", before, before)
        if was is not None and word(edited.before) != was:
            return failed(
                f"{name} reads {word(edited.before)}, not {was} as was seen; nothing was changed", before
            )
        copy = _replace(path, seen, text, edited.text)
        after = None if is_secret or edited.after is None else SafeText(word(edited.after))
        return done(f"{name} changed; the file as it was is {copy.name}", before, after)


def _form(path: Path) -> str:
    form = _FORMS.get(path.suffix or path.name)
    if form is None:
        raise ValueError("is neither YAML, TOML nor an env file")
    return form


def _replace(path: Path, seen: os.stat_result, former: str, text: str) -> Path:
    """Put ``text`` in the file's place at once, and return the copy of what it was."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    copy = _fresh(path, f"{path.name}.{stamp}", ".bak", former, seen)
    made = _fresh(path, f".{path.name}.{stamp}", ".new", text, seen)
    now = path.stat()
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (seen.st_ino, seen.st_size, seen.st_mtime_ns):
        made.unlink()
        copy.unlink()
        raise ValueError("was changed by somebody else meanwhile")
    made.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return copy


def _fresh(path: Path, name: str, end: str, text: str, like: os.stat_result) -> Path:
    """A new file beside ``path`` that nothing stood in the place of, on the disk, as accessible as it."""
    number = 0
    while True:
        made = path.with_name(f"{name}{f'-{number}' if number else ''}{end}")
        try:
            handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            break
        except FileExistsError:
            number += 1
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fchmod(handle, stat.S_IMODE(like.st_mode))
        with suppress(PermissionError):
            # Only root may give files away; whoever else writes them owns them.
            os.fchown(handle, like.st_uid, like.st_gid)
        os.fsync(handle)
    return made
