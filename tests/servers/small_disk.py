"""A real disk of a few kilobytes over a folder: it can be filled and made read-only. Needs root."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from tests.servers.process import UnavailableError

SIZE = 256 * 1024


class SmallDisk:
    """A tmpfs over ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "none", str(folder))

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes free, whole blocks of them; by default not one."""
        filler = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                os.write(filler, b"x" * 512)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            os.ftruncate(filler, os.fstat(filler).st_size - leave)
        finally:
            os.close(filler)

    def make_read_only(self) -> None:
        self._mount("-o", "remount,ro", str(self.folder))

    def heal(self) -> None:
        """As it was at first; what was written stays."""
        self._mount("-o", "remount,rw", str(self.folder))
        (self.folder / "filler").unlink(missing_ok=True)

    def stop(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True, timeout=10)

    @staticmethod
    def _mount(*words: str) -> None:
        done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True, timeout=10)
        if done.returncode != 0:
            raise UnavailableError(f"mount: {done.stderr.strip()}")
