"""What one poll asks of a Docker Engine: each answer is fetched once and shared by all facts about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic, time_ns
from typing import Any, Final
from urllib.parse import quote

from backends.model.fact import Raw, SourceError
from backends.model.query import DockerQuery
from backends.model.stamp import STAMP, to_ns, to_stamp
from backends.readers.coerce import MisfitError, list_in
from backends.readers.docker_client import DockerClient
from backends.readers.docker_frames import Frames, is_dated
from backends.readers.docker_run import GRACE, Part, Run, RunLogs
from backends.readers.docker_view import (
    PROJECT,
    all_of,
    container_rows,
    env_names,
    env_value,
    health_rows,
    image_rows,
    info_members,
    member_rows,
    mount_rows,
    network_named,
    network_rows,
    node_rows,
    port_rows,
    space,
    task_rows,
    top_rows,
    volume_rows,
)
from backends.readers.extract import Rows
from backends.readers.log_match import matching_lines

_FRAMED: Final = (b"\0", b"\1", b"\2", b"\3")
"""How a log begins that is in frames; one of a terminal begins with a time."""
_PIECE: Final = 16_384
"""Bytes of a line that the engine sends at once."""
_TOP: Final = "-eo pid,user,pcpu,rss,comm"
"""``comm`` is the program's name alone: a command line may hold a password."""


class Look:
    """The answers of one poll. Raises SourceError, DockerRefusedError, MisfitError, and what a malformed
    answer causes."""

    def __init__(
        self,
        client: DockerClient,
        names: Mapping[str, tuple[str, ...]],
        queries: Sequence[DockerQuery],
        runs: RunLogs,
        ends: float,
    ) -> None:
        """``names``: each service's container names in order. ``ends``: monotonic seconds, the deadline."""
        self._client = client
        self._names = names
        self._runs = runs
        self._ends = ends
        self._said: dict[tuple[str, str], Any] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        """Bytes of each log that was read."""
        # One fetch serves every fact about a service's log: that of the longest tail.
        self._tails = {
            service: max(query.tail for query in queries if query.what == "log" and query.service == service)
            for service in {query.service for query in queries if query.what == "log" and query.service}
        }

    def answer(self, query: DockerQuery) -> Raw:
        """What the engine says, for ``extract``; None where there is no such thing."""
        if query.what not in _ANSWERS:
            raise MisfitError(f"{query.what} is nothing Docker is asked here")
        return _ANSWERS[query.what](self, query)

    def get(self, path: str, **params: str) -> Any:
        """The JSON at ``path``, asked once."""
        key = (path, str(sorted(params.items())))
        if key not in self._said:
            self._said[key] = self._kept(lambda within: self._client.get(path, params, within))
        found = self._said[key]
        if isinstance(found, Exception):
            raise found
        return found

    def containers(self) -> list[Any]:
        """All there are, running or not."""
        found = self.get("/containers/json", all="1")
        return list_in(found)

    def entry(self, query: DockerQuery) -> Mapping[str, Any] | None:
        """The list's entry of the container of the service; None when there is none."""
        by_name = {
            name.removeprefix("/"): each for each in self.containers() for name in all_of(each["Names"])
        }
        names = self._names.get(query.service or "")
        if names is None:
            raise MisfitError(f"{query.service!r} is no service of this stack")
        return next((by_name[name] for name in names if name in by_name), None)

    def inspected(self, query: DockerQuery) -> Mapping[str, Any] | None:
        """The same container, inspected."""
        entry = self.entry(query)
        if entry is None:
            return None
        found = self.get(f"/containers/{entry['Id']}/json")
        return found if isinstance(found, dict) else None

    def project(self, query: DockerQuery) -> str | None:
        """The compose project of the service that the query names; None when it names none."""
        if query.service is None:
            return None
        entry = self.entry(query)
        found = (entry or {}).get("Labels", {}).get(PROJECT)
        if found is None:
            raise MisfitError(f"no container of {query.service} says its compose project")
        return str(found)

    def lines(self, query: DockerQuery) -> Rows | None:
        """Those of the last lines of the service's log that hold the pattern, oldest first."""
        entry = self.entry(query)
        if entry is None:
            return None
        since = b""
        if query.since_start:
            run = self._run(query, entry)
            if run is None:
                return None
            since = run.began
        kept = [line for line in self._newest(query, entry) if line[:STAMP] >= since]
        return matching_lines(query.pattern or "", kept[-query.tail :])

    def has_written(self, query: DockerQuery) -> bool | None:
        """Whether the run that goes on ever wrote a line with the pattern; None when none goes on."""
        entry = self.entry(query)
        run = None if entry is None else self._run(query, entry)
        if entry is None or run is None:
            return None
        tail = str(self._tails[query.service or ""])
        # What ends just before the run shows that nothing of the run is missing.
        ns = max(0, to_ns(run.began) - GRACE)
        since = f"{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"
        return self._runs.has_written(
            query,
            run,
            self._part(run, tail=tail),
            lambda: self._part(run, since=since),
            to_stamp(time_ns()),
        )

    def _part(self, run: Run, **which: str) -> Part:
        lines = self._log(run.ident, **which)
        of_run = [line for line in lines if line[:STAMP] >= run.began]
        # The pieces of a long line count as several of those that were asked for.
        pieces = len(lines) + self._sizes[run.ident, str(which)] // _PIECE
        return Part(of_run, "tail" not in which or pieces < int(which["tail"]), len(of_run) < len(lines))

    def _run(self, query: DockerQuery, entry: Mapping[str, Any]) -> Run | None:
        state = (self.inspected(query) or {})["State"]
        started = _stamp(str(state["StartedAt"]))
        return Run(str(entry["Id"]), _began(state), started) if state["Running"] else None

    def _newest(self, query: DockerQuery, entry: Mapping[str, Any]) -> list[bytes]:
        return self._log(str(entry["Id"]), tail=str(self._tails[query.service or ""]))

    def _log(self, ident: str, **which: str) -> list[bytes]:
        key = (f"/containers/{ident}/logs", str(which))
        if key not in self._said:
            params = {"stdout": "1", "stderr": "1", "timestamps": "1", **which}
            share = 1.0 if "tail" in which else 0.5  # other facts wait for theirs
            self._said[key] = self._kept(lambda within: self._client.read(key[0], params, within), share)
        found = self._said[key]
        if isinstance(found, Exception):
            raise found
        if not (found.startswith(_FRAMED) or is_dated(found)):
            raise MisfitError("its log is not as Docker writes it")
        self._sizes[ident, str(which)] = len(found)
        frames = Frames(time_ns)
        # The two streams come one after the other where they were written at the same time.
        return sorted([*frames.feed(found), *frames.flush()], key=lambda line: line[:STAMP])

    def _kept(self, ask: Callable[[float], Any], share: float = 1.0) -> Any:
        """The answer, or the error it met: asking again in the same poll would meet it again. It may take
        that ``share`` of what is left of the poll."""
        left = share * (self._ends - monotonic())
        if left <= 0:
            return SourceError("Docker took too long over other questions")
        try:
            return ask(left)
        except SourceError as error:
            return error


