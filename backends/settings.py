"""Config files in layers: each read strictly, merged key by key, every value knowing where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct, field

from backends.secret_file import Credential, CredentialError, from_environment, from_file, no_home
from backends.stacks.schema_types import EnvironmentWord, Seconds, Strict
from backends.stacks.toml_file import ConfigError, TomlFile, decode, read_toml
from backends.stacks.toml_lines import Place

PREFIX: Final = "CONTROLROOM_"
"""Of every environment variable that is a setting."""

_SAFETY: Final = "what is safe is decided by the stack file and cannot be changed in a config file"
_OF_THE_STACK_FILE: Final = (
    "fact facts service services gate gates echo trading halt_path evidence alarm alarms logs procedure "
    "procedures step proof ok info warn crit missing warn_above warn_below crit_above crit_below auth kind"
)
_REFUSED: Final = {
    "password": "a password is never written in a config file; use password_env or password_file",
    **dict.fromkeys(_OF_THE_STACK_FILE.split(), _SAFETY),
}

_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off", "")


class AnchorTable(Strict):
    """Where the journal's head is kept besides the journal."""

    kind: Literal["redis", "postgres", "syslog"]
    url: str | None = None
    url_env: str | None = None
    url_file: str | None = None
    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    name: str | None = None


class JournalTable(Strict):
    """How long the journal is kept."""

    keep_days: int | None = None


class RoomTable(Strict):
    theme: str | None = None
    state_dir: str | None = None
    watch: bool | None = None
    shared_accounts: list[str] | None = None
    anchor: AnchorTable | None = None
    journal: JournalTable | None = None


class SourceTable(Strict):
    url: str | None = None
    url_env: str | None = None
    url_file: str | None = None
    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    cert_path: str | None = None
    """Docker over TLS: the folder with ca.pem, cert.pem and key.pem."""
    every: Seconds | None = None
    deadline: Seconds | None = None


class StackTable(Strict):
    file: str | None = None
    environment: EnvironmentWord | None = None
    demo_control: str | None = None
    single_operator: bool | None = None
    second_person: Literal["every restore"] | None = None
    venue_phone: str | None = None
    variant: str | None = None
    source: dict[str, SourceTable] = field(default_factory=dict)


class ConfigFile(Strict):
    """One ``config.toml``."""

    room: RoomTable = field(default_factory=RoomTable)
    stack: dict[str, StackTable] = field(default_factory=dict)


GROUPS: Final = {
    "url": ("url", "url_env", "url_file"),
    "password": ("password_env", "password_file"),
}
"""Keys that say the same thing in different ways: a layer uses one, and replaces those of earlier layers."""


class Setting(Struct, frozen=True):
    """One value of one layer."""

    key: str
    """The key it was written under: ``url_env``."""
    value: Any
    origin: str
    """A config file with its line, an environment variable, or a flag, in words."""
    file: TomlFile | None = None
    place: Place = ()

    def error(self, text: str) -> ConfigError:
        """The error about this value, at its place."""
        return self.file.error(self.place, text) if self.file else ConfigError(f"{self.origin}: {text}")

    def credential(self, env: Mapping[str, str]) -> Credential:
        """The text behind ``*_env`` or ``*_file``, which must be there. Raises ConfigError."""
        try:
            if self.key.endswith("_file"):
                return from_file(self.path())
            found = from_environment(str(self.value), env)
        except CredentialError as error:
            raise self.error(str(error)) from None
        if found is None:
            raise self.error(f"environment variable {self.value} is not set, nor is {self.value}_FILE")
        return found

    def path(self) -> Path:
        """The value as a path; a relative one starts at the folder of the file it stands in. Raises
        ConfigError for what is none."""
        text = str(self.value)
        if not text or "\0" in text:
            raise self.error(f"expected a path, got {text!r}")
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            raise self.error(no_home(text)) from None
        return self.file.path.absolute().parent / path if self.file else path.absolute()


Settings = dict[Place, Setting]
"""By place without the variants of a group: ``("stack", "x", "source", "redis", "url")``."""


def present(paths: Iterable[Path]) -> list[Path]:
    """Those that are there, also what cannot be read or leads nowhere: reading it then says why. A layer
    that is passed over in silence may be the one that asks for watching."""
    return [path for path in paths if _is_there(path)]


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_layers(paths: Iterable[Path]) -> Settings:
    """The files in order, merged; a later one wins key by key. Raises ConfigError."""
    settings: Settings = {}
    for path in paths:
        file = read_toml(path)
        _merge(settings, _settings_of(file, decode(file, ConfigFile, _REFUSED)))
    return settings


