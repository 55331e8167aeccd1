"""A Docker Engine's answers as rows and members for ``extract``. A malformed answer raises KeyError,
TypeError, AttributeError, ValueError or MisfitError; nothing is made up in its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from backends.readers.coerce import list_in
from backends.readers.extract import Rows

PROJECT: Final = "com.docker.compose.project"
_SERVICE: Final = "com.docker.compose.service"
_VOLUME: Final = "com.docker.compose.volume"
_NETWORK: Final = "com.docker.compose.network"
_NONE: Final = "<none>"

_INFO: Final = (
    "Name", "ServerVersion", "OperatingSystem", "Architecture", "KernelVersion", "NCPU", "MemTotal",
    "Driver", "LoggingDriver", "DockerRootDir", "LiveRestoreEnabled", "Containers", "ContainersRunning",
    "ContainersPaused", "ContainersStopped", "Images", "Warnings",
)  # fmt: skip
"""Of ``docker info``: what holds no addresses of proxies, which may hold passwords."""


def space(said: Mapping[str, Any]) -> dict[str, int]:
    """Bytes on disk by kind."""
    volumes = [(each.get("UsageData") or {}).get("Size", 0) for each in all_of(said["Volumes"])]
    found = {
        "images": int(said["LayersSize"]),
        "containers": sum(each.get("SizeRw") or 0 for each in all_of(said["Containers"])),
        # -1 stands for a volume whose driver does not say.
        "volumes": sum(size for size in volumes if size > 0),
        "build_cache": sum(each["Size"] for each in all_of(said.get("BuildCache")) if not each.get("Shared")),
    }
    return found | {"total": sum(found.values())}


def volume_rows(
    said: Mapping[str, Any], containers: Iterable[Mapping[str, Any]], prefix: str, project: str | None
) -> Rows:
    """Volumes; ``orphan`` is ``yes`` where no container, running or not, mounts it."""
    users: dict[str, list[str]] = {}
    for each in containers:
        for mount in all_of(each.get("Mounts")):
            users.setdefault(mount.get("Name") or "", []).append(_name(each))
    rows = [
        {
            "name": each["Name"],
            "orphan": "no" if each["Name"] in users else "yes",
            "used_by": ", ".join(sorted(users.get(each["Name"], ()))) or None,
            "project": _labels(each).get(PROJECT),
            "volume": _labels(each).get(_VOLUME),
            "driver": each["Driver"],
            "created": each.get("CreatedAt"),
        }
        for each in all_of(said["Volumes"])
        if each["Name"].startswith(prefix) and project in (None, _labels(each).get(PROJECT))
    ]
    return _sorted(rows)


def network_rows(said: Sequence[Mapping[str, Any]], prefix: str, project: str | None) -> Rows:
    """Networks; ``internal`` ones have no way out of the host."""
    rows = [
        {
            "name": each["Name"],
            "internal": "yes" if each.get("Internal") else "no",
            "driver": each["Driver"],
            "project": _labels(each).get(PROJECT),
        }
        for each in list_in(said)
        if each["Name"].startswith(prefix) and project in (None, _labels(each).get(PROJECT))
    ]
    return _sorted(rows)


def network_named(said: Sequence[Mapping[str, Any]], name: str, project: str | None) -> str | None:
    """The id of the network that compose made under this name for the project, else of exactly this name."""
    for each in list_in(said):
        labels = _labels(each)
        if project is not None and labels.get(PROJECT) == project and labels.get(_NETWORK) == name:
            return str(each["Id"])
    return next((str(each["Id"]) for each in said if _word(each["Name"]) == name), None)


def member_rows(said: Mapping[str, Any]) -> Rows:
    """The running containers in one network, with their address there."""
    rows = [
        {"name": each["Name"], "address": (each.get("IPv4Address") or "").partition("/")[0] or None}
        for each in ({} if said["Containers"] is None else said["Containers"]).values()
    ]
    return _sorted(rows)


def image_rows(
    said: Sequence[Mapping[str, Any]], containers: Iterable[Mapping[str, Any]], prefix: str
) -> Rows:
    """One row a tag; ``used`` is ``yes`` where a container, running or not, was made from the image."""
    used = {each["ImageID"] for each in containers}
    rows = [
        {
            "name": tag,
            "repository": tag.rpartition(":")[0],
            "tag": tag.rpartition(":")[2],
            "id": each["Id"],
            "used": "yes" if each["Id"] in used else "no",
            "bytes": each["Size"],
            "created": each["Created"],
        }
        for each in list_in(said)
        for tag in all_of(each.get("RepoTags")) or (f"{_NONE}:{_NONE}",)
        if tag.startswith(prefix)
    ]
    return _sorted(rows)


def info_members(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine says of itself and its host."""
    if "ServerVersion" not in said:
        raise KeyError("ServerVersion")
    return {name: said[name] for name in _INFO if name in said}


