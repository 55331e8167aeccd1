"""Configuration: which stacks, where they live, how the room behaves.

Layers, a later one wins key by key: ``/etc/controlroom/config.toml``, the user's file in XDG's config
folder, ``--config FILE``, the environment, flags. A config file says where things are and how often to
ask; what is safe is said by the stack file alone. See ``docs/stack-file.md``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from backends.anchor_setting import anchor_place
from backends.cadence import LONGEST, Limit, limits_of
from backends.docker_variables import CERTIFICATES, CONTEXT, HOST, certificates, context
from backends.journal_setting import keep_days
from backends.model.anchor import AnchorPlace
from backends.model.stack import Environment, Source, SourceKind, Stack
from backends.second_person_setting import with_second_person
from backends.secret_file import Credential, CredentialError, from_environment
from backends.settings import Setting, Settings, add, present, read_layers, room_variables, stack_variables
from backends.spares import Spares
from backends.stacks.address import Address, AddressError, take_apart
from backends.stacks.loader import Described, built_in, describe
from backends.stacks.schema import SourceSpec
from backends.stacks.toml_file import ConfigError
from backends.stacks.toml_lines import Place
from backends.xdg import xdg_folder

__all__ = ["Config", "ConfigError", "load", "search_paths"]

SYSTEM_FILE: Final = Path("/etc/controlroom/config.toml")
STACK_FILE: Final = "stack file"
_ENGINES: Final = (SourceKind.DOCKER, SourceKind.SWARM)


class Config(Struct, frozen=True):
    """What is in force, and for each value where it came from."""

    stacks: tuple[Stack, ...]
    """In the order they were first named; empty when nothing is configured."""
    theme: str | None
    """None for the room's own choice."""
    state_dir: Path
    watch: bool
    """True when any layer asked for read-only."""
    demo_control: Mapping[str, str]
    """By stack id: where the demo's faults are switched."""
    origins: Mapping[str, str]
    """By dotted key: the value, credentials masked, and where it came from."""
    anchor: AnchorPlace | None = None
    """Where the journal's head is kept besides the journal."""
    shared_accounts: frozenset[str] = frozenset()
    """Accounts of this host that several people use."""
    keep_days: int | None = None
    """Days after which a record of the journal may go; None for never."""
    wrong: tuple[str, ...] = ()
    """What a stop has to go without, each as the message that it is to everything else."""

    @property
    def digest(self) -> str:
        """Of everything in force and where it came from; another one means another configuration."""
        return hashlib.sha256(repr(sorted(self.origins.items())).encode()).hexdigest()


def search_paths(path: Path | None = None, env: Mapping[str, str] | None = None) -> list[Path]:
    """The config files that are looked for, weakest first; only ``path`` must exist."""
    folder = xdg_folder(os.environ if env is None else env, "XDG_CONFIG_HOME", ".config")
    found = [SYSTEM_FILE, folder / "controlroom" / "config.toml"]
    return found if path is None else [*found, path]


