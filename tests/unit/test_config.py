"""Layers of configuration: later wins, safety cannot be loosened, every value knows where it came from."""

from __future__ import annotations

import pwd
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from backends import config as module
from backends.config import Config, ConfigError, load, search_paths
from backends.model.procedure import RiskClass
from backends.model.stack import Environment

HERE = Path(__file__).parent
ON = "[stack.trading-platform]\n"
REDIS = "[stack.trading-platform.source.redis]\n"

AT = "given.toml:2: stack.trading-platform"
SAFETY = "what is safe is decided by the stack file and cannot be changed in a config file"

Loader = Callable[..., Config]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a system file that is not the host's."""
    monkeypatch.setattr(module, "SYSTEM_FILE", tmp_path / "etc" / "config.toml")
    (tmp_path / "etc").mkdir()
    (tmp_path / ".config" / "controlroom").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def loaded(home: Path) -> Loader:
    """Write the layers and load them."""

    def go(
        given: str | None = None,
        *,
        system: str = "",
        user: str = "",
        env: dict[str, str] | None = None,
        **flags: str,
    ) -> Config:
        (home / "etc" / "config.toml").write_text(system, encoding="utf-8")
        (home / ".config" / "controlroom" / "config.toml").write_text(user, encoding="utf-8")
        path = None
        if given is not None:
            path = home / "given.toml"
            path.write_text(given, encoding="utf-8")
        return load(path, env={"HOME": str(home), **(env or {})}, flags=flags)

    return go


def refusal(loaded: Loader, given: str, **layers: object) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(given, **layers)
    message = str(caught.value)
    assert "\n" not in message
    assert "hunter2" not in message
    return message


def test_nothing_configured_is_no_stack_and_a_state_folder(home: Path) -> None:
    config = load(None, env={"HOME": str(home)})
    assert config.stacks == ()
    assert config.state_dir == home / ".local" / "state" / "controlroom"
    assert not config.watch


def test_a_later_layer_wins_key_by_key(loaded: Loader) -> None:
    config = loaded(
        REDIS + "every = 0.7\n",
        system=ON
        + "environment = 'live'\n"
        + REDIS
        + "url = 'redis://system:1/0'\nevery = 2.0\ndeadline = 0.3\n",
        user=REDIS + "url = 'redis://user:2/0'\n",
    )
    (stack,) = config.stacks
    redis = stack.sources["redis"]
    assert (redis.url, redis.every, redis.deadline) == ("redis://user:2/0", 0.7, 0.3)
    assert stack.environment is Environment.LIVE
    assert "given.toml:2" in config.origins["stack.trading-platform.source.redis.every"]
    assert redis.origin.endswith(".config/controlroom/config.toml:2")


LAYERS = ("/etc", "user", "--config", "environment", "flags")


@pytest.mark.parametrize("said", [*combinations(LAYERS, 2), LAYERS], ids=" < ".join)
def test_of_any_layers_that_say_one_thing_the_last_is_meant(loaded: Loader, said: tuple[str, ...]) -> None:
    themes = {layer: f"of {layer}" for layer in said}
    files = {layer: f"[room]\ntheme = '{theme}'\n" for layer, theme in themes.items()}
    config = loaded(
        files.get("--config"),
        system=files.get("/etc", ""),
        user=files.get("user", ""),
        env={"CONTROLROOM_THEME": themes["environment"]} if "environment" in said else {},
        **({"theme": themes["flags"]} if "flags" in said else {}),
    )
    assert config.theme == f"of {said[-1]}"


def test_the_environment_wins_over_files_and_flags_over_both(loaded: Loader) -> None:
    env = {"CONTROLROOM_THEME": "light", "CONTROLROOM_TRADING_PLATFORM_MARKET_DATA_URL": "http://env:4"}
    text = "[room]\ntheme = 'dark'\nstate_dir = 'state'\n[stack.trading-platform.source.market-data]\nurl = 'http://f:1'\n"
    config = loaded(text, env=env)
    assert config.theme == "light"
    assert config.stacks[0].sources["market-data"].url == "http://env:4"
    assert (
        config.stacks[0].sources["market-data"].origin
        == "environment CONTROLROOM_TRADING_PLATFORM_MARKET_DATA_URL"
    )
    assert loaded(text, env=env, theme="mono").theme == "mono"
    assert config.state_dir.name == "state" and config.state_dir.is_absolute()