def _began(state: Mapping[str, Any]) -> bytes:
    """From when on lines are of the run that goes on. Its first may bear a time before ``StartedAt``,
    so that the end of the run before, where it is known, tells them better apart."""
    started, finished = _stamp(str(state["StartedAt"])), _stamp(str(state["FinishedAt"]))
    return min(started, finished)


def _stamp(text: str) -> bytes:
    """A time of inspect, which leaves out zeros at the end, as the log writes it."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{fraction.ljust(9, '0')}Z".encode("ascii")


def _of_entry(view: Callable[[Mapping[str, Any]], Raw]) -> Callable[[Look, DockerQuery], Raw]:
    def answer(look: Look, query: DockerQuery) -> Raw:
        entry = look.entry(query)
        return None if entry is None else view(entry)

    return answer


def _of_inspection(view: Callable[[Mapping[str, Any]], Raw]) -> Callable[[Look, DockerQuery], Raw]:
    def answer(look: Look, query: DockerQuery) -> Raw:
        inspected = look.inspected(query)
        return None if inspected is None else view(inspected)

    return answer


def _env_is(look: Look, query: DockerQuery) -> Raw:
    inspected = look.inspected(query)
    found = None if inspected is None else env_value(inspected, query.name)
    if found is None:
        return None
    # Yes and no are read by programs whatever their case; other words may not be.
    if query.value in ("true", "false"):
        found = found.strip().lower()
    return found == query.value


def _label(look: Look, query: DockerQuery) -> Raw:
    entry = look.entry(query)
    return None if entry is None else (entry.get("Labels") or {}).get(query.name)


def _containers(look: Look, query: DockerQuery) -> Raw:
    project = look.project(query)
    return container_rows(look.containers(), query.name, None if project is None else {project})


def _members(look: Look, query: DockerQuery) -> Raw:
    ident = network_named(look.get("/networks"), query.name, look.project(query))
    return None if ident is None else member_rows(look.get(f"/networks/{quote(ident, safe='')}"))


def _top(look: Look, query: DockerQuery) -> Raw:
    entry = look.entry(query)
    if entry is None:
        return None
    if not isinstance(entry["State"], str):
        raise MisfitError("whether it runs cannot be understood")
    if entry["State"] != "running":
        return None
    return top_rows(look.get(f"/containers/{entry['Id']}/top", ps_args=_TOP))


_ANSWERS: Final[Mapping[str, Callable[[Look, DockerQuery], Raw]]] = {
    "df": lambda look, _query: space(look.get("/system/df")),
    "volumes": lambda look, query: volume_rows(
        look.get("/volumes"), look.containers(), query.name, look.project(query)
    ),
    "networks": lambda look, query: network_rows(look.get("/networks"), query.name, look.project(query)),
    "members": _members,
    "images": lambda look, query: image_rows(look.get("/images/json"), look.containers(), query.name),
    "info": lambda look, _query: info_members(look.get("/info")),
    "image": _of_inspection(lambda said: said["Config"]["Image"]),
    "digest": _of_entry(lambda entry: entry["ImageID"]),
    "env": _of_inspection(env_names),
    "env_is": _env_is,
    "mounts": _of_entry(mount_rows),
    "ports": _of_entry(port_rows),
    "label": _label,
    "top": _top,
    "health": _of_inspection(health_rows),
    "started": _of_inspection(lambda said: str(said["State"]["StartedAt"]).encode()),
    "restarts": _of_inspection(lambda said: said["RestartCount"]),
    "log": Look.lines,
    "containers": _containers,
    "strays": lambda look, query: container_rows(look.containers(), query.name, {look.project(query), None}),
    "tasks": lambda look, query: task_rows(look.get("/tasks"), look.get("/services"), query.name),
    "nodes": lambda look, _query: node_rows(look.get("/nodes")),
}