def load(
    path: Path | None,
    *,
    env: Mapping[str, str],
    flags: Mapping[str, str | bool] | None = None,
    stop: str | None = None,
) -> Config:
    """The effective configuration. Raises ConfigError with one message: file, line, key, what was expected.

    ``flags`` are ``theme``, ``state_dir`` and ``watch``. Secrets that came from ``os.environ`` are removed
    from it, so that no child process inherits them; a second call does not find them again.

    ``stop`` names the stack that is to be stopped, empty for the only one: that goes without a password that
    cannot be had, the anchor, and other stacks that have anything wrong. ``Config.wrong`` then says so.
    """
    found = present(search_paths(None, env))
    settings = read_layers(found if path is None else [*found, path])
    add(settings, room_variables(env))
    add(
        settings,
        ((("room", key), Setting(key, value, f"flag {key}")) for key, value in (flags or {}).items()),
    )
    idents = [str(place[1]) for place in settings if len(place) == 2 and place[0] == "stack"]
    stop = idents[0] if stop == "" and len(idents) == 1 else stop
    # Everything while it is not said what is stopped: another stack must not be taken for the one meant.
    spares = Spares(is_stop=bool(stop))
    loaded: list[_Loading] = []
    stacks: list[Stack] = []
    for ident in idents:
        with spares.without() if ident != stop else nullcontext():
            loaded.append(_Loading(ident, settings, env, spares))
            stacks.append(loaded[-1].stack())
    origins = _room_origins(settings)
    names: set[str] = set()
    for one in loaded:
        origins |= one.origins
        names |= one.secret_names
    anchor: AnchorPlace | None = None
    with spares.without():
        anchor, anchor_names = anchor_place(settings, env)
        names |= anchor_names
    if env is os.environ:
        for name in names:
            os.environ.pop(name, None)
    theme, watch, shared = (settings.get(("room", key)) for key in ("theme", "watch", "shared_accounts"))
    return Config(
        stacks=tuple(stacks),
        theme=str(theme.value) if theme else None,
        state_dir=_state_dir(settings, env),
        watch=bool(watch and watch.value),
        demo_control={one.ident: one.demo_control for one in loaded if one.demo_control is not None},
        origins=origins,
        anchor=anchor,
        shared_accounts=frozenset(shared.value) if shared else frozenset(),
        keep_days=keep_days(settings),
        wrong=spares.told(),
    )


def _state_dir(settings: Settings, env: Mapping[str, str]) -> Path:
    setting = settings.get(("room", "state_dir"))
    if setting is not None:
        return setting.path()
    return xdg_folder(env, "XDG_STATE_HOME", ".local/state") / "controlroom"


def _room_origins(settings: Settings) -> dict[str, str]:
    return {
        ".".join(map(str, place)): f"{setting.value} ({setting.origin})"
        for place, setting in settings.items()
        if place[0] == "room"
    }


