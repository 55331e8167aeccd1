"""What the process's exit status says, for scripts, and the error that is the operator's to mend."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Zero only for what was read back. A crash is 1, never one of the others."""

    VERIFIED = 0
    FAULT = 1
    """A fault in this program; what was done is in the journal."""
    USAGE = 2
    """A wrong command line or configuration; nothing was done."""
    PRECONDITION = 3
    PARTIAL = 4
    UNKNOWN = 5
    FORBIDDEN = 6
    CONFLICT = 7
    FALLBACK = 8
    """Verified, but not by the first rung."""
    NOT_DONE = 9
    """Every step answered that it did not do it: certainly nothing was done."""


class UsageError(Exception):
    """The command line or the configuration asks for something that cannot be; one line for the operator."""
