"""A container as the list and as inspect show it."""

from __future__ import annotations

import time
from typing import Any

from backends.demo.dockerd.container import Container
from backends.demo.dockerd.stamps import SECOND, trimmed


def listed(container: Container) -> dict[str, Any]:
    """One entry of ``/containers/json``."""
    spec = container.spec
    return {
        "Id": spec.id,
        "Names": [f"/{spec.name}"],
        "Image": spec.image,
        "ImageID": spec.image_id,
        "Command": spec.command,
        "Created": container.created // SECOND,
        "Ports": [
            {"IP": address, "PrivatePort": inside, "PublicPort": outside, "Type": "tcp"}
            for address, outside, inside in (spec.ports if container.state == "running" else ())
        ],
        "Labels": spec.all_labels(),
        "State": container.state,
        "Status": status(container),
        "HostConfig": {"NetworkMode": spec.network_name},
        "NetworkSettings": {"Networks": _networks(container)},
        "Mounts": _mounts(container),
    }


def inspected(container: Container) -> dict[str, Any]:
    """``/containers/{id}/json``."""
    spec = container.spec
    binary, _, arguments = spec.command.partition(" ")
    return {
        "Id": spec.id,
        "Created": trimmed(container.created),
        "Path": binary,
        "Args": arguments.split(),
        "State": _state(container),
        "Image": spec.image_id,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": "",
        "Name": f"/{spec.name}",
        "RestartCount": container.restarts,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "docker-default",
        "ExecIDs": None,
        "HostConfig": {
            "NetworkMode": spec.network_name,
            "RestartPolicy": {"Name": spec.restart, "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": {}},
            "Memory": 0,
            "NanoCpus": 0,
            "PortBindings": _bindings(container),
        },
        "Mounts": _mounts(container),
        "Config": _config(container),
        "NetworkSettings": {
            "Ports": _bindings(container) if container.is_running else {},
            "Networks": _networks(container),
        },
    }


def status(container: Container) -> str:
    """The words of ``docker ps``: ``Up 3 hours (healthy)``."""
    now = time.time_ns()
    ran = duration((now - container.started) / SECOND)
    ended = duration((now - container.finished) / SECOND)
    match container.state:
        case "created":
            return "Created"
        case "exited":
            return f"Exited ({container.exit_code}) {ended} ago"
        case "restarting":
            return f"Restarting ({container.exit_code}) {ended} ago"
        case "paused":
            return f"Up {ran} (Paused)"
    if container.health == "none":
        return f"Up {ran}"
    return f"Up {ran} ({'health: starting' if container.health == 'starting' else container.health})"


def duration(seconds: float) -> str:
    """As Docker rounds it for people."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return f"{whole} second{'s' if whole > 1 else ''}"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = round(whole / 3600)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = whole // 86_400
    return f"{days} days" if days < 14 else f"{days // 7} weeks"


def _state(container: Container) -> dict[str, Any]:
    state: dict[str, Any] = {
        "Status": container.state,
        "Running": container.is_running,
        "Paused": container.state == "paused",
        "Restarting": container.state == "restarting",
        "OOMKilled": False,
        "Dead": False,
        "Pid": container.pid,
        "ExitCode": container.exit_code if container.state in ("exited", "restarting") else 0,
        "Error": "",
        "StartedAt": trimmed(container.started),
        "FinishedAt": trimmed(container.finished),
    }
    if container.spec.check:
        log = [
            {**check, "Start": trimmed(check["Start"]), "End": trimmed(check["End"])}
            for check in container.checks
        ]
        state["Health"] = {"Status": container.health, "FailingStreak": container.streak, "Log": log}
    return state


def _config(container: Container) -> dict[str, Any]:
    spec = container.spec
    config: dict[str, Any] = {
        "Hostname": spec.id[:12],
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "ExposedPorts": {f"{inside}/tcp": {} for _, _, inside in spec.ports},
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": list(spec.environment),
        "Cmd": spec.command.split(),
        "Image": spec.image,
        "Volumes": None,
        "WorkingDir": "/app",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": spec.all_labels(),
    }
    if check := spec.check:
        config["Healthcheck"] = {
            "Test": list(check.command),
            "Interval": int(check.interval * SECOND),
            "Timeout": int(check.timeout * SECOND),
            "StartPeriod": int(check.start_period * SECOND),
            "Retries": check.retries,
        }
    return config


def _bindings(container: Container) -> dict[str, Any]:
    return {
        f"{inside}/tcp": [{"HostIp": address, "HostPort": str(outside)}]
        for address, outside, inside in container.spec.ports
    }


def _mounts(container: Container) -> list[dict[str, Any]]:
    return [
        {
            "Type": "volume" if mount.name else "bind",
            **({"Name": mount.name, "Driver": "local"} if mount.name else {}),
            "Source": mount.source or f"/var/lib/docker/volumes/{mount.name}/_data",
            "Destination": mount.destination,
            "Mode": "rw" if mount.is_writable else "ro",
            "RW": mount.is_writable,
            "Propagation": "",
        }
        for mount in container.spec.mounts
    ]


def _networks(container: Container) -> dict[str, Any]:
    return {name: _endpoint(container, address) for name, address in sorted(container.networks.items())}


def _endpoint(container: Container, address: str) -> dict[str, Any]:
    is_up = container.is_running
    return {
        "Aliases": [container.spec.service],
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": "172.28.0.1" if is_up else "",
        "IPAddress": address if is_up else "",
        "IPPrefixLen": 16 if is_up else 0,
    }
