"""The engine's HTTP face: paths, parameters, status codes and error bodies of Docker Engine API 1.41."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backends.demo.dockerd.api_store import store_routes
from backends.demo.dockerd.container import ConflictError, Container, UnexpectedError
from backends.demo.dockerd.engine import Engine, NoSuchContainerError
from backends.demo.dockerd.events import KNOWN_FILTERS, has_label, words
from backends.demo.dockerd.meter import CPUS, MEMORY
from backends.demo.dockerd.stamps import parse, trimmed
from backends.demo.dockerd.streams import Stream, log_frames, stats_lines
from backends.demo.dockerd.views import inspected, listed
from backends.demo.port import Asgi

API: Final = "1.41"
OLDEST: Final = "1.12"
VERSION: Final = "20.10.24"
KERNEL: Final = "6.1.0-demo"

_ABOUT: Final = (
    (b"api-version", API.encode()),
    (b"docker-experimental", b"false"),
    (b"ostype", b"linux"),
    (b"server", f"Docker/{VERSION} (linux)".encode()),
)
_LIST_FILTERS: Final = frozenset(
    ("ancestor", "before", "expose", "exited", "health", "id", "is-task", "isolation", "label", "name",
     "network", "publish", "since", "status", "volume")
)  # fmt: skip
_VERSIONED: Final = re.compile(r"^/v(\d+\.\d+)(/.*)$")


def engine_app(engine: Engine) -> Asgi:
    """The application to be served on a unix socket, with and without ``/v1.41`` before the path."""
    api = _Api(engine)
    routes = [
        Route("/_ping", api.ping, methods=["GET", "HEAD"]),
        Route("/version", api.version),
        Route("/info", api.info),
        Route("/events", api.events),
        Route("/containers/json", api.list),
        Route("/containers/{id}/json", api.inspect),
        Route("/containers/{id}/stats", api.stats),
        Route("/containers/{id}/logs", api.logs),
        *store_routes(engine),
        Route("/containers/{id}/{verb}", api.act, methods=["POST"]),
    ]
    handlers: Mapping[Any, Any] = {
        HTTPException: _no_page,
        NoSuchContainerError: _error(404),
        ConflictError: _error(409),
        ValueError: _error(400),
        UnexpectedError: _error(500),
    }
    inner = Starlette(routes=routes, exception_handlers=handlers)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (found := _VERSIONED.match(scope["path"])):
            if why := _objection(found[1]):
                await JSONResponse({"message": why}, 400)(scope, receive, send)
                return
            scope = {**scope, "path": found[2], "raw_path": found[2].encode()}

        async def signed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_ABOUT]
            await send(message)

        await inner(scope, receive, signed)

    return app


class _Api:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ping(self, request: Request) -> Response:
        headers = {"Pragma": "no-cache", "Cache-Control": "no-cache, no-store, must-revalidate"}
        return PlainTextResponse("" if request.method == "HEAD" else "OK", headers=headers)

    async def version(self, _request: Request) -> Response:
        about = {"ApiVersion": API, "Arch": "amd64", "BuildTime": "2024-01-01T00:00:00.000000000+00:00",
                 "Experimental": "false", "GitCommit": "0000000", "GoVersion": "go1.19.8",
                 "KernelVersion": KERNEL, "MinAPIVersion": OLDEST, "Os": "linux"}  # fmt: skip
        component = {"Name": "Engine", "Version": VERSION, "Details": about}
        return JSONResponse(
            {"Platform": {"Name": "Docker Engine - simulated"}, "Components": [component], "Version": VERSION,
             "ApiVersion": API, "MinAPIVersion": OLDEST, "GitCommit": "0000000", "GoVersion": "go1.19.8",
             "Os": "linux", "Arch": "amd64", "KernelVersion": KERNEL, "BuildTime": about["BuildTime"]}
        )  # fmt: skip

    async def info(self, _request: Request) -> Response:
        states = [one.state for one in self._engine.containers.values()]
        running = sum(state in ("running", "restarting") for state in states)
        paused = states.count("paused")
        return JSONResponse(
            {"ID": "DEMO", "Name": "demo", "ServerVersion": VERSION, "Containers": len(states),
             "ContainersRunning": running, "ContainersPaused": paused,
             "ContainersStopped": len(states) - running - paused, "Images": len(self._engine.store.images),
             "Driver": "overlay2", "LoggingDriver": "json-file", "CgroupDriver": "systemd",
             "CgroupVersion": "2", "NCPU": CPUS, "MemTotal": MEMORY, "OSType": "linux",
             "OperatingSystem": "Control Room demo", "Architecture": "x86_64", "KernelVersion": KERNEL,
             "DockerRootDir": "/var/lib/docker", "SystemTime": trimmed(time.time_ns()),
             "LiveRestoreEnabled": False, "Warnings": None}
        )  # fmt: skip

    async def list(self, request: Request) -> Response:
        query = request.query_params
        filters = _filters(request, _LIST_FILTERS)
        wants_all = _flag(query.get("all")) or "status" in filters or "exited" in filters
        found = [
            one
            for one in self._engine.containers.values()
            if (wants_all or one.is_running) and all(_fits(one, name, of) for name, of in filters.items())
        ]
        limit = _number(query.get("limit") or "0")
        return JSONResponse([listed(one) for one in (found[:limit] if limit > 0 else found)])

    async def inspect(self, request: Request) -> Response:
        return JSONResponse(inspected(self._find(request)))

    async def stats(self, request: Request) -> Response:
        query = request.query_params
        is_stream = _flag(query.get("stream", "1"))
        lines = stats_lines(
            self._find(request), is_stream=is_stream, is_one_shot=_flag(query.get("one-shot"))
        )
        return Stream(lines, "application/json")

    async def logs(self, request: Request) -> Response:
        query = request.query_params
        container = self._find(request)
        chosen = {number for number, name in ((1, "stdout"), (2, "stderr")) if _flag(query.get(name))}
        if not chosen:
            raise ValueError("Bad parameters: you must choose at least one stream")
        tail = query.get("tail", "all")
        frames = log_frames(
            container,
            streams=chosen,
            is_following=_flag(query.get("follow")),
            is_stamped=_flag(query.get("timestamps")),
            tail=int(tail) if tail.isdecimal() else None,
            since=_moment(query.get("since")),
            until=_moment(query.get("until")),
        )
        return Stream(frames)

    async def events(self, request: Request) -> Response:
        since, until = (_moment(request.query_params.get(name)) for name in ("since", "until"))
        stream = self._engine.events.stream(_filters(request, KNOWN_FILTERS), since, until)
        return Stream(stream, "application/json")

    async def act(self, request: Request) -> Response:
        container = self._find(request)
        is_changed = True
        is_patient = request.query_params.get("t") != "0"
        match request.path_params["verb"]:
            case "start":
                is_changed = await container.start()
            case "stop":
                is_changed = await container.stop(is_patient=is_patient)
            case "restart":
                await container.restart(is_patient=is_patient)
            case "kill":
                how = _signal(request.query_params.get("signal") or "SIGKILL")
                await container.kill(how, request.path_params["id"])
            case "pause":
                await container.pause()
            case "unpause":
                await container.unpause()
            case _:
                return JSONResponse({"message": "page not found"}, 404)
        return Response(status_code=204 if is_changed else 304)

    def _find(self, request: Request) -> Container:
        return self._engine.find(request.path_params["id"])


def _error(status: int) -> Any:
    async def answer(_request: Request, error: Exception) -> Response:
        return JSONResponse({"message": str(error)}, status)

    return answer


async def _no_page(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"message": "page not found"}, 404)


def _objection(version: str) -> str | None:
    asked = tuple(map(int, version.split(".")))
    if asked > tuple(map(int, API.split("."))):
        return f"client version {version} is too new. Maximum supported API version is {API}"
    if asked < tuple(map(int, OLDEST.split("."))):
        return (
            f"client version {version} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version"
        )
    return None


def _flag(text: str | None) -> bool:
    """Docker's reading of a flag."""
    return (text or "").strip().lower() not in ("", "0", "no", "false", "none")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UnexpectedError(f"strconv.Atoi: parsing {json.dumps(text)}: invalid syntax") from None


