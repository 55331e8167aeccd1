"""The journal's anchor as ``[room.anchor]`` configures it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from backends.model.anchor import AnchorKind, AnchorPlace
from backends.settings import Setting, Settings
from backends.stacks.address import Address, AddressError, take_apart

_NAMES: Final = {
    AnchorKind.REDIS: "controlroom:journal",
    AnchorKind.POSTGRES: "controlroom_journal",
    AnchorKind.SYSLOG: "controlroom",
}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]{0,62}")
_LOCAL: Final = "unix:///dev/log"


def anchor_place(settings: Settings, env: Mapping[str, str]) -> tuple[AnchorPlace | None, set[str]]:
    """The place, if one is configured, and the variables that hold its secrets. Raises ConfigError."""
    chosen = settings.get(("room", "anchor", "kind"))
    if chosen is None:
        return None, set()
    kind = AnchorKind(chosen.value)
    names: set[str] = set()
    url = settings.get(("room", "anchor", "url"))
    if url is None and kind is not AnchorKind.SYSLOG:
        raise chosen.error(f"a {kind.value} anchor needs url, url_env or url_file")
    address = Address(_LOCAL, None, None) if url is None else _address(kind, url, env, names)
    password = settings.get(("room", "anchor", "password"))
    if password is not None and address.password is not None:
        raise password.error("the address holds a password too; expected one of them")
    secret = address.password
    if password is not None:
        found = password.credential(env)
        names.update(found.names)
        secret = found.value
    name, user = (settings.get(("room", "anchor", key)) for key in ("name", "username"))
    if name is not None and not _NAME.fullmatch(str(name.value)):
        raise name.error("expected up to 63 letters, digits and _ : . - that begin with a letter or _")
    return AnchorPlace(
        kind,
        address.url,
        _NAMES[kind] if name is None else str(name.value),
        address.username if user is None else str(user.value),
        secret,
    ), names


def _address(kind: AnchorKind, url: Setting, env: Mapping[str, str], names: set[str]) -> Address:
    text = str(url.value)
    if url.key != "url":
        found = url.credential(env)
        names.update(found.names)
        text = found.value.reveal()
    try:
        address = take_apart(kind.value, text)
    except AddressError as error:
        raise url.error(str(error)) from None
    if url.key == "url" and address.password is not None:
        raise url.error("an address in a file holds no password; use password_env or password_file")
    return address
