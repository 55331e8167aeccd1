"""Who listens on which TCP port of this host."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from backends.process_table import ProcessTable

_TITLE: Final = "sl"
"""The first word of the list, above the sockets."""
_LISTENS: Final = "0A"
_LAST: Final = 65_535
HIDDEN: Final = "a process of another user"


def listeners(table: ProcessTable) -> list[dict[str, Any]]:
    """Address, port and process of every socket that listens, by port. Raises OSError without ``/proc``,
    ValueError and IndexError for one that tells something else.

    Whose sockets are of another user cannot be told without being root.
    """
    rows = [row for name in ("tcp", "tcp6") for row in _sockets(table.root / "net" / name)]
    owners = _owners(table, {inode for *_, inode in rows})
    found = [
        {"port": port, "address": address, "process": owners.get(inode, HIDDEN)}
        for address, port, inode in rows
    ]
    return sorted(found, key=lambda row: (row["port"], row["address"]))


def _sockets(path: Path) -> Iterator[tuple[str, int, str]]:
    if path.name == "tcp6" and not path.exists():
        return
    first, *lines = path.read_text().splitlines()
    if first.split()[:1] != [_TITLE]:
        raise ValueError(first)
    for line in lines:
        words = line.split()
        if words[3] == _LISTENS:
            address, _, digits = words[1].partition(":")
            if (port := int(digits, 16)) > _LAST:
                raise ValueError(digits)
            yield _address(address), port, words[9]


def _address(digits: str) -> str:
    """Each group of four bytes is written in the machine's own order: reversed on all that run this."""
    raw = bytes.fromhex(digits)
    turned = b"".join(raw[first : first + 4][::-1] for first in range(0, len(raw), 4))
    return str(ipaddress.ip_address(turned))


def _owners(table: ProcessTable, inodes: set[str]) -> dict[str, str]:
    """Process by the number of its socket, of those that may be looked into."""
    owners: dict[str, str] = {}
    for folder in table.root.iterdir():
        if not folder.name.isdecimal():
            continue
        held = {link[8:-1] for link in _links(folder / "fd") if link.startswith("socket:[")} & inodes
        process = table.at(int(folder.name)) if held else None
        if process is not None:
            name = Path(process.argv[0]).name or "?"
            owners |= dict.fromkeys(held, f"{name} ({process.pid})")
    return owners


def _links(folder: Path) -> Iterator[str]:
    """Where the files lead that are open, as far as one may look."""
    try:
        for each in folder.iterdir():
            with suppress(OSError):  # closed meanwhile
                yield str(each.readlink())
    except OSError:
        return
