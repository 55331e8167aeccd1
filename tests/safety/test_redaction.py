"""No secret reaches the journal, however it is dressed."""

from __future__ import annotations

import base64
import gc
import html
import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.journal.entry import Kind, Session
from backends.journal.journal import Journal
from backends.journal.redact import MASK, Redactor, is_secret_name
from backends.logs.ring import LogRing
from backends.model.fact import Fact, Finding, SourceError, ValueType
from backends.model.query import SystemdQuery
from backends.model.safetext import LINE_LIMIT, SafeText
from backends.model.secret import Secret
from backends.model.stack import LogGrammar
from backends.model.stamp import to_stamp
from backends.readers.extract import extract
from backends.readers.log_match import matching_lines
from backends.veil import VeiledFacts
from tests.clock import FakeClock
from tests.records import STEP, whole
from tests.sim.world import KIM

CANARY = 'cänary+/="\\7f\x1b2 42'


def small(text: str) -> str:
    """In a URL, as some libraries write it."""
    return re.sub("%..", lambda found: found[0].lower(), quote(text, safe=""))


DRESSED = {
    "as it is": CANARY,
    "in a URL": quote(CANARY, safe=""),
    "in a form": quote_plus(CANARY),
    "in JSON": json.dumps({"x": CANARY}),
    "in JSON with its own letters": json.dumps({"x": CANARY}, ensure_ascii=False),
    "in a repr": repr([CANARY]),
    "as shown": str(SafeText(CANARY)),
    "in base64": base64.b64encode(CANARY.encode()).decode(),
    "in URL base64": base64.urlsafe_b64encode(CANARY.encode()).decode(),
    "behind a user": base64.b64encode(f"kim:{CANARY}".encode()).decode(),
    "behind a longer user": base64.b64encode(f"kimm:{CANARY}".encode()).decode(),
    "behind and before": base64.b64encode(f"kimmy:{CANARY}:x".encode()).decode(),
    "in a URL in small letters": small(CANARY),
    "in a URL in a URL": quote(quote(CANARY, safe=""), safe=""),
    "in a URL that spares some": quote(CANARY, safe="+/="),
    "in JSON in JSON": json.dumps(json.dumps({"x": json.dumps(CANARY)})),
    "in JSON as Go, Java and .NET write it": json.dumps(CANARY)
    .replace("+", r"\u002B")
    .replace("=", r"\u003d"),
    "in JSON as PHP writes it": json.dumps(CANARY).replace("/", r"\/"),
    "in HTML": html.escape(CANARY),
    "in a repr of a repr": repr(repr([CANARY])),
    "in bytes": repr(CANARY.encode()),
    "for a shell": shlex.quote(CANARY),
    "in hexadecimal digits": CANARY.encode().hex(),
    "in large hexadecimal digits": CANARY.encode().hex().upper(),
}
MARKS = (
    "nary", "%C3%A4n", "u00e4n", base64.b64encode(CANARY.encode()).decode()[2:20],
    CANARY.encode().hex()[2:20], CANARY.encode().hex().upper()[2:20],
)  # fmt: skip


def clean(text: str) -> bool:
    return not any(mark in text for mark in MARKS)


@pytest.mark.parametrize("form", DRESSED)
async def test_a_registered_secret_is_masked_in_every_form_in_every_part_of_a_record(
    tmp_path: Path, form: str
) -> None:
    dressed = DRESSED[form]
    assert "behind" in form or not clean(dressed)
    redactor = Redactor([Secret(CANARY)])
    journal = Journal(tmp_path, Session(KIM, "0.1.0"), FakeClock(), redactor)
    text = f"before {dressed} after"
    deep = {"a": [{"b": text, text: 1}]}
    known = {"fact": "kill.state", "value": text}
    entry = whole(Kind.STEP, text, reason=text, targets=[text], step={**STEP, "before": deep}, before=[known])
    await journal.record(entry, 5)
    journal.close()
    written = (tmp_path / "000001.jsonl").read_text()
    assert clean(written)
    assert written.count(MASK) >= 6
    assert "before " in written
    assert " after" in written


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=8, max_size=40).filter(
        lambda text: text.strip() == text
    ),
    before=st.text(max_size=20),
    behind=st.text(st.characters(codec="ascii"), max_size=10),
)
@settings(max_examples=300, deadline=None)
def test_any_registered_secret_is_gone_from_any_text(secret: str, before: str, behind: str) -> None:
    redactor = Redactor([Secret(secret)])
    for dressed in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        left = redactor.text(f"{before}{dressed}{behind}")
        # The mask itself is made of stars, and a secret of stars is no longer one.
        assert secret not in left.replace(MASK, "") or set(secret) == {"*"}
    encoded = base64.b64encode(f"{behind}{secret}".encode()).decode()
    assert MASK in redactor.text(encoded)