def test_watching_can_be_asked_for_by_any_layer_and_taken_back_by_none(loaded: Loader) -> None:
    assert loaded(system="[room]\nwatch = true\n", user="[room]\nwatch = false\n").watch
    assert loaded("[room]\nwatch = true\n", env={"CONTROLROOM_WATCH": "0"}).watch
    assert loaded("", env={"CONTROLROOM_WATCH": "1"}).watch
    assert not loaded("[room]\nwatch = false\n").watch


def test_what_was_found_and_where_is_listed_with_credentials_masked(loaded: Loader) -> None:
    config = loaded(ON, env={"REDIS_PASSWORD": "hunter2-hunter2-9999"})
    origins = config.origins
    assert origins["stack.trading-platform.source.redis.password"] == "****9999 (environment REDIS_PASSWORD)"
    assert origins["stack.trading-platform.source.gateway.url"] == "http://127.0.0.1:8002 (stack file)"
    assert "hunter2" not in repr(config)


REFUSED = [
    (ON + "colour = 'red'\n", f"{AT}.colour: unknown key; expected one of: file,"),
    ("[room]\nthem = 'dark'\n", "given.toml:2: room.them: unknown key; did you mean 'theme'?"),
    (REDIS + "every = 'often'\n", f"{AT}.source.redis.every: expected a number"),
    (REDIS + "password = 'hunter2'\n", "a password is never written in a config file; use password_env or"),
    (
        REDIS + "url = 'redis://:hunter2@h/0'\n",
        f"{AT}.source.redis.url: an address in a file holds no password",
    ),
    (REDIS + "url = 'redis://:hunter2/x@h:1/0'\n", "write special characters in a password as %XX"),
    (REDIS + "url = 'h:6379'\n", "expected an address that starts with one of: redis://, rediss://, unix://"),
    (
        REDIS + "url = 'redis://h'\nurl_env = 'X'\n",
        "given.toml:3: stack.trading-platform.source.redis.url_env: url",
    ),
    (
        REDIS + "password_env = 'X'\npassword_file = 'y'\n",
        "password_env stands there too; expected one of them",
    ),
    (REDIS + "password_env = 'NOPE'\n", "environment variable NOPE is not set, nor is NOPE_FILE"),
    (REDIS + "every = 2.5\n", "expected at most 2 s (a gate of trading is read from it), got 2.5 s"),
    (
        "[stack.trading-platform.source.docker]\nevery = 60\n",
        "expected at most 5 s (trading or a proof rests on it), got 60 s",
    ),
    (REDIS + "deadline = 2\n", f"{AT}.source.redis.deadline: 2 s is longer than every 1 s"),
    (
        "[stack.trading-platform.source.grafana]\nevery = 900\n",
        "expected at most 300 s (the longest there is)",
    ),
    ("[stack.trading-platform.source.redsi]\nevery = 1\n", "stack 'trading-platform' has no source 'redsi'"),
    ("[stack.trading-platfrom]\n", "given.toml:1: stack.trading-platfrom: there is no built-in stack"),
    (ON + "environment = 'prod'\n", "'prod' is not known; expected one of: live, paper, demo"),
    (ON + "demo_control = 'http://127.0.0.1:1'\n", 'goes with environment = "demo" only'),
    (ON + "file = 'x.toml'\n", "is built in and cannot be replaced; give your stack another id"),
    ("[stack.mine]\nfile = 'nowhere.toml'\n", "nowhere.toml: expected a file; not found"),
    ("[stack.trading-platform.trading]\nhalt_path = 'none'\n", SAFETY),
    ("[[stack.trading-platform.fact]]\nid = 'kill.state'\n", SAFETY),
    ("[stack.trading-platform.procedure]\n", f"given.toml:1: stack.trading-platform.procedure: {SAFETY}"),
    (REDIS + "auth = 'none'\n", SAFETY),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_what_a_config_file_may_not_say_is_refused_by_name(loaded: Loader, text: str, expected: str) -> None:
    assert expected in refusal(loaded, text)


def test_a_given_file_must_exist_and_the_others_need_not(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: expected a file; not found"):
        load(home / "gone.toml", env={"HOME": str(home)})
    assert load(None, env={"HOME": str(home)}).stacks == ()


def test_a_slip_in_a_variable_of_a_stack_is_not_overlooked(loaded: Loader) -> None:
    message = refusal(loaded, ON, env={"CONTROLROOM_TRADING_PLATFORM_REDS_URL": "redis://h/0"})
    assert message.startswith(
        "environment CONTROLROOM_TRADING_PLATFORM_REDS_URL: unknown setting; expected one of: "
    )
    assert "expected 1 or 0" in refusal(loaded, ON, env={"CONTROLROOM_WATCH": "perhaps"})


def test_a_stack_of_the_users_own_is_added_beside_the_built_in_ones(loaded: Loader, home: Path) -> None:
    (home / "small.toml").write_text(
        (HERE / "small_stack.toml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    config = loaded(ON + "[stack.small]\nfile = 'small.toml'\nenvironment = 'live'\n")
    assert [stack.id for stack in config.stacks] == ["trading-platform", "small"]
    assert config.stacks[1].environment is Environment.LIVE
    assert "expected 'other', the name it has in" in refusal(loaded, "[stack.other]\nfile = 'small.toml'\n")
    (home / "small.toml").write_text("[stack]\nid = 3\n", encoding="utf-8")
    assert "small.toml:2: stack.id: expected text" in refusal(loaded, "[stack.small]\nfile = 'small.toml'\n")


def test_the_demos_control_address_is_known_by_stack(loaded: Loader) -> None:
    config = loaded(ON + "environment = 'demo'\ndemo_control = 'http://127.0.0.1:9'\n")
    assert config.demo_control == {"trading-platform": "http://127.0.0.1:9"}


def test_a_source_that_shares_an_address_follows_it(loaded: Loader) -> None:
    config = loaded("[stack.trading-platform.source.gateway]\nurl = 'http://h:9'\n")
    assert config.stacks[0].sources["gateway-account"].url == "http://h:9"


def test_a_shared_engine_is_reached_by_the_same_user_and_certificate(loaded: Loader) -> None:
    docker = "[stack.trading-platform.source.docker]\n"
    shared = (
        loaded(docker + "url = 'ssh://ops@far'\ncert_path = '/etc/far'\n").stacks[0].sources["docker-facts"]
    )
    assert (shared.url, shared.username, shared.options["cert_path"]) == ("ssh://far", "ops", "/etc/far")


def test_an_engine_of_its_own_is_reached_without_anothers_user_and_certificate(loaded: Loader) -> None:
    docker = "[stack.trading-platform.source.docker]\nurl = 'ssh://ops@far'\ncert_path = '/etc/far'\n"
    own = docker + "[stack.trading-platform.source.docker-facts]\nurl = 'ssh://other'\n"
    source = loaded(own).stacks[0].sources["docker-facts"]
    assert (source.url, source.username, dict(source.options)) == ("ssh://other", None, {})


def test_the_places_looked_at_are_told_in_order(home: Path) -> None:
    found = search_paths(Path("x.toml"), {"XDG_CONFIG_HOME": "/xdg", "HOME": "/home/kim"})
    assert found == [module.SYSTEM_FILE, Path("/xdg/controlroom/config.toml"), Path("x.toml")]
    assert search_paths(None, {"HOME": "/home/kim"})[1] == Path("/home/kim/.config/controlroom/config.toml")


@pytest.mark.parametrize("env", [{}, {"HOME": ""}, {"HOME": "here"}], ids=["unset", "empty", "relative"])
def test_without_a_home_in_the_environment_the_accounts_own_is_meant(
    home: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    account = pwd.struct_passwd(("kim", "x", 7, 7, "", str(home), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: account)
    user = home / ".config" / "controlroom" / "config.toml"
    user.write_text("[room]\nwatch = true\n", encoding="utf-8")
    config = load(None, env=env)
    assert (config.state_dir, config.watch) == (home / ".local/state/controlroom", True)


def test_an_account_that_the_host_does_not_know_has_the_root_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert load(None, env={}).state_dir == Path("/.local/state/controlroom")


def test_loading_needs_no_client_library(home: Path) -> None:
    (home / "given.toml").write_text(ON, encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from backends.config import load; "
        "load(Path(sys.argv[1]), env={'HOME': sys.argv[2]}); "
        "print({'httpx', 'redis', 'docker', 'psycopg', 'rich', 'textual', 'typer'} & set(sys.modules))"
    )
    argv = [sys.executable, "-c", code, str(home / "given.toml"), str(home)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=HERE.parents[1])
    assert done.stdout.strip() == "set()"


EVERY = 'second_person = "every restore"\n'


def needing(config: Config) -> set[str]:
    """The procedures that one person may not run alone, as "generation/procedure"."""
    stack = config.stacks[0]
    assert not stack.is_single_operator
    return {
        f"{one.generation}/{name}"
        for one in (stack, *stack.others)
        for name, each in one.procedures.items()
        if each.needs_approval
    }


@pytest.mark.parametrize("stack", ["trading-platform", "hummingbot-desk"])
def test_a_second_person_may_be_demanded_of_every_restore_and_of_nothing_else(
    loaded: Loader, stack: str
) -> None:
    plain, strict = (loaded(f"[stack.{stack}]\n{more}") for more in ("", EVERY))
    restores = {
        f"{one.generation}/{name}"
        for one in (plain.stacks[0], *plain.stacks[0].others)
        for name, each in one.procedures.items()
        if each.risk is RiskClass.RESTORE
    }
    assert restores - needing(plain)
    assert needing(strict) == needing(plain) | restores


def test_no_later_layer_takes_the_second_person_away(loaded: Loader) -> None:
    strict = loaded(ON, system=ON + EVERY)
    also = loaded(f"{ON}single_operator = true\n", system=ON + EVERY)
    assert needing(also) == needing(strict)
    said = refusal(loaded, f'{ON}second_person = "none"\n', system=ON + EVERY)
    assert "second_person" in said


def test_whom_to_call_is_said_by_the_local_configuration(loaded: Loader) -> None:
    assert loaded(ON).stacks[0].venue_phone == ""
    assert loaded(ON + "venue_phone = '+1 555 0100'\n").stacks[0].venue_phone == "+1 555 0100"


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("redis", "redis+sentinel://one:26379,two:26379/desk/0"),
        ("redis", "redis+cluster://one:6379,two:6379"),
        ("redis", "rediss+cluster://one:6379"),
        ("postgres", "postgresql://one:5432,two:5433/trader?target_session_attrs=primary"),
        ("docker", "ssh://trader@far.example"),
        ("docker", "context://far"),
        ("docker", "tcp://far.example:2376"),
    ],
)
def test_a_source_may_be_on_several_machines_or_a_far_one(loaded: Loader, source: str, url: str) -> None:
    config = loaded(f'{ON}[stack.trading-platform.source.{source}]\nurl = "{url}"\n')
    assert config.stacks[0].sources[source].url == url.replace("trader@far", "far")


def test_sentinels_need_the_name_of_what_they_guard(loaded: Loader) -> None:
    assert "expected the master's name" in refusal(loaded, f'{REDIS}url = "redis+sentinel://one,two"\n')


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("state_dir", "~nosuchuser/x", "room.state_dir: there is no home folder of ~nosuchuser"),
        ("state_dir", "", "given.toml:2: room.state_dir: expected a path"),
        ("state_dir", r"a\u0000b", "given.toml:2: room.state_dir: expected a path"),
    ],
)
def test_what_is_no_path_is_refused_where_it_stands(
    loaded: Loader, key: str, value: str, expected: str
) -> None:
    assert expected in refusal(loaded, f'[room]\n{key} = "{value}"\n')


def test_a_config_file_that_is_there_and_cannot_be_read_is_not_passed_over(home: Path) -> None:
    user = home / ".config" / "controlroom" / "config.toml"
    user.symlink_to(home / "gone.toml")
    with pytest.raises(ConfigError, match=r"config\.toml: expected a file; not found"):
        load(None, env={"HOME": str(home)})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(None, env={"HOME": str(home), "XDG_CONFIG_HOME": "/" + "x" * 300})


def test_a_variable_goes_to_the_stack_whose_name_it_bears(loaded: Loader, home: Path) -> None:
    """Also when the name of one stack begins like another's."""
    text = (HERE / "small_stack.toml").read_text(encoding="utf-8")
    stacks = ""
    for name in ("desk", "desk-2"):
        ident = re.search(r'^id = "(.+)"', text, re.MULTILINE)
        assert ident is not None
        (home / f"{name}.toml").write_text(text.replace(ident[0], f'id = "{name}"', 1), encoding="utf-8")
        stacks += f"[stack.{name}]\nfile = '{name}.toml'\n"
    config = loaded(stacks, env={"CONTROLROOM_DESK_2_ENVIRONMENT": "live"})
    assert [stack.environment.name for stack in config.stacks][1] == "LIVE"
    assert config.stacks[0].environment is not Environment.LIVE
    with pytest.raises(ConfigError, match="CONTROLROOM_DESK_2_REDDIS_URL: unknown setting"):
        loaded(stacks, env={"CONTROLROOM_DESK_2_REDDIS_URL": "redis://h/0"})
