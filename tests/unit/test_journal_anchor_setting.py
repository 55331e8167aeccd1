"""Where the journal's head is kept is configured strictly, and its credentials stay out of sight."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.config import Config, ConfigError, load
from backends.model.anchor import AnchorKind


def loaded(tmp_path: Path, text: str, **env: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path, env={"HOME": str(tmp_path), **env})


def test_without_a_word_there_is_no_anchor(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[room]\n").anchor is None


def test_an_anchor_is_a_kind_an_address_and_credentials_from_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter22hunter22\n")
    secret.chmod(0o600)
    made = loaded(
        tmp_path,
        '[room.anchor]\nkind = "redis"\nurl = "redis://h:1/3"\n'
        'username = "audit"\npassword_file = "secret"\n',
    )
    assert made.anchor is not None
    assert (made.anchor.kind, made.anchor.url) == (AnchorKind.REDIS, "redis://h:1/3")
    assert (made.anchor.name, made.anchor.username) == ("controlroom:journal", "audit")
    assert made.anchor.password is not None
    assert made.anchor.password.reveal() == "hunter22hunter22"
    assert "hunter22" not in repr(made)


def test_a_password_in_an_address_from_the_environment_is_taken_out_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_URL", "postgresql://audit:hunter22@h/x")
    path = tmp_path / "config.toml"
    path.write_text('[room.anchor]\nkind = "postgres"\nurl_env = "AUDIT_URL"\n')
    made = load(path, env=os.environ)
    assert made.anchor is not None
    assert (made.anchor.url, made.anchor.username) == ("postgresql://h/x", "audit")
    assert made.anchor.name == "controlroom_journal"
    assert "AUDIT_URL" not in os.environ
    assert "hunter22" not in repr(made)


def test_a_syslog_needs_no_address(tmp_path: Path) -> None:
    made = loaded(tmp_path, '[room.anchor]\nkind = "syslog"\n')
    assert made.anchor is not None
    assert made.anchor.url == "unix:///dev/log"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('kind = "paper"', "expected one of"),
        ('url = "redis://h/0"', "kind"),
        ('kind = "redis"', "needs url"),
        ('kind = "redis"\nurl = "http://h"', "redis://"),
        ('kind = "redis"\nurl = "redis://u:hunter22@h/0"', "holds no password"),
        ('kind = "redis"\nurl = "redis://h/0"\npassword = "hunter22"', "never written in a config file"),
        ('kind = "redis"\nurl = "redis://h/0"\nurl_env = "X"', "expected one of them"),
        ('kind = "postgres"\nurl = "postgresql://h/x"\nname = "a; drop table x"', "letters, digits"),
        ('kind = "redis"\nurl = "redis://h/0"\nevery = 5', "every"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_without_the_secret(
    tmp_path: Path, lines: str, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"[room.anchor]\n{lines}\n", X="redis://h/1")
    assert words in str(refused.value)
    assert "config.toml:" in str(refused.value)
    assert "hunter22" not in str(refused.value)


def test_another_configuration_has_another_digest(tmp_path: Path) -> None:
    one = loaded(tmp_path, '[room]\ntheme = "dark"\n')
    assert one.digest == loaded(tmp_path, '[room]\ntheme = "dark"\n').digest
    assert one.digest != loaded(tmp_path, '[room]\ntheme = "light"\n').digest
    with_anchor = loaded(tmp_path, '[room]\ntheme = "dark"\n[room.anchor]\nkind = "syslog"\n')
    assert one.digest != with_anchor.digest
