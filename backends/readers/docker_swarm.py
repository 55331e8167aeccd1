"""Services of a Docker Swarm, as a manager tells of them: how many of the tasks that should run do run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from backends.model.clock import Clock, SystemClock
from backends.model.fact import SourceError
from backends.model.port import LogSink
from backends.model.safetext import NAME_LIMIT, SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import ServiceSpec, Source
from backends.readers.coerce import MisfitError, count_in, list_in
from backends.readers.docker_client import DockerClient, DockerRefusedError
from backends.readers.docker_container import time_of
from backends.readers.docker_follow import Streams
from backends.readers.docker_logs import LogFeed
from backends.readers.lane import Lane

_NO_MANAGER: Final = 503
"""Status of an engine that is no manager of a swarm."""


class SwarmServiceReader:
    """A ServiceReader over one manager: two requests a poll. Tasks of other nodes are known to it as well,
    and a service's log is that of all its tasks.
    """

    def __init__(
        self,
        source: Source,
        services: Sequence[ServiceSpec],
        logs: LogSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``logs`` takes the lines of the services that are followed; None follows no log."""
        self._source = source
        self._specs = tuple(services)
        self._logs = logs
        self._clock = clock or SystemClock()
        self._streams = Streams(source, logs, self._clock)
        self._feeds: dict[str, LogFeed] = {}
        self._lane = Lane("Docker")
        self._turn = asyncio.Lock()
        self._client: DockerClient | None = None

    async def services(self) -> Mapping[str, Service | None]:
        """As ``ServiceReader.services``; others of the swarm are not told of."""
        async with self._turn:
            if self._client is not None:
                await self._client.follow()
            return await self._lane.call(self._look, self._source.deadline)

    async def clock(self) -> float:
        """As ``ServiceReader.clock``: what the manager says of its host."""
        async with self._turn:
            said = await self._lane.call(lambda: self._get("/info"), self._source.deadline)
        wall = time_of(said.get("SystemTime"))
        if wall is None:
            raise SourceError("the manager does not tell its time")
        return wall

    async def close(self) -> None:
        await self._streams.close()
        if self._client is not None:
            await asyncio.to_thread(self._client.close)  # of a way over ssh the end is waited for

    def _look(self) -> Mapping[str, Service | None]:
        try:
            return self._understood()
        except (MisfitError, KeyError, TypeError, AttributeError, ValueError):
            raise SourceError("what the manager says of its services cannot be understood") from None

    def _understood(self) -> Mapping[str, Service | None]:
        names = [spec.match[0] for spec in self._specs]
        wanted = json.dumps({"name": names})
        services = list_in(self._get("/services", filters=wanted, status="true"))
        told = {it["Spec"]["Name"]: it for it in services}
        tasks: dict[str, list[Mapping[str, Any]]] = {}
        filters = json.dumps({"service": [name for name in names if name in told]})
        for task in list_in(self._get("/tasks", filters=filters)):
            tasks.setdefault(task["ServiceID"], []).append(task)
        if self._logs is not None:
            self._follow(self._logs, told)
        return {
            spec.name: _service(spec.name, it, tasks.get(it["ID"], []))
            if (it := told.get(spec.match[0])) is not None
            else None
            for spec in self._specs
        }

    def _follow(self, logs: LogSink, told: Mapping[str, Any]) -> None:
        feeds = {}
        for spec in self._specs:
            if spec.is_followed and (it := told.get(spec.match[0])) is not None:
                path = f"/services/{it['ID']}"
                feed = self._feeds.get(path) or LogFeed(path, spec.name, logs, self._clock)
                feed.set_run(it["ID"], is_running=True)
                feeds[path] = feed
        self._feeds = feeds
        self._streams.follow(feeds, None if self._client is None else self._client.place)

    def _get(self, path: str, **params: str) -> Any:
        try:
            self._client = self._client or DockerClient(self._source, self._source.deadline)
            return self._client.get(path, params)
        except DockerRefusedError as error:
            if error.status == _NO_MANAGER:
                raise SourceError("this engine is no manager of a swarm") from None
            raise
        except SourceError:
            if self._client is not None:
                self._client.close()
                self._client = None
            raise


def _service(name: str, told: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> Service:
    status = told["ServiceStatus"]
    running, wanted = count_in(status["RunningTasks"]), count_in(status["DesiredTasks"])
    newest = sorted(tasks, key=lambda task: str(task["Status"].get("Timestamp", "")), reverse=True)
    ended = [task for task in newest if task["Status"]["State"] in ("failed", "rejected")]
    started = [time_of(it["Status"].get("Timestamp")) for it in newest if it["Status"]["State"] == "running"]
    container = told["Spec"]["TaskTemplate"].get("ContainerSpec", {})
    image, _, digest = str(container.get("Image", "")).partition("@")
    return Service(
        name=name,
        runtime=Runtime.SWARM,
        ident=str(told["ID"]),
        title=SafeText(told["Spec"]["Name"], NAME_LIMIT),
        state=_state(running, wanted),
        health=_health(running, wanted, bool(container.get("Healthcheck"))),
        image=SafeText(image, NAME_LIMIT),
        digest=digest or None,
        restarts=len(ended),
        exit_code=_exit_code(ended[0]) if ended else None,
        started_wall=min((wall for wall in started if wall is not None), default=None),
        health_output=_words(running, wanted, ended),
    )


def _state(running: int, wanted: int) -> RunState:
    if running:
        return RunState.RUNNING
    return RunState.RESTARTING if wanted else RunState.EXITED


def _health(running: int, wanted: int, is_checked: bool) -> Health:
    """A task that fails its check is replaced by the swarm: all there means all well, if anything checks."""
    if running < wanted:
        return Health.UNHEALTHY
    return Health.HEALTHY if is_checked else Health.NO_CHECK


def _exit_code(task: Mapping[str, Any]) -> int | None:
    code = task["Status"].get("ContainerStatus", {}).get("ExitCode")
    return code if isinstance(code, int) else None


def _words(running: int, wanted: int, ended: Sequence[Mapping[str, Any]]) -> SafeText:
    text = f"{running} of {wanted} tasks run"
    if running < wanted and ended:
        text += f"; the last to end said: {ended[0]['Status'].get('Err', 'nothing')}"
    return SafeText(text, 300)
