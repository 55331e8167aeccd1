"""An answer about a second person's consent belongs to the request that was asked about."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from backends.procedures.approval import ApprovalBook, ApprovalError
from tests.sim.world import HALT, intent, tiny_stack
from tui.dialogs.second_person import SecondPerson


class Book:
    """Tells of the first request when it is let go, and of no other one."""

    def __init__(self, says: str | ApprovalError) -> None:
        self.says = says
        self.is_asked, self.may_tell = threading.Event(), threading.Event()

    def request(self, *_: Any) -> object:
        return type("Request", (), {"code": "0badc0de"})()

    def given(self, _code: str) -> str:
        self.is_asked.set()
        self.may_tell.wait(20)
        if isinstance(self.says, ApprovalError):
            raise self.says
        return self.says


@pytest.mark.parametrize("says", ["lee", ApprovalError("it has expired")], ids=["given", "expired"])
async def test_what_is_told_of_a_request_says_nothing_of_the_one_that_followed_it(
    says: str | ApprovalError,
) -> None:
    book = Book(says)
    second = SecondPerson(cast(ApprovalBook, book), tiny_stack(HALT), HALT)
    await second.ask(intent())
    looking = asyncio.create_task(second.look())
    await asyncio.to_thread(book.is_asked.wait, 20)
    await second.ask(intent())
    asked = second.request
    book.may_tell.set()
    await looking
    assert (second.request, second.by, second.why) == (asked, None, "")
