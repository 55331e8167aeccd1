"""Secrets come by reference, from where they are safe, go where they are meant, and are printed nowhere."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import config as module
from backends.config import Config, ConfigError, load
from backends.secret_file import SIZE_LIMIT, CredentialError, from_environment, from_file
from backends.stacks.address import AddressError, take_apart
from tests.conftest import need

ON = "[stack.trading-platform]\n"
REDIS = "[stack.trading-platform.source.redis]\n"
SECRET = "hunter2-hunter2-9999"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "SYSTEM_FILE", tmp_path / "none.toml")
    return tmp_path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A secret file as it should be."""
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def configured(home: Path, text: str, env: dict[str, str] | None = None) -> Config:
    (home / "c.toml").write_text(text, encoding="utf-8")
    return load(home / "c.toml", env={"HOME": str(home), **(env or {})})


def refusal(home: Path, text: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        configured(home, text, env)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def redis_password(config: Config) -> str | None:
    password = config.stacks[0].sources["redis"].password
    return None if password is None else password.reveal()


def test_a_secret_file_is_read_without_its_last_line_end(secret: Path) -> None:
    assert from_file(secret).value.reveal() == SECRET
    secret.write_bytes(b" two\n\n")
    assert from_file(secret).value.reveal() == " two\n"
    secret.write_bytes(b"dos\r\n")
    assert from_file(secret).value.reveal() == "dos"
    secret.chmod(0o400)
    assert from_file(secret).value.reveal() == "dos"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o700, 0o660])
