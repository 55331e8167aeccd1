"""Wherever text leaves memory a registered secret is masked, however it is dressed: each way out, each dress.

The journal's is in ``test_redaction.py``; the program as a whole, on a terminal, in ``test_canaries.py``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

import pytest
from msgspec.structs import replace

from backends.journal.chain import Head
from backends.journal.export import bundle
from backends.journal.redact import MASK, Redactor
from backends.journal.verify import Verification
from backends.model.fact import Broken, Fact, Finding, Found, SourceError, Table, Value
from backends.model.safetext import SafeText
from backends.model.secret import Secret
from backends.model.service import Service
from backends.veil import VeiledFacts, VeiledServices
from tests.building import running
from tests.safety.test_redaction import CANARY, DRESSED, clean, rows_of
from tui import crash

REDACTOR = Redactor([Secret(CANARY)])


class Says:
    """A reader of facts and services that answers one thing."""

    def __init__(self, finding: Finding | None = None, health: str = "", fails: str = "") -> None:
        self._finding = finding
        self._service = replace(running("it").value, health_output=SafeText(health))
        self._fails = fails

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        if self._fails:
            raise SourceError(self._fails)
        return {} if self._finding is None else {"it": self._finding}

    async def services(self) -> Mapping[str, Service | None]:
        if self._fails:
            raise SourceError(self._fails)
        return {"it": self._service}

    async def clock(self) -> float:
        raise SourceError(self._fails)

    async def close(self) -> None: ...


def on_the_board(value: Value | Broken) -> str:
    finding = value if isinstance(value, Broken) else Found(value)
    return repr(asyncio.run(VeiledFacts(Says(finding), REDACTOR.text).read(())))


def why_it_failed(text: str) -> str:
    with pytest.raises(SourceError) as facts:
        asyncio.run(VeiledFacts(Says(fails=text), REDACTOR.text).read(()))
    with pytest.raises(SourceError) as services:
        asyncio.run(VeiledServices(Says(fails=text), REDACTOR.text).services())
    assert str(facts.value) == str(services.value)
    return str(facts.value)


def of_a_check(text: str) -> str:
    return repr(asyncio.run(VeiledServices(Says(health=text), REDACTOR.text).services()))


def exported(text: str) -> str:
    whole = Verification(1, 0, Head(1, "0" * 64), None)
    return json.dumps(bundle([{"text": text, "targets": [{text: text}]}], whole, REDACTOR, {}))


SINKS: dict[str, Callable[[str], str]] = {
    "a value": lambda text: on_the_board(SafeText(text)),
    "a table": lambda text: on_the_board(Table(("note",), ((SafeText(text),),), 1)),
    "why a fact is broken": lambda text: on_the_board(Broken(SafeText(text))),
    "why a source failed": why_it_failed,
    "what a health check said": of_a_check,
    "a row of the log": lambda text: repr(rows_of([text.encode()], REDACTOR).window(0, 9)),
    "an export": exported,
}


@pytest.mark.parametrize("form", DRESSED)
@pytest.mark.parametrize("sink", SINKS)
def test_it_is_masked_in_every_dress_on_every_way_out(sink: str, form: str) -> None:
    left = SINKS[sink](f"before {DRESSED[form]} after")
    assert clean(left)
    assert DRESSED[form] not in left
    assert MASK in left
    assert "before " in left
    assert " after" in left


@pytest.mark.parametrize("form", DRESSED)
def test_the_end_of_a_crash_holds_it_in_no_dress(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crash, "SECRETS", REDACTOR)
    crash.crashed(RuntimeError(f"before {DRESSED[form]} after"))
    told = capsys.readouterr().err
    assert clean(told)
    assert DRESSED[form] not in told
    assert MASK in told