def env_names(inspected: Mapping[str, Any]) -> Rows:
    """The names of a container's variables; the values stay where they are."""
    pairs = all_of(inspected["Config"]["Env"])
    return _sorted([{"name": pair.partition("=")[0]} for pair in pairs])


def env_value(inspected: Mapping[str, Any], name: str) -> str | None:
    """The value of one variable, to be compared; None when it is not set."""
    pairs = (pair.partition("=") for pair in all_of(inspected["Config"]["Env"]))
    return next((value for key, _, value in pairs if key == name), None)


def mount_rows(entry: Mapping[str, Any]) -> Rows:
    """What is mounted where; for a bind mount ``source`` is the host's path."""
    rows = [
        {
            "name": each["Destination"],
            "source": each.get("Name") or each.get("Source"),
            "type": each["Type"],
            "writable": "yes" if each.get("RW") else "no",
        }
        for each in all_of(entry.get("Mounts"))
    ]
    return _sorted(rows)


def port_rows(entry: Mapping[str, Any]) -> Rows:
    """The published ports of a running container."""
    rows = [
        {"name": str(each["PublicPort"]), "address": each.get("IP"), "inside": each["PrivatePort"]}
        for each in all_of(entry.get("Ports"))
        if each.get("PublicPort")
    ]
    return _sorted(rows)


def top_rows(said: Mapping[str, Any]) -> Rows:
    """Processes, the busiest first."""
    titles = [title.lower() for title in said["Titles"]]
    columns = {"name": "command", "pid": "pid", "user": "user", "cpu": "%cpu", "rss_kib": "rss"}
    at = {name: titles.index(title) for name, title in columns.items()}
    rows = [{name: each[index] for name, index in at.items()} for each in all_of(said["Processes"])]
    rows.sort(key=lambda row: -float(row["cpu"]))
    return Rows(rows, len(rows))


def health_rows(inspected: Mapping[str, Any]) -> Rows | None:
    """The last runs of the health check, oldest first; None where there is no check."""
    health = inspected["State"].get("Health")
    if not health or health.get("Status") in ("", "none"):
        return None
    rows = [
        {"time": each["End"], "exit": each["ExitCode"], "output": each["Output"].strip()}
        for each in all_of(health.get("Log"))
    ]
    return Rows(rows, len(rows))


def container_rows(
    containers: Iterable[Mapping[str, Any]], prefix: str, projects: Collection[str | None] | None
) -> Rows:
    """Containers, running or not, of these compose projects (None among them: of no project), or of any."""
    rows = [
        {
            "name": _name(each),
            "state": each["State"],
            "status": each["Status"],
            "image": each["Image"],
            "project": _labels(each).get(PROJECT),
            "service": _labels(each).get(_SERVICE),
            "created": each["Created"],
        }
        for each in containers
        if _name(each).startswith(prefix) and (projects is None or _labels(each).get(PROJECT) in projects)
    ]
    return _sorted(rows)


def task_rows(said: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]], prefix: str) -> Rows:
    """Tasks of a swarm by the name of their service."""
    names = {each["ID"]: each["Spec"]["Name"] for each in list_in(services)}
    rows = [
        {
            "name": names.get(each["ServiceID"], each["ServiceID"]),
            "slot": each.get("Slot"),
            "state": each["Status"]["State"],
            "desired": each["DesiredState"],
            "error": each["Status"].get("Err"),
            "node": each.get("NodeID"),
        }
        for each in list_in(said)
    ]
    return _sorted([row for row in rows if str(row["name"]).startswith(prefix)])


def node_rows(said: Sequence[Mapping[str, Any]]) -> Rows:
    """Machines of a swarm."""
    rows = [
        {
            "name": each["Description"]["Hostname"],
            "state": each["Status"]["State"],
            "availability": each["Spec"]["Availability"],
            "role": each["Spec"]["Role"],
            "leader": "yes" if (each.get("ManagerStatus") or {}).get("Leader") else "no",
        }
        for each in list_in(said)
    ]
    return _sorted(rows)


def all_of(raw: Any) -> list[Any]:
    """A list of the engine's, which writes null for an empty one. Raises MisfitError."""
    return [] if raw is None else list_in(raw)


def _sorted(rows: list[dict[str, Any]]) -> Rows:
    return Rows(sorted(rows, key=lambda row: str(row["name"])), len(rows))


def _labels(said: Mapping[str, Any]) -> Mapping[str, Any]:
    return said.get("Labels") or {}


def _name(entry: Mapping[str, Any]) -> str:
    names = all_of(entry.get("Names"))
    return _word(names[0]).removeprefix("/") if names else _word(entry["Id"])[:12]


def _word(raw: Any) -> str:
    """What is no text is no name: nothing that is looked for by its name would be found."""
    if not isinstance(raw, str):
        raise TypeError(raw)
    return raw