def test_a_secret_file_that_others_may_use_is_refused(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(CredentialError, match=rf"mode {mode:04o}.*expected mode 0600"):
        from_file(secret)


def test_what_is_no_plain_small_file_is_refused(secret: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(secret)
    with pytest.raises(CredentialError, match="it is a symbolic link; expected the file itself"):
        from_file(link)
    with pytest.raises(CredentialError, match="it is a directory; expected a file"):
        from_file(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(CredentialError, match="not a regular file"):
        from_file(pipe)
    with pytest.raises(CredentialError, match="no such file"):
        from_file(tmp_path / "none")
    secret.write_bytes(b"x" * (SIZE_LIMIT + 1))
    with pytest.raises(CredentialError, match="larger than 64 KiB"):
        from_file(secret)
    secret.write_bytes(b"\n")
    with pytest.raises(CredentialError, match="empty"):
        from_file(secret)
    secret.write_bytes(b"\xff")
    with pytest.raises(CredentialError, match="not UTF-8"):
        from_file(secret)


def test_a_name_and_its_file_at_once_are_refused(secret: Path) -> None:
    with pytest.raises(CredentialError, match="PW and PW_FILE are both set; expected one of them"):
        from_environment("PW", {"PW": "a", "PW_FILE": str(secret)})
    assert from_environment("PW", {}) is None
    found = from_environment("PW", {"PW_FILE": str(secret)})
    assert found is not None and found.value.reveal() == SECRET
    with pytest.raises(CredentialError, match="PW is set but empty"):
        from_environment("PW", {"PW": ""})


def test_bad_secrets_name_the_line_that_asked_for_them(home: Path, secret: Path) -> None:
    at = "c.toml:2: stack.trading-platform.source.redis.password_"
    both = refusal(home, REDIS + "password_env = 'PW'\n", {"PW": SECRET, "PW_FILE": str(secret)})
    assert f"{at}env: PW and PW_FILE are both set" in both
    secret.chmod(0o644)
    assert f"{at}file: secret file {secret}: others may use it" in refusal(
        home, REDIS + "password_file = 'secret'\n"
    )
    default = refusal(home, ON, {"REDIS_PASSWORD_FILE": str(home)})
    assert default.startswith("stack trading-platform: secret file") and "it is a directory" in default


def test_the_stack_files_credential_goes_to_the_stack_files_address_only(home: Path) -> None:
    env = {"REDIS_PASSWORD": SECRET}
    assert redis_password(configured(home, ON, env)) == SECRET
    moved = REDIS + "url = 'redis://elsewhere:1/0'\n"
    assert redis_password(configured(home, moved, env)) is None
    assert redis_password(configured(home, moved + "password_env = 'REDIS_PASSWORD'\n", env)) == SECRET


def test_a_password_inside_an_address_is_taken_out_of_it(home: Path, secret: Path) -> None:
    url = "redis://kim:p%40ss-word-long-enough@h:1/0"
    for text, env in (
        (REDIS + "url_env = 'WHERE'\n", {"WHERE": url}),
        (ON, {"CONTROLROOM_TRADING_PLATFORM_REDIS_URL": url}),
        (REDIS + "url_file = 'secret'\n", {}),
        (ON, {"CONTROLROOM_TRADING_PLATFORM_REDIS_URL_FILE": str(secret)}),
    ):
        secret.write_text(url, encoding="utf-8")
        config = configured(home, text, env)
        redis = config.stacks[0].sources["redis"]
        assert (redis.url, redis.username, redis_password(config)) == (
            "redis://h:1/0",
            "kim",
            "p@ss-word-long-enough",
        )
        assert "ss-word-long" not in repr(config)


def test_two_passwords_for_one_source_are_refused(home: Path) -> None:
    env = {"WHERE": f"redis://:{SECRET}@h/0", "PW": "other"}
    assert "the address holds a password too" in refusal(
        home, REDIS + "url_env = 'WHERE'\npassword_env = 'PW'\n", env
    )


def test_a_bad_address_from_outside_is_refused_without_repeating_it(home: Path) -> None:
    for bad in (
        f"redis://:{SECRET}/x@h:1/0",
        f"http://:{SECRET}@h",
        f"redis://h/0?password={SECRET}",
        SECRET,
    ):
        assert "the address of redis from environment WHERE: " in refusal(
            home, REDIS + "url_env = 'WHERE'\n", {"WHERE": bad}
        )


def test_secrets_leave_the_programs_environment_and_its_childrens(home: Path) -> None:
    (home / "c.toml").write_text(REDIS + "url_env = 'WHERE'\n", encoding="utf-8")
    code = (
        "import os, subprocess, sys; from pathlib import Path; from backends.config import load; "
        "config = load(Path(sys.argv[1]), env=os.environ); "
        "assert config.stacks[0].sources['postgres'].password is not None; "
        "print(subprocess.run(['env'], capture_output=True, text=True).stdout, dict(os.environ))"
    )
    env = os.environ | {"WHERE": f"redis://:{SECRET}@h/0", "POSTGRES_PASSWORD": SECRET + "x", "KEPT": "kept"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(home / "c.toml")],
        env=env, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert "KEPT=kept" in done.stdout
    assert SECRET not in done.stdout + done.stderr


@given(
    password=st.text(min_size=6, max_size=30).filter(
        lambda text: text.strip() and text not in "redis://host:1/0"
    )
)
def test_no_password_survives_in_an_address_however_it_is_written(password: str) -> None:
    """Written raw or escaped, it is either taken out or the address is refused without it."""
    assert take_apart("redis", f"redis://:{quote(password, safe='')}@host:1/0").url == "redis://host:1/0"
    for user in ("", "kim"):
        try:
            address = take_apart("redis", f"redis://{user}:{password}@host:1/0")
        except AddressError as error:
            assert password not in str(error)
        else:
            assert address.url == "redis://host:1/0"
            assert password not in repr(address)


@pytest.mark.parametrize(
    "name", ["access_token", "X-Api-Key", "apikey", "sig", "key", "sslpassword", "client_secret", "auth"]
)
@pytest.mark.parametrize("kind", ["http", "postgres"])
def test_an_address_whose_query_holds_a_secret_is_none_for_addresses_are_shown(kind: str, name: str) -> None:
    scheme = {"http": "https", "postgres": "postgresql"}[kind]
    with pytest.raises(AddressError, match="the query holds a credential"):
        take_apart(kind, f"{scheme}://host/x?a=b&{name}=canary-4711")


def test_a_file_that_an_address_names_is_no_secret() -> None:
    url = "postgresql://host/x?passfile=/run/pass&sslkey=/run/key.pem&sslmode=verify-full&application_name=a"
    assert take_apart("postgres", url).url == url
    url = "rediss://host:1/0?ssl_keyfile=/run/key.pem&ssl_certfile=/run/cert.pem"
    assert take_apart("redis", url).url == url


def test_a_secret_files_owner_is_checked(secret: Path) -> None:
    if os.getuid() != 0:
        need("root", "only root can give a file away")
    os.chown(secret, 12345, -1)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with pytest.raises(CredentialError, match="belongs to another user"):
        from_file(secret)


def test_the_stack_files_own_variable_for_an_address_may_also_name_a_file(home: Path, secret: Path) -> None:
    """With ``NAME`` or ``NAME_FILE`` the address is the stack file's own, and its credential goes there."""
    text = (Path(__file__).parent / "small_stack.toml").read_text(encoding="utf-8")
    own = 'url_env = "WHERE"\npassword_env = "PW"\n'
    text = text.replace("[source.redis]\n", f"[source.redis]\n{own}", 1)
    (home / "small.toml").write_text(text, encoding="utf-8")
    secret.write_text("redis://h:1/0", encoding="utf-8")
    for where in ({"WHERE": "redis://h:1/0"}, {"WHERE_FILE": str(secret)}):
        config = configured(home, "[stack.small]\nfile = 'small.toml'\n", {"PW": SECRET, **where})
        assert config.stacks[0].sources["redis"].url == "redis://h:1/0"
        assert redis_password(config) == SECRET


def test_a_secret_that_no_file_or_text_can_be_is_refused_in_words() -> None:
    with pytest.raises(CredentialError, match="no home folder of ~nosuchuser"):
        from_environment("PW", {"PW_FILE": "~nosuchuser/secret"})
    with pytest.raises(CredentialError, match="PW is not UTF-8 text"):
        from_environment("PW", {"PW": "\udcff"})


def test_two_users_for_one_source_are_refused(home: Path) -> None:
    """Else the password of one would be given with the name of the other."""
    text = REDIS + "url_env = 'WHERE'\nusername = 'ops'\n"
    assert "the address names another user; expected one of them" in refusal(
        home, text, {"WHERE": f"redis://kim:{SECRET}@h/0"}
    )
    assert redis_password(configured(home, text, {"WHERE": f"redis://ops:{SECRET}@h/0"})) == SECRET
    assert redis_password(configured(home, text, {"WHERE": f"redis://:{SECRET}@h/0"})) == SECRET


LACKING = ON + REDIS + "password_file = '/nowhere/redis'\n"
OTHER = "[stack.surveillance.source.redis]\npassword_env = 'NOPE'\n"


@pytest.mark.parametrize(
    "text",
    [LACKING, ON + OTHER, "[room.anchor]\nkind = 'redis'\nurl = 'redis://h'\npassword_env = 'NOPE'\n" + ON],
    ids=["its own password", "another stack's", "the anchor's"],
)
def test_a_stop_goes_without_a_secret_that_cannot_be_had_and_nothing_else_does(home: Path, text: str) -> None:
    why = refusal(home, text)
    (home / "c.toml").write_text(text, encoding="utf-8")
    config = load(home / "c.toml", env={"HOME": str(home)}, stop="trading-platform")
    assert config.wrong == (why,)
    assert [stack.id for stack in config.stacks][:1] == ["trading-platform"]
    assert redis_password(config) is None


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        (ON + REDIS + "url_env = 'NOPE'\n", "trading-platform"),
        (ON + REDIS + "every = 900\n", "trading-platform"),
        (ON + "[stack.surveillance]\n" + OTHER + "colour = 'red'\n", "trading-platform"),
        (ON + OTHER, ""),
    ],
    ids=["where it goes", "a wrong value", "a file that cannot be read", "which stack"],
)
def test_a_stop_does_not_go_on_while_it_is_in_doubt_what_it_would_stop(
    home: Path, text: str, stop: str
) -> None:
    (home / "c.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        load(home / "c.toml", env={"HOME": str(home)}, stop=stop)


def test_the_only_stack_is_the_one_that_is_stopped(home: Path) -> None:
    (home / "c.toml").write_text(LACKING, encoding="utf-8")
    assert "/nowhere/redis" in load(home / "c.toml", env={"HOME": str(home)}, stop="").wrong[0]


def test_what_a_stop_goes_without_leaves_no_secret_in_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("OTHERS", SECRET)
    source = "[stack.surveillance.source.postgres]\npassword_env = 'NOPE'\n"
    (home / "c.toml").write_text(ON + OTHER.replace("NOPE", "OTHERS") + source, encoding="utf-8")
    assert load(home / "c.toml", env=os.environ, stop="trading-platform").wrong
    assert "OTHERS" not in os.environ