class _Loading:
    """One stack on its way from its file, the layers and the environment to a ``Stack``."""

    def __init__(self, ident: str, settings: Settings, env: Mapping[str, str], spares: Spares) -> None:
        self.ident = ident
        self._spares = spares
        self.origins: dict[str, str] = {}
        self.secret_names: set[str] = set()
        self._env = env
        self._described, file_origin = _stack_file(ident, settings)
        self._note("file", str(self._described.file.path), file_origin)
        self._settings = dict(settings)
        self._known = dict.fromkeys(name for form in self._forms() for name in form.spec.source)
        add(self._settings, stack_variables(ident, self._known, env, settings))
        self._check_names()
        self._environment = self._word()
        self.demo_control = self._control()

    def stack(self) -> Stack:
        """The stack with everything local applied, and with its other generations unless the configuration
        says which one runs. Raises ConfigError."""
        alone, pinned = self._setting("single_operator"), self._setting("variant")
        if alone is not None:
            self._note("single_operator", str(alone.value).lower(), alone.origin)
        second = self._setting("second_person")
        if second is not None:
            self._note("second_person", str(second.value), second.origin)
            if alone is not None and alone.value:
                self._note("single_operator", "false: second_person outranks it", second.origin)
        forms = self._forms()
        if pinned is not None:
            self._note("variant", str(pinned.value), pinned.origin)
            names = {form.generation.id: form for form in forms if form.generation is not None}
            if pinned.value not in names:
                raise pinned.error(
                    f"there is no variant {pinned.value!r}; there is {', '.join(names) or 'none'}"
                )
            forms = (names[str(pinned.value)],)
        phone = self._setting("venue_phone")
        if phone is not None:
            self._note("venue_phone", str(phone.value), phone.origin)
        made = [
            replace(
                with_second_person(self._build(form), alone, second),
                venue_phone="" if phone is None else str(phone.value),
            )
            for form in forms
        ]
        return replace(made[0], others=tuple(made[1:]))

    def _forms(self) -> tuple[Described, ...]:
        return (self._described, *self._described.others)

    def _build(self, form: Described) -> Stack:
        plain = form.sources()
        sources: dict[str, Source] = {}
        owners = sorted(plain, key=lambda name: form.spec.source[name].url_of is not None)
        limits = limits_of(form.spec)
        for name in owners:
            limit = limits.get(name, LONGEST)
            sources[name] = self._source(plain[name], form.spec.source[name], sources, limit)
        return form.build({name: sources[name] for name in plain}, self._environment)

    def _setting(self, *place: str) -> Setting | None:
        return self._settings.get(("stack", self.ident, *place))

    def _note(self, key: str, value: str, origin: str) -> None:
        self.origins[f"stack.{self.ident}.{key}"] = f"{value} ({origin})"

    def _check_names(self) -> None:
        known = self._known
        for place, setting in self._settings.items():
            if place[:2] == ("stack", self.ident) and place[2:3] == ("source",) and place[3] not in known:
                raise setting.error(
                    f"stack {self.ident!r} has no source {place[3]!r}; it has {', '.join(known)}"
                )

    def _word(self) -> Environment | None:
        setting = self._setting("environment")
        if setting is None:
            self._note("environment", self._described.spec.stack.environment, STACK_FILE)
            return None
        self._note("environment", setting.value, setting.origin)
        try:
            return Environment[str(setting.value).upper()]
        except KeyError:
            raise setting.error(f"expected live, paper or demo, got {setting.value!r}") from None

    def _control(self) -> str | None:
        setting = self._setting("demo_control")
        if setting is None:
            return None
        if self._environment is not Environment.DEMO:
            raise setting.error('goes with environment = "demo" only; expected no such key')
        self._note("demo_control", setting.value, setting.origin)
        return self._take_apart(setting, "http", str(setting.value)).url

    def _source(self, plain: Source, spec: SourceSpec, others: Mapping[str, Source], limit: Limit) -> Source:
        address, origin = self._address(plain, spec.url_env)
        username = self._setting("source", plain.id, "username")
        if username is not None and address.username not in (None, username.value):
            raise username.error("the address names another user; expected one of them")
        if origin == STACK_FILE and spec.url_of is not None:
            owner = others[spec.url_of]
            origin = owner.origin
            address = replace(address, url=owner.url)
            if owner.kind in _ENGINES:
                # Who logs in over ssh, and with which certificate, is part of how an engine is reached.
                address = replace(address, username=owner.username)
                plain = replace(plain, options={**owner.options, **plain.options})
        # The stack file's own credential goes to the stack file's own address and nowhere else.
        is_own = not any(self._setting("source", name, "url") for name in (plain.id, spec.url_of or plain.id))
        password = self._password(plain.id, address, spec.password_env if is_own else None)
        every, deadline = self._cadence(plain, *limit)
        source = replace(
            plain,
            url=address.url,
            origin=origin,
            username=str(username.value) if username else address.username or plain.username,
            password=password.value if password else None,
            options=self._options(plain, address.url, origin),
            every=every,
            deadline=deadline,
        )
        place = f"source.{plain.id}"
        self._note(f"{place}.url", source.url, origin)
        if source.username is not None:
            user_origin = username.origin if username else origin if address.username else STACK_FILE
            self._note(f"{place}.username", source.username, user_origin)
        if password is not None:
            self._note(f"{place}.password", password.value.mask(), password.origin)
        return source

    def _options(self, plain: Source, url: str, origin: str) -> Mapping[str, str]:
        setting = self._setting("source", plain.id, "cert_path")
        if setting is None:
            # Certificates go with the address: those of the environment are for the environment's own.
            theirs = certificates(self._env, url) if origin == f"environment {HOST}" else None
            if theirs is None:
                return plain.options
            self._note(f"source.{plain.id}.cert_path", theirs, f"environment {CERTIFICATES}")
            return {**plain.options, "cert_path": theirs}
        if plain.kind not in _ENGINES:
            raise setting.error("goes with a docker or swarm source")
        folder = str(setting.path())
        self._note(f"source.{plain.id}.cert_path", folder, setting.origin)
        return {**plain.options, "cert_path": folder}

    def _address(self, plain: Source, default_name: str | None) -> tuple[Address, str]:
        setting = self._setting("source", plain.id, "url")
        if setting is not None and setting.key == "url":
            address = self._take_apart(setting, plain.kind.value, str(setting.value))
            if address.password is not None:
                raise setting.error(
                    "an address in a file holds no password; use password_env or password_file"
                )
            return address, setting.origin
        found: Credential | None = None
        if setting is not None:
            found = setting.credential(self._env)
        elif default_name is not None:
            found = self._optional(default_name)
        if found is None and default_name == HOST and (named := context(self._env)):
            return Address(f"context://{named}", None, None), f"environment {CONTEXT}"
        if found is None:
            return Address(plain.url, None, None), STACK_FILE
        try:
            address = take_apart(plain.kind.value, found.value.reveal())
        except AddressError as error:
            text = f"the address of {plain.id} from {found.origin}: {error}"
            raise (setting.error(text) if setting else ConfigError(text)) from None
        if address.password is not None:
            self.secret_names.update(found.names)
        return address, found.origin

    def _take_apart(self, setting: Setting, kind: str, url: str) -> Address:
        try:
            return take_apart(kind, url)
        except AddressError as error:
            raise setting.error(str(error)) from None

    def _password(self, source: str, address: Address, default_name: str | None) -> Credential | None:
        setting = self._setting("source", source, "password")
        if setting is None and address.password is not None:
            return Credential(address.password, "the address")
        found: Credential | None = None
        with self._spares.without():
            if setting is not None:
                found = setting.credential(self._env)
            elif default_name is not None:
                found = self._optional(default_name)
        if found is not None:
            self.secret_names.update(found.names)
            if address.password is not None and setting is not None:
                raise setting.error("the address holds a password too; expected one of them")
        return found

    def _optional(self, name: str) -> Credential | None:
        """The text behind a variable that the stack file names, if it is set."""
        try:
            return from_environment(name, self._env)
        except CredentialError as error:
            raise ConfigError(f"stack {self.ident}: {error}") from None

    def _cadence(self, plain: Source, most: float, why: str) -> tuple[float, float]:
        every, deadline = (self._setting("source", plain.id, key) for key in ("every", "deadline"))
        seconds = float(every.value) if every else plain.every
        limit = max(plain.every, most)
        if every is not None and seconds > limit:
            raise every.error(f"expected at most {limit:g} s ({why}), got {seconds:g} s")
        longest = float(deadline.value) if deadline else min(plain.deadline, seconds)
        if longest > seconds and deadline is not None:
            raise deadline.error(f"{longest:g} s is longer than every {seconds:g} s")
        for key, setting in (("every", every), ("deadline", deadline)):
            if setting is not None:
                self._note(f"source.{plain.id}.{key}", f"{float(setting.value):g} s", setting.origin)
        return seconds, longest


def _stack_file(ident: str, settings: Settings) -> tuple[Described, str]:
    """The stack's own file: built in, or the one that ``file`` names. Raises ConfigError."""
    named = settings[("stack", ident)]
    setting = settings.get(("stack", ident, "file"))
    ours = built_in()
    if setting is None:
        if ident not in ours:
            known: Iterable[str] = ours
            raise named.error(
                f"there is no built-in stack {ident!r}; expected {', '.join(known)}, or file = …"
            )
        return describe(ours[ident]), "built in"
    if ident in ours:
        raise setting.error(f"{ident!r} is built in and cannot be replaced; give your stack another id")
    described = describe(setting.path())
    if described.spec.stack.id != ident:
        place: Place = ("stack", "id")
        raise described.file.error(place, f"expected {ident!r}, the name it has in {setting.origin}")
    return described, setting.origin
