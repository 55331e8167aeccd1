"""Docker: the demo's engine with every container the stacks expect, and its answers spoiled on their way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from backends.demo.dockerd.api import engine_app
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.log_store import LogStore
from backends.demo.dockerd.spec import Check, ContainerSpec, Idle, Load, Mount
from backends.demo.port import Asgi, HttpPort
from backends.model.fact import Fact, ValueType
from backends.model.query import DockerQuery
from backends.model.stack import ServiceSpec, SourceKind
from backends.readers import docker_client
from tests.contract.fault_table.network import answering, transport
from tests.contract.fault_table.subject import Subject, of_the_stacks
from tests.contract.fault_table.trial import (
    FAILED,
    IMPATIENCE,
    MISSING,
    PATIENCE,
    Door,
    Excepted,
    Ground,
    Stage,
    Staged,
    Trial,
    reading,
)
from tests.contract.fault_table.web import said
from tests.contract.http_server import HANG, Answer

_VERSION = {"/version": said({"ApiVersion": "1.41"})}
_LIST = "/containers/json"

Spoil = Callable[[str, Any], Any]
"""Another answer in the place of the one at a path."""


def _engine() -> Engine:
    specs = {
        spec.match[0]: ContainerSpec(
            spec.match[0], spec.match[0], "image:1", "sleep", Load(1.0, 4096), Idle(), Check(("CMD", "true")),
            project="cr", environment=("MODE=paper",), ports=(("127.0.0.1", 1, 2),), log=LogStore(),
            labels={"MODE": "paper"}, mounts=(Mount("/kept", "kept"),),
        )
        for spec in of_the_stacks(SourceKind.DOCKER, True)
        if isinstance(spec, ServiceSpec)
    }  # fmt: skip
    return Engine(list(specs.values()), 60.0, 7)


def _spoiled(app: Asgi, spoil: Spoil) -> Asgi:
    async def spoiled(scope: Any, receive: Any, send: Any) -> None:
        sent: list[Any] = []

        async def keep(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, keep)
        start, body = sent[0], b"".join(each.get("body", b"") for each in sent[1:])
        path = scope["path"].removeprefix("/v1.41")
        if path in ("/tasks", "/nodes", "/services"):
            start, body = {**start, "status": 200}, json.dumps([{"ID": "1"}]).encode()
        if path != "/version" and start["status"] == 200:
            is_log = path.endswith("/logs")
            body = b"no log of any engine\n" if is_log else json.dumps(spoil(path, json.loads(body))).encode()
        length = [(b"content-length", str(len(body)).encode())]
        headers = [each for each in start["headers"] if each[0] != b"content-length"]
        await send({**start, "headers": headers + length})
        await send({"type": "http.response.body", "body": body})

    return spoiled


def _facade(spoil: Spoil | None, *, is_empty: bool = False) -> Stage:
    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], _ground: Ground) -> AsyncIterator[Staged]:
        engine = Engine([], 60.0, 7) if is_empty else _engine()
        app = engine_app(engine)
        port = HttpPort(_spoiled(app, spoil) if spoil else app)
        await engine.boot(list(engine.containers))
        await port.open()
        try:
            async with reading(SourceKind.DOCKER, port.url.replace("http:", "tcp:"), subjects) as staged:
                yield staged
        finally:
            await port.close()
            await engine.close()

    return stage


def _other(value: Any) -> Any:
    """Something of another type."""
    if isinstance(value, (dict, bool)) or value is None:
        return [1]
    if isinstance(value, list):
        return {}
    return 7 if isinstance(value, str) else "seven"


def _shallow(answer: Any, but: Sequence[str] = ()) -> Any:
    """Each member of it, or of its entries, is of another type."""
    if isinstance(answer, list):
        return [_shallow(each, but) for each in answer]
    return {name: value if name in but else _other(value) for name, value in answer.items()}


def _deep(answer: Any) -> Any:
    """Its shape is right, and every single value of another type."""
    if isinstance(answer, list):
        return [_deep(each) for each in answer]
    if isinstance(answer, dict):
        return {name: _deep(value) for name, value in answer.items()}
    return _other(answer)


def _listed(spoil: Callable[[Any], Any], *right: str) -> Spoil:
    """The list of containers is right in these members, all else is spoiled."""

    def made(path: str, answer: Any) -> Any:
        return _shallow(answer, right) if path == _LIST else spoil(answer)

    return made


@asynccontextmanager
async def _small(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
    """An engine each of whose answers is longer than is read: the limit is made small, which costs less."""
    ground.request.getfixturevalue("monkeypatch").setattr(docker_client, "ANSWER_LIMIT", 4096)
    stage = answering(SourceKind.DOCKER, Answer(200, b"[" + b" " * 5000 + b"]"), _VERSION)
    async with stage(subjects, ground) as staged:
        yield staged


def _always(answer: Any) -> Stage:
    return answering(SourceKind.DOCKER, answer if isinstance(answer, Answer) else said(answer), _VERSION)


def _asks(*what: str) -> Callable[[Fact], bool]:
    return lambda fact: isinstance(fact.query, DockerQuery) and fact.query.what in what


_CELLS = {
    "a table shows what its cells say": lambda fact: _asks("info")(fact) and fact.type is ValueType.TABLE
}


def _spoilt(spoil: Spoil, but: Excepted | None = None) -> Trial:
    return Trial(_facade(spoil), but=but or {})


def _members(_path: str, answer: Any) -> Any:
    return _shallow(answer)


def _values(_path: str, answer: Any) -> Any:
    return _deep(answer)


_NAMES_ALONE = _listed(lambda _: {}, "Id", "Names")
_OF_BOTH = transport(SourceKind.DOCKER) | {
    "wrong type": {
        **{f"always {what!r}": Trial(_always(what)) for what in ({}, "text", 7, None, [[]], [{}], [None])},
        "always refused": Trial(_always(Answer(500, b'{"message": "cannot"}'))),
    },
    "huge": {"more than it may": Trial(_small)},
}
_OF_BOTH["hang"]["but for its version"] = Trial(
    answering(SourceKind.DOCKER, Answer(HANG), _VERSION, IMPATIENCE), deadline=PATIENCE
)
_NONE = {
    "a search that finds none says so": _asks("containers", "volumes", "networks", "images"),
    "the engine tells of itself": _asks("info", "df"),
}

FACTS = Door(
    SourceKind.DOCKER,
    _OF_BOTH
    | {
        "wrong type": _OF_BOTH["wrong type"]
        | {
            "other members": _spoilt(_members, _CELLS),
            "other values": _spoilt(_values, _CELLS),
            "only the names are right": _spoilt(_NAMES_ALONE),
            "other values of each container": _spoilt(_listed(_deep, "Id", "Names", "State"), _CELLS),
        },
        "missing": {"no container": Trial(_facade(None, is_empty=True), MISSING | FAILED, but=_NONE)},
    },
)

SERVICES = Door(
    SourceKind.DOCKER,
    _OF_BOTH
    | {
        "wrong type": _OF_BOTH["wrong type"]
        | {
            "other members": _spoilt(_members),
            "other values": _spoilt(_values),
            "only the names are right": _spoilt(_NAMES_ALONE),
        },
        "missing": {"no container": Trial(_facade(None, is_empty=True), MISSING)},
    },
    of_services=True,
)

_SWARM = (
    ServiceSpec("shop", ("shop",), "a part", "s"),
    ServiceSpec("till", ("till",), "a part", "s"),
)


def _manager(services: Any, tasks: Any = ()) -> Stage:
    answers = _VERSION | {"/v1.41/services": said(services), "/v1.41/tasks": said(tasks)}
    return answering(SourceKind.SWARM, Answer(404, b"{}"), answers)


def _shop(**more: Any) -> Any:
    spec = {"TaskTemplate": {"ContainerSpec": {"Image": "shop:1"}}}
    told = {"ID": "1", "ServiceStatus": {"RunningTasks": 1, "DesiredTasks": 1}, "Spec": spec} | more
    return [told | {"Spec": told["Spec"] | {"Name": name}} for name in ("shop", "till")]


SWARM = Door(
    SourceKind.SWARM,
    transport(SourceKind.SWARM)
    | {
        "wrong type": {
            **{f"services {what!r}": Trial(_manager(what)) for what in ({}, "text", 7, None, [[]], [{}])},
            **{
                f"tasks {what!r}": Trial(_manager(_shop(), what))
                for what in ({}, "text", 7, None, [[]], [{}])
            },
            **{
                f"status {what!r}": Trial(_manager(_shop(ServiceStatus=what)))
                for what in ("text", 7, [1], None, {}, {"RunningTasks": "one"}, {"RunningTasks": 1})
            },
        },
        "huge": {"more than it may": Trial(_small)},
        "missing": {"no service": Trial(_manager([]), MISSING)},
    },
    of_services=True,
    own=_SWARM,
)