def add(settings: Settings, found: Iterable[tuple[Place, Setting]]) -> None:
    """Lay environment variables or flags over the files."""
    _merge(settings, found)


def _merge(settings: Settings, found: Iterable[tuple[Place, Setting]]) -> None:
    for place, setting in found:
        before = settings.get(place)
        # Watching without hands can be asked for anywhere, and never be taken back.
        if place == ("room", "watch") and before is not None and before.value and not setting.value:
            continue
        settings[place] = setting


def _settings_of(file: TomlFile, config: ConfigFile) -> Iterator[tuple[Place, Setting]]:
    yield from _table(file, ("room",), config.room)
    for key, table in (("anchor", config.room.anchor), ("journal", config.room.journal)):
        if table is not None:
            yield from _table(file, ("room", key), table)
    for ident, stack in config.stack.items():
        place: Place = ("stack", ident)
        yield place, Setting("stack", ident, _origin(file, place), file, place)
        yield from _table(file, place, stack)
        for name, source in stack.source.items():
            yield from _table(file, (*place, "source", name), source)


def _table(file: TomlFile, place: Place, table: Strict) -> Iterator[tuple[Place, Setting]]:
    groups = {key: group for group, keys in GROUPS.items() for key in keys}
    seen: dict[str, str] = {}
    for key in table.__struct_fields__:
        value = getattr(table, key)
        if value is None or key in ("source", "anchor", "journal"):
            continue
        group = groups.get(key, key)
        if group in seen:
            raise file.error((*place, key), f"{seen[group]} stands there too; expected one of them")
        seen[group] = key
        yield (*place, group), Setting(key, value, _origin(file, (*place, key)), file, (*place, key))


def _origin(file: TomlFile, place: Place) -> str:
    return f"{file.path}:{file.line(place)}"


def room_variables(env: Mapping[str, str]) -> Iterator[tuple[Place, Setting]]:
    """``CONTROLROOM_THEME``, ``CONTROLROOM_STATE_DIR`` and ``CONTROLROOM_WATCH``."""
    for key in ("theme", "state_dir"):
        name = PREFIX + key.upper()
        if env.get(name):
            yield ("room", key), Setting(key, env[name], f"environment {name}")
    name = PREFIX + "WATCH"
    if name in env:
        yield ("room", "watch"), Setting("watch", flag(name, env[name]), f"environment {name}")


def flag(name: str, text: str) -> bool:
    """A yes or no from an environment variable. Raises ConfigError for any other word."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ConfigError(f"environment {name}: expected 1 or 0, got {text!r}")


def stack_variables(
    stack: str, sources: Iterable[str], env: Mapping[str, str], settings: Settings
) -> Iterator[tuple[Place, Setting]]:
    """Settings of one stack from variables like ``CONTROLROOM_TRADING_PLATFORM_REDIS_URL``.

    Values that may hold a secret are not read here: the setting names the variable. Raises ConfigError
    for a variable of this stack that means nothing, because a slip there would go unnoticed. One that may
    be meant for another stack of ``settings``, whose name begins like this one's, is left to that.
    """
    start = _variable(PREFIX.removesuffix("_"), stack) + "_"
    known: dict[str, tuple[Place, str]] = {
        start + "ENVIRONMENT": (("stack", stack, "environment"), "environment")
    }
    for source in sources:
        place: Place = ("stack", stack, "source", source)
        for group, key in (("url", "url_env"), ("username", "username"), ("password", "password_env")):
            known[_variable(start.removesuffix("_"), source, group)] = ((*place, group), key)
    stacks = [str(place[1]) for place in settings if len(place) == 2 and place[0] == "stack"]
    starts = (_variable(PREFIX.removesuffix("_"), name) + "_" for name in stacks)
    others = tuple(other for other in starts if other != start and other.startswith(start))
    secret = ("url_env", "password_env")
    for name in sorted(env):
        base = name.removesuffix("_FILE")
        if not name.startswith(start):
            continue
        place, key = known.get(base) or ((), "")
        if not place and name.startswith(others):
            continue
        if not place or (name != base and key not in secret):
            raise ConfigError(
                f"environment {name}: unknown setting; expected one of: {', '.join(sorted(known))}"
            )
        yield place, Setting(key, base if key in secret else env[name], f"environment {name}")


def _variable(*parts: str) -> str:
    return "_".join(re.sub(r"[^A-Za-z0-9]", "_", part).upper() for part in parts)
