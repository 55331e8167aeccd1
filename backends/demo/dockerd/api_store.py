"""The engine's HTTP face for what it keeps: disk use, images, volumes, networks, processes and programs run
inside containers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backends.demo.dockerd.container import ConflictError, Container
from backends.demo.dockerd.engine import Engine
from backends.demo.dockerd.events import words
from backends.demo.dockerd.log_store import STDERR, STDOUT
from backends.demo.dockerd.spec import Executed, digest
from backends.demo.dockerd.stamps import SECOND, trimmed
from backends.demo.dockerd.store import Network

_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this '
    "node to swarm and try again."
)


def store_routes(engine: Engine) -> Sequence[Route]:
    """Routes to be tried before those with ``{id}/{verb}``."""
    store = _StoreApi(engine)
    exec_api = _ExecApi(engine)
    return [
        Route("/system/df", store.df),
        Route("/volumes", store.volumes),
        Route("/networks", store.networks),
        Route("/networks/{name}", store.network),
        Route("/networks/{name}/{verb}", store.join, methods=["POST"]),
        Route("/images/json", store.images),
        Route("/images/{name:path}/tag", store.tag, methods=["POST"]),
        Route("/images/{name:path}", store.untag, methods=["DELETE"]),
        Route("/containers/{id}/top", store.top),
        Route("/containers/{id}/archive", store.archive),
        Route("/containers/{id}/archive", store.unpack, methods=["PUT"]),
        Route("/containers/{id}", store.remove, methods=["DELETE"]),
        Route("/tasks", _no_swarm),
        Route("/nodes", _no_swarm),
        Route("/services", _no_swarm),
        Route("/containers/{id}/exec", exec_api.create, methods=["POST"]),
        Route("/exec/{id}/start", exec_api.start, methods=["POST"]),
        Route("/exec/{id}/json", exec_api.inspect),
    ]


async def _no_swarm(_request: Request) -> Response:
    return JSONResponse({"message": _NO_SWARM}, 503)


class _StoreApi:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store

    async def df(self, _request: Request) -> Response:
        images = [self._image(each.id) for each in self._store.images.values()]
        volumes = [
            {**self._volume(name), "UsageData": {"Size": volume.size, "RefCount": 1}}
            for name, volume in self._store.volumes.items()
        ]
        containers = [
            {"Id": each.spec.id, "Names": [f"/{each.spec.name}"], "SizeRw": 4096}
            for each in self._engine.containers.values()
        ]
        layers = sum(each["Size"] for each in images)
        return JSONResponse(
            {"LayersSize": layers, "Images": images, "Containers": containers, "Volumes": volumes,
             "BuildCache": []}
        )  # fmt: skip

    async def volumes(self, _request: Request) -> Response:
        return JSONResponse(
            {"Volumes": [self._volume(name) for name in self._store.volumes], "Warnings": None}
        )

    async def networks(self, request: Request) -> Response:
        wanted = words(json.loads(request.query_params.get("filters") or "{}"), frozenset(("label", "name")))
        labels = dict(wanted).get("label", ())
        found = [
            each
            for each in self._store.networks.values()
            if all(label in {f"{key}={value}" for key, value in each.labels.items()} for label in labels)
        ]
        return JSONResponse([self._network(each) for each in found])

    async def network(self, request: Request) -> Response:
        network = self._find(request)
        if network is None:
            return _gone(f"network {request.path_params['name']} not found")
        members = {
            each.spec.id: {"Name": each.spec.name, "IPv4Address": f"{each.networks[network.name]}/16"}
            for each in self._engine.containers.values()
            if network.name in each.networks and each.is_running
        }
        return JSONResponse({**self._network(network), "Containers": members})

    async def join(self, request: Request) -> Response:
        network = self._find(request)
        if network is None:
            return _gone(f"network {request.path_params['name']} not found")
        container = self._engine.find(str((await request.json())["Container"]))
        is_in = network.name in container.networks
        match request.path_params["verb"]:
            case "connect" if not is_in:
                container.networks[network.name] = network.address()
            case "connect":
                return JSONResponse(
                    {"message": f"endpoint with name {container.spec.name} already exists in network "
                     f"{network.name}"}, 403
                )  # fmt: skip
            case "disconnect" if is_in:
                del container.networks[network.name]
            case "disconnect":
                why = f"container {container.spec.id} is not connected to network {network.name}"
                return JSONResponse({"message": why}, 500)
        self._engine.on_networks(container)
        return Response(status_code=200)

    async def images(self, _request: Request) -> Response:
        return JSONResponse([self._image(ident) for ident in self._store.images])

    async def tag(self, request: Request) -> Response:
        image = self._store.image(unquote(request.path_params["name"]))
        if image is None:
            return _gone(f"No such image: {request.path_params['name']}")
        query = request.query_params
        self._store.add_image(
            image.id, f"{query['repo']}:{query.get('tag', 'latest')}", image.labels, image.size
        )
        return Response(status_code=201)

    async def untag(self, request: Request) -> Response:
        used = {each.spec.image_id for each in self._engine.containers.values()}
        try:
            return JSONResponse(self._store.untag(unquote(request.path_params["name"]), used))
        except LookupError as error:
            return _gone(str(error))

    async def top(self, request: Request) -> Response:
        container = self._engine.find(request.path_params["id"])
        if container.state != "running":
            raise ConflictError(f"Container {container.spec.id} is not running")
        names = container.spec.processes or (container.spec.command.split()[0].rpartition("/")[2],)
        cpu = container.spec.load.cpu / len(names)
        rows = [
            [str(container.pid + at), "root", f"{cpu:.1f}", str(container.spec.load.memory // 1024), name]
            for at, name in enumerate(names)
        ]
        return JSONResponse({"Titles": ["PID", "USER", "%CPU", "RSS", "COMMAND"], "Processes": rows})

    async def archive(self, request: Request) -> Response:
        container = self._engine.find(request.path_params["id"])
        path = request.query_params["path"]
        found = container.spec.archive(path)
        if found is None:
            return _gone(f"Could not find the file {path} in container {container.spec.id}")
        return Response(found, media_type="application/x-tar")

    async def unpack(self, request: Request) -> Response:
        container = self._engine.find(request.path_params["id"])
        path = request.query_params["path"]
        if not container.spec.unpack(path, await request.body()):
            return _gone(f"Could not find the file {path} in container {container.spec.id}")
        return Response()

    async def remove(self, request: Request) -> Response:
        self._engine.remove(self._engine.find(request.path_params["id"]))
        return Response(status_code=204)

    def _find(self, request: Request) -> Network | None:
        name = request.path_params["name"]
        return next((each for each in self._store.networks.values() if name in (each.name, each.id)), None)

    def _image(self, ident: str) -> dict[str, Any]:
        image = self._store.images[ident]
        return {
            "Id": ident, "RepoTags": list(image.tags) or None, "RepoDigests": None, "ParentId": "",
            "Created": self._store.created // SECOND, "Size": image.size, "SharedSize": -1,
            "Labels": dict(image.labels) or None, "Containers": -1,
        }  # fmt: skip

    def _volume(self, name: str) -> dict[str, Any]:
        return {
            "Name": name, "Driver": "local", "Scope": "local", "Options": None,
            "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
            "CreatedAt": trimmed(self._store.created), "Labels": dict(self._store.volumes[name].labels),
        }  # fmt: skip

    def _network(self, network: Network) -> dict[str, Any]:
        return {
            "Name": network.name, "Id": network.id, "Driver": "bridge", "Scope": "local",
            "Created": trimmed(self._store.created), "Internal": network.is_internal, "Attachable": False,
            "Ingress": False, "EnableIPv6": False, "Labels": dict(network.labels), "Options": {},
            "Containers": {},
        }  # fmt: skip


class _ExecApi:
    """Programs run inside containers: made, started once, asked how they ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._made: dict[str, tuple[Container, tuple[str, ...]]] = {}
        self._ended: dict[str, Executed] = {}

    async def create(self, request: Request) -> Response:
        container = self._engine.find(request.path_params["id"])
        if container.state != "running":
            raise ConflictError(f"Container {container.spec.id} is not running")
        argv = tuple(map(str, (await request.json())["Cmd"]))
        if not argv:
            raise ValueError("No exec command specified")
        ident = digest(f"exec {len(self._made)} {argv}")
        self._made[ident] = (container, argv)
        return JSONResponse({"Id": ident}, 201)

    async def start(self, request: Request) -> Response:
        ident = request.path_params["id"]
        if ident not in self._made:
            return _gone(f"No such exec instance: {ident}")
        container, argv = self._made[ident]
        ended = await container.spec.execute(argv)
        self._ended[ident] = ended
        body = _frames(STDOUT, ended.out) + _frames(STDERR, ended.err)
        return Response(body, media_type="application/vnd.docker.multiplexed-stream")

    async def inspect(self, request: Request) -> Response:
        ident = request.path_params["id"]
        if ident not in self._made:
            return _gone(f"No such exec instance: {ident}")
        ended = self._ended.get(ident)
        code = None if ended is None else ended.code
        return JSONResponse({"ID": ident, "Running": ended is None, "ExitCode": code})


def _frames(stream: int, text: bytes) -> bytes:
    size = 32 * 1024
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return b"".join(bytes((stream, 0, 0, 0)) + len(part).to_bytes(4, "big") + part for part in parts)


def _gone(why: str) -> Response:
    return JSONResponse({"message": why}, 404)
