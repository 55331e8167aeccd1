"""What is typed is meant: a stack named before the command, a word misspelt, a value left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tui.cli import app
from tui.commands.exitcode import UsageError

TWO = "[stack.trading-platform]\n[stack.claire-de-binare]\n"
RUNNER = CliRunner()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "two.toml"
    path.write_text(TWO)
    path.chmod(0o600)
    return str(path)


def said(*words: str) -> str:
    """What is printed. Raises UsageError as the program would end with it."""
    done = RUNNER.invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_a_stack_named_before_the_command_is_the_one_that_is_meant(config: str) -> None:
    before = said("--config", config, "--stack", "claire-de-binare", "run", "--list")
    after = said("--config", config, "run", "--list", "--stack", "claire-de-binare")
    assert before == after
    assert "halt-hard" in before


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--stack", "claire-de-binare", "run", "halt", "--stack", "trading-platform"), "which stack"),
        (("--stack", "claire", "run", "halt"), "no stack 'claire' is configured"),
        (("--stack", "trading-platform", "demo"), "about no configured stack"),
        (("run", "hlat", "--stack", "trading-platform"), "did you mean halt"),
        (("run", "halt", "--stack", "trading-platform", "--param", "x=1"), "halt takes no x"),
        (("run", "cancel-one", "--stack", "trading-platform", "--dry-run"), "--param order=VALUE"),
        (("--stack", "trading-platform", "audit", "retire"), "about the whole journal"),
        (("audit", "show", "--kind", "intend"), "there is no 'intend'; there is intent"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words_and_nothing_is_begun(
    config: str, words: tuple[str, ...], answer: str
) -> None:
    with pytest.raises(UsageError, match=answer):
        said("--config", config, *words)


@pytest.mark.parametrize(
    ("word", "meant"), [("pre-maket", "did you mean pre-market?"), ("qqq", "`controlroom check` without")]
)
def test_a_check_that_is_not_there_is_answered_in_a_line(config: str, word: str, meant: str) -> None:
    with pytest.raises(UsageError, match="has no check") as error:
        said("--config", config, "--stack", "trading-platform", "check", word)
    assert meant in str(error.value)
    assert len(str(error.value)) < 150


@pytest.mark.parametrize("words", [("--help",), ("audit", "--help")])
def test_what_a_command_is_for_is_said_whole_on_a_narrow_terminal(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    help_text = said(*words)
    assert "Commands:" in help_text
    assert "..." not in help_text.partition("Commands:")[2]
