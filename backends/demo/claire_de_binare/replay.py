"""What stands for the project's ``tools.replay.replay``: it is copied into the checkout and run there.

Entries of a stream between two ids, oldest first, one JSON object a line: keys sorted, the separators of
``json``, the stream's texts as numbers where the tool makes them numbers. An empty range is exit 0 without a
file; a missing stream, a count below 1 and a server that does not let it in are exit 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, Protocol

_TEXTS = ("type", "order_id", "status", "symbol", "side")
_OPTIONAL = ("strategy_id", "bot_id", "client_id", "error_message")


class _Wire(Protocol):
    """Both ways of one connection."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self) -> bytes: ...
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class RefusedError(Exception):
    """Redis said no."""


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--stream", default=os.environ.get("CDB_REPLAY_STREAM", "stream.fills"))
    given.add_argument("--from-id", default="-")
    given.add_argument("--to-id", default="+")
    given.add_argument("--count", type=int, default=10)
    given.add_argument("--out", type=Path)
    given.add_argument("--verify-hash", action="store_true")
    asked = given.parse_args()
    if asked.count < 1:
        return _say("count must be at least 1", 1)
    host, port = os.environ.get("REDIS_HOST", "localhost"), int(os.environ.get("REDIS_PORT", "6379"))
    try:
        with socket.create_connection((host, port), 5) as link, link.makefile("rwb") as wire:
            if password := os.environ.get("REDIS_PASSWORD"):
                _ask(wire, "AUTH", password)
            if not _ask(wire, "EXISTS", asked.stream):
                return _say(f"Stream '{asked.stream}' does not exist", 1)
            entries = _ask(
                wire, "XRANGE", asked.stream, asked.from_id, asked.to_id, "COUNT", str(asked.count)
            )
    except (OSError, RefusedError):
        return _say("Could not connect to Redis", 1)
    if not entries:
        return _say("no entries", 0)
    lines = "".join(
        json.dumps(_event(*entry), sort_keys=True, ensure_ascii=False) + "\n" for entry in entries
    )
    if asked.out is None:
        sys.stdout.write(lines)
        return 0
    asked.out.write_text(lines, encoding="utf-8", newline="\n")
    told = f"{len(entries)} events in {asked.out}"
    if asked.verify_hash:
        told += f"\nSHA256: {hashlib.sha256(asked.out.read_bytes()).hexdigest()}"
    return _say(told, 0)


def _say(text: str, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


def _event(ident: str, flat: list[str]) -> dict[str, Any]:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    event: dict[str, Any] = {name: fields.get(name, "") for name in _TEXTS} | {"stream_id": ident}
    event["type"] = event["type"] or "unknown"
    for name in ("quantity", "filled_quantity"):
        event[name] = _number(fields.get(name))
    event["timestamp"] = int(_number(fields.get("timestamp")))
    if "price" in fields:
        event["price"] = _number(fields["price"])
    return event | {name: fields[name] for name in _OPTIONAL if name in fields}


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _ask(wire: _Wire, *words: str) -> Any:
    wire.write(f"*{len(words)}\r\n".encode())
    for word in words:
        wire.write(b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()))
    wire.flush()
    return _reply(wire)


def _reply(wire: _Wire) -> Any:
    kind, _, rest = wire.readline().decode().rstrip("\r\n").partition(" ")
    sign, first = kind[:1], kind[1:]
    if sign == "-":
        raise RefusedError(f"{first} {rest}")
    if sign == "$":
        return wire.read(int(first) + 2)[:-2].decode()
    if sign == "*":
        return [_reply(wire) for _ in range(int(first))]
    return int(first) if sign == ":" else first


if __name__ == "__main__":
    sys.exit(main())