def in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def in_plain_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def in_repr(text: str) -> str:
    return repr(text)[1:-1]


def in_url(text: str) -> str:
    return quote(text, safe="")


ONCE = (in_url, small, quote_plus, in_json, in_plain_json, in_repr)


@given(
    secret=st.text(st.sampled_from("aB3xq7+/=&%\"'<>\\ ~#ä漢😀\n"), min_size=8, max_size=30).filter(
        lambda text: text.strip() == text and any(map(str.isalnum, text))
    ),
    writers=st.tuples(st.sampled_from(ONCE), st.sampled_from((*ONCE, html.escape))),
)
@settings(max_examples=600, deadline=None)
def test_a_secret_that_was_written_twice_over_is_masked_whole(
    secret: str, writers: tuple[Callable[[str], str], Callable[[str], str]]
) -> None:
    once, twice = writers
    left = Redactor([Secret(secret)]).text(f"it was <{twice(once(secret))}>")
    assert left == f"it was <{MASK}>"


def test_each_line_of_a_key_is_a_secret_for_a_log_shows_it_alone() -> None:
    lines = [base64.b64encode(bytes(range(at, at + 48))).decode() for at in range(4)]
    key = "\n".join(("-----BEGIN PRIVATE KEY-----", *lines, "Zm9vYmFy", "-----END PRIVATE KEY-----"))
    redactor = Redactor([Secret(key)])
    assert [redactor.text(f"loaded {line}") for line in lines] == [f"loaded {MASK}"] * len(lines)
    assert redactor.text("Zm9vYmFy -----END PRIVATE KEY-----") == "Zm9vYmFy -----END PRIVATE KEY-----"


def test_a_secret_of_hexadecimal_digits_is_hidden_in_large_and_in_small_ones() -> None:
    digits = "0123456789abcdef" * 4
    assert Redactor([Secret(digits)]).text(digits.upper()) == MASK
    assert Redactor([Secret(digits.upper())]).text(digits) == MASK


def test_what_was_harmless_until_it_became_a_secret_is_hidden() -> None:
    redactor = Redactor()
    assert redactor.text("hunter2-hunter2") == "hunter2-hunter2"
    redactor.register(Secret("hunter2-hunter2"))
    assert redactor.text("hunter2-hunter2") == MASK


def test_a_rotated_secret_stays_hidden() -> None:
    redactor = Redactor([Secret("old-value-1")])
    redactor.register(Secret("new-value-2"))
    assert redactor.text("old-value-1 new-value-2") == f"{MASK} {MASK}"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("redis://kim:hunter2@127.0.0.1/0 is down", f"redis://kim:{MASK}@127.0.0.1/0 is down"),
        ("redis://:hunter2@127.0.0.1/0", f"redis://:{MASK}@127.0.0.1/0"),
        ("password=hunter2, next", f"password={MASK}, next"),
        ('{"api_key": "hunter2", "n": 1}', f'{{"api_key": {MASK}, "n": 1}}'),
        ("Authorization: Bearer hunter2hunter2", f"Authorization: {MASK}"),
        ("sent Bearer abc.def.ghi", f"sent Bearer {MASK}"),
        ("INTERNAL_TOKEN_SECRET='a b'", f"INTERNAL_TOKEN_SECRET={MASK}"),
        ('password="hunter2 and the rest was cut', f"password={MASK}"),
        ("kill switch ENGAGED by kim: drill", "kill switch ENGAGED by kim: drill"),
        ("http://127.0.0.1:8003/api and 3 tokens", "http://127.0.0.1:8003/api and 3 tokens"),
    ],
)
def test_what_looks_like_a_secret_is_masked_and_the_rest_is_not(text: str, left: str) -> None:
    assert Redactor().text(text) == left


@pytest.mark.parametrize(
    "name", ["password", "redisPassword", "API_KEY", "x-api-key", "Authorization", "dsn"]
)
def test_a_member_with_a_secrets_name_is_masked_whatever_it_holds(name: str) -> None:
    assert is_secret_name(name)
    assert Redactor().value({name: ["x"], "state": "ACTIVE"}) == {name: MASK, "state": "ACTIVE"}
    assert Redactor().value({name: None}) == {name: None}


@pytest.mark.parametrize("name", ["state", "tokens", "engaged_by", "keyboard", "passed", "hash", "prev"])
def test_other_members_are_not(name: str) -> None:
    assert not is_secret_name(name)


def rows_of(lines: list[bytes], redactor: Redactor) -> LogRing:
    clock = FakeClock()
    ring = LogRing(LogGrammar(()), ("gateway",), redact=redactor.text, clock=clock)
    ring.append(0, [to_stamp(1_790_000_000_000_000_000 + at) + b" " + line for at, line in enumerate(lines)])
    clock.advance(1.0)
    ring.settle()
    return ring


