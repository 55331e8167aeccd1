"""Receipts in a few words: what a writer says of the service it called."""

from __future__ import annotations

from typing import Final

from backends.model.procedure import Receipt, ReceiptKind
from backends.model.safetext import SafeText

_LIMIT: Final = 400
"""Characters of a receipt's text."""


def done(text: str, before: SafeText | None = None, after: SafeText | None = None) -> Receipt:
    """The service says it did it."""
    return Receipt(ReceiptKind.DONE, SafeText(text, _LIMIT), before, after)


def already(text: str, before: SafeText | None = None, after: SafeText | None = None) -> Receipt:
    """It was so before; nothing was changed."""
    return Receipt(ReceiptKind.ALREADY, SafeText(text, _LIMIT), before, after)


def failed(text: str, before: SafeText | None = None) -> Receipt:
    """It certainly did not happen."""
    return Receipt(ReceiptKind.FAILED, SafeText(text, _LIMIT), before)


def unknown(text: str, before: SafeText | None = None, after: SafeText | None = None) -> Receipt:
    """It may have happened."""
    return Receipt(ReceiptKind.UNKNOWN, SafeText(text, _LIMIT), before, after)


def reason(error: BaseException) -> str:
    """What went wrong, short; the error's name where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__
