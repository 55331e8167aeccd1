"""The engine's event stream: what happened to containers, kept for a while and told to listeners."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from backends.demo.dockerd.spec import ContainerSpec
from backends.demo.dockerd.stamps import SECOND

KEPT: Final = 256

Filters = Mapping[str, Sequence[str]]


class Events:
    def __init__(self) -> None:
        self._past: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    def tell(self, spec: ContainerSpec, action: str, **attributes: str) -> None:
        """Something happened to a container."""
        now = time.time_ns()
        event = {
            "status": action,
            "id": spec.id,
            "from": spec.image,
            "Type": "container",
            "Action": action,
            "Actor": {
                "ID": spec.id,
                "Attributes": {**spec.all_labels(), "image": spec.image, "name": spec.name, **attributes},
            },
            "scope": "local",
            "time": now // SECOND,
            "timeNano": now,
        }
        self._past.append(event)
        for queue in self._listeners:
            queue.put_nowait(event)

    async def stream(self, filters: Filters, since: int | None, until: int | None) -> AsyncIterator[bytes]:
        """Events as lines of JSON: the remembered ones after ``since``, then new ones up to ``until``.

        Both are nanoseconds since the epoch; without ``until`` it never ends.
        """
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield b""
            for event in list(self._past) if since is not None else []:
                if since <= event["timeNano"] <= (until or event["timeNano"]) and _fits(event, filters):
                    yield _line(event)
            while until is None or time.time_ns() < until:
                left = None if until is None else (until - time.time_ns()) / SECOND
                try:
                    event = await asyncio.wait_for(queue.get(), left)
                except TimeoutError:
                    return
                if _fits(event, filters):
                    yield _line(event)
        finally:
            self._listeners.discard(queue)


def _line(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _fits(event: Mapping[str, Any], filters: Filters) -> bool:
    return all(any(_is(event, name, word) for word in words) for name, words in filters.items() if words)


def _is(event: Mapping[str, Any], name: str, word: str) -> bool:
    attributes = event["Actor"]["Attributes"]
    if name == "event":
        # ``health_status`` and ``exec_create`` stand for every event that goes on after a colon.
        action = event["Action"]
        return bool(action == word or action.partition(":")[0] == word)
    if name == "type":
        return bool(event["Type"] == word)
    if name == "container":
        return bool(word in (event["id"], attributes["name"]) or event["id"].startswith(word))
    if name == "image":
        return word in (event["from"], event["from"].partition(":")[0])
    if name == "label":
        return has_label(attributes, word)
    return name == "scope" and bool(event["scope"] == word)


def has_label(labels: Mapping[str, str], word: str) -> bool:
    """Whether ``name`` or ``name=value`` is among the labels."""
    name, equals, value = word.partition("=")
    return name in labels and (not equals or labels[name] == value)


KNOWN_FILTERS: Final = frozenset(
    ("config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope",
     "secret", "service", "type", "volume")
)  # fmt: skip


def words(filters: object, known: frozenset[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Docker's two ways of writing filters, as one. Raises ValueError with Docker's words."""
    if not isinstance(filters, dict):
        raise ValueError("invalid filter")
    for name, values in filters.items():
        if name not in known:
            raise ValueError(f"Invalid filter '{name}'")
        listed = [word for word, is_on in values.items() if is_on] if isinstance(values, dict) else values
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise ValueError("invalid filter")
        yield name, tuple(listed)
