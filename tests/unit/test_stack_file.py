"""A stack file that cannot be meant is refused with one message: file, line, key, what was expected."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from backends.model.action import HttpCall, RedisTransition
from backends.model.fact import Level
from backends.model.query import RedisQuery
from backends.model.stack import Environment
from backends.model.trading import TradingState
from backends.stacks.loader import load_stack
from backends.stacks.toml_file import SIZE_LIMIT, ConfigError

HERE = Path(__file__).parent
GOOD = (HERE / "small_stack.toml").read_text(encoding="utf-8")
MISTAKES = tomllib.loads((HERE / "stack_mistakes.toml").read_text(encoding="utf-8"))["mistake"]

CAUSE = "cause = 'c'\nresponse = 'r'"
REQUIRED = "{id = 'r', fact = 'FACT', zero = true, because = 'b'}"
HEARD = "[[fact]]\nid = '{}'\nlabel = 'A'\ngroup = 'B'\n{}\ntype = '{}'\n"


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    return tmp_path / "stack.toml"


def refusal(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_stack(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{row['new'] or row['old']}"[:50] for row in MISTAKES])
def test_what_is_wrong_is_named_with_its_line(stack_file: Path, mistake: dict[str, str]) -> None:
    assert mistake["old"] in GOOD
    text = GOOD.replace(mistake["old"], mistake["new"], 1)
    message = refusal(stack_file, text)
    line, _, said = message.removeprefix(f"{stack_file}:").partition(": ")
    assert said.startswith(mistake["says"]), message
    named = "\n".join(text.splitlines()[int(line) - 1 :])
    assert named.startswith(mistake["on"]), f"{message}\nline {line} is {named.splitlines()[0]!r}"
    assert "hunter2" not in message


def test_the_good_file_is_good(stack_file: Path) -> None:
    stack_file.write_text(GOOD, encoding="utf-8")
    stack = load_stack(stack_file)
    assert stack.environment is Environment.PAPER
    assert stack.facts["kill.state"].query == RedisQuery("get", "kill")
    assert stack.facts["kill.state"].meanings == {"GO": Level.OK, "STOP": Level.CRIT}
    assert stack.gates[0].missing is TradingState.UNKNOWN
    assert stack.gates[0].trading == {"GO"}
    halt = stack.procedures["halt"]
    assert halt.fallback == "curl http://127.0.0.1:8000/halt"
    one, two = (step.action for step in halt.steps)
    assert isinstance(one, RedisTransition) and one.set == {"by": "$operator", "off_by": None}
    assert isinstance(two, HttpCall) and two.already == {400: "already"}
    assert halt.steps[1].proof[0].equals == ("STOP",)


def test_a_stack_without_a_halt_path_says_so(stack_file: Path) -> None:
    head, rest = GOOD.split("[trading]")
    logs = "[logs]" + rest.split("[logs]")[1].split("[[procedure]]")[0]
    stack_file.write_text(head + '[trading]\nhalt_path = "none"\n' + logs, encoding="utf-8")
    assert load_stack(stack_file).gates == ()
    assert "halt_path is missing" in refusal(stack_file, head + "[trading]\n" + logs)
    assert "trading is missing; expected a table" in refusal(stack_file, head + logs)


@pytest.mark.parametrize("fact", ["alerts", "made"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('[{fact = "kill.state", equals = "STOP"}]', "[DEMAND]"),
        ("[logs]", "[[check]]\nid = 'c'\ntitle = 'C'\nall = [DEMAND]\nresponse = 'r'\n[logs]"),
        ("[logs]", f"[[diagnosis]]\nid = 'd'\ntitle = 'D'\nall = [DEMAND]\n{CAUSE}\n[logs]"),
        ('risk = "stop"', f"risk = 'stop'\nrequire = [{REQUIRED}]"),
        ('gate = "kill.state"\nfact = "api.kill"', 'gate = "kill.state"\nfact = "FACT"'),
    ],
    ids=["proof", "check", "diagnosis", "precondition", "echo"],
)
def test_nothing_rests_on_what_was_heard_where_it_is_looked_at_afresh(
    stack_file: Path, fact: str, old: str, new: str
) -> None:
    alerts = HEARD.format("alerts", "source = 'redis'\nredis = {heard = 'alerts'}", "count")
    heard = alerts + HEARD.format("made", "derive = {op = 'delta', of = ['alerts']}", "int")
    good = GOOD.replace("[trading]", f"{heard}[trading]")
    assert old in good
    new = new.replace("DEMAND", "{fact = 'FACT', zero = true}").replace("FACT", fact)
    said = refusal(stack_file, good.replace(old, new))
    assert f"{fact!r} is what was heard, and who looks afresh has never listened" in said
    stack_file.write_text(good, encoding="utf-8")
    assert load_stack(stack_file).facts["alerts"].query == RedisQuery("heard", "alerts")


def test_what_is_no_readable_file_is_said(tmp_path: Path, stack_file: Path) -> None:
    with pytest.raises(ConfigError, match="expected a file; not found"):
        load_stack(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="it is a directory"):
        load_stack(tmp_path)
    stack_file.write_bytes(b"[stack]\nid = 'x\xff'\n")
    with pytest.raises(ConfigError, match=r"stack\.toml:2: not UTF-8 text"):
        load_stack(stack_file)
    stack_file.write_bytes(b"#" * (SIZE_LIMIT + 1))
    with pytest.raises(ConfigError, match="larger than 1024 KiB"):
        load_stack(stack_file)


def test_an_error_about_hostile_text_is_inert(stack_file: Path) -> None:
    message = refusal(stack_file, GOOD.replace('label = "Open orders"', '"\\u001b]52;c;x\\u0007" = 1'))
    assert message.isprintable()
    assert "\\x1b]52" in message