def _moment(text: str | None) -> int | None:
    return parse(text) if text and text != "0" else None


def _filters(request: Request, known: frozenset[str]) -> dict[str, tuple[str, ...]]:
    text = request.query_params.get("filters")
    try:
        filters = json.loads(text) if text else {}
    except ValueError:
        raise UnexpectedError(f"invalid character {str(text)[0]!r} looking for beginning of value") from None
    return dict(words(filters, known))


def _fits(container: Container, name: str, wanted: tuple[str, ...]) -> bool:
    spec = container.spec
    images = (spec.image, spec.image.partition(":")[0], spec.image_id)
    tests: Mapping[str, Callable[[str], object]] = {
        "name": lambda word: re.search(word.removeprefix("/"), spec.name),
        "id": spec.id.startswith,
        "status": lambda word: container.state == word,
        "health": lambda word: container.health == word,
        "exited": lambda word: container.state == "exited" and str(container.exit_code) == word,
        "ancestor": lambda word: word in images,
    }
    if name == "label":
        return all(has_label(spec.all_labels(), word) for word in wanted)
    return name not in tests or any(tests[name](word) for word in wanted)


def _signal(text: str) -> signal.Signals:
    if text.isdecimal():
        return signal.Signals(int(text))
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    try:
        return signal.Signals[name]
    except KeyError:
        raise ValueError(f"Invalid signal: {text}") from None