SHAPES = (
    b"-a", b"a.", b"x-y_", b"://", b"://a:", b"s://a:b@", b"password", b"password ", b"password=", b"api_",
    b"key=\"", b"token: bearer ", b"bearer ", b"sign=  ", b"a:b=", b"\xff", b"\x1b[m", b"\x1b",
    b"secret" + b" " * 9000, b"--pass", b"curl ", b"redis-cli -a", b'token  \\" = ',
    b"-----BEGIN PRIVATE KEY-----", b"eyJabcdefgh.", b"1234567890:", b'"AUTH" "', b"password is ",
    b"<password>",
)  # fmt: skip


@pytest.fixture
def uncollected() -> Iterator[None]:
    """To look for garbage in all that thousands of tests have left takes a quarter of a second."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: repr(shape[:12]))
def test_a_screen_of_hostile_lines_is_made_at_once(shape: bytes) -> None:
    redactor = Redactor(Secret(f"{number}-{CANARY}-{number}") for number in range(14))
    ring = rows_of([(shape * (65_536 // len(shape) + 1))[:65_536]] * 50, redactor)
    start = time.thread_time()
    assert len(ring.window(0, 50)) == 50
    assert time.thread_time() - start < 0.3


@pytest.mark.parametrize("size", [30, 300, 5000])
@pytest.mark.parametrize("filler", ["a", "é", "漢", "\x1b[m", "password=x "])
def test_no_part_of_a_secret_is_left_where_a_line_is_cut(size: int, filler: str) -> None:
    secret = "q7" * (size // 2)
    lines = []
    for before in (LINE_LIMIT - 9, LINE_LIMIT + 250, 2 * LINE_LIMIT - 9, 65_536 - 9):
        fill = (filler * before).encode()[: before // len(filler.encode()) * len(filler.encode())]
        lines.append(fill + secret.encode() + b" " + fill)
    rows = rows_of(lines, Redactor([Secret(secret)])).window(0, 9)
    assert [row.text for row in rows if "q7" in row.text] == []
    assert all("… +" in row.text for row in rows)


class Cut:
    """A reader of the lines of a log that hold a word."""

    def __init__(self, line: str) -> None:
        self._line = to_stamp(0) + b" " + line.encode()

    async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
        rows = matching_lines(r"(?P<what>Error.*)", [self._line])
        return {fact.id: extract(fact, rows) for fact in facts}

    async def close(self) -> None: ...


@pytest.mark.parametrize("length", [490, 505, 1975, 1995, 2010, 7990])
async def test_a_line_that_is_cut_shows_no_half_of_a_secret(length: int) -> None:
    secret = "hunter2-hunter2-hunter2"
    facts = [
        Fact("rows", "F", "g", "log", SystemdQuery("a.service", pattern="Error"), ValueType.TABLE),
        Fact("last", "F", "g", "log", SystemdQuery("a.service", pattern="Error"), ValueType.TEXT, "-1.what"),
    ]
    line = "Error ".ljust(length, "x") + secret + " and more" * 900
    found = await VeiledFacts(Cut(line), Redactor([Secret(secret)]).text).read(facts)
    assert "Error xxxx" in repr(found["last"])
    assert re.search(r"… \+\d+ bytes", repr(found["last"]))
    assert "hunt" not in repr(found)


@pytest.mark.parametrize("before", ["", "code ", "x" * 20])
async def test_a_reason_that_quotes_the_beginning_of_a_value_quotes_no_half_of_a_secret(before: str) -> None:
    secret = "0123456789abcdef" * 4
    facts = [Fact("n", "N", "g", "log", SystemdQuery("a.service", pattern="Error"), ValueType.INT, "-1.what")]
    found = await VeiledFacts(Cut(f"Error {before}{secret}"), Redactor([Secret(secret)]).text).read(facts)
    assert f"is 'Error {before}{MASK}…', a number expected" in repr(found["n"])


async def test_an_error_that_was_cut_tells_no_half_of_a_secret() -> None:
    class Refused(Cut):
        async def read(self, facts: Sequence[Fact]) -> Mapping[str, Finding]:
            raise SourceError("no such code: hunter2-hunter2-hunter2 of kim"[:30])

    with pytest.raises(SourceError, match=r"no such code: \*\*\*\*$"):
        await VeiledFacts(Refused(""), Redactor([Secret("hunter2-hunter2-hunter2")]).text).read([])


def test_beside_a_key_a_cell_that_is_cut_still_tells_how_it_begins() -> None:
    """As much of it as without one: what is left out is half of that key at the most."""
    key = "".join(base64.b64encode(bytes(range(at, at + 48))).decode() for at in range(40))
    redact = Redactor([Secret(key)]).text
    assert redact("x" * 512, 512, is_cut=True) == "x" * 256
    assert redact("x" * 212 + key[:300], 512, is_cut=True) == "x" * 212
