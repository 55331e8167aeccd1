"""Restarting, stopping and starting services of a Docker Swarm, and only those that the stack file names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from backends.docker_place import connect
from backends.loading import LOADING
from backends.model.action import Action, DockerVerb
from backends.model.procedure import Receipt, Step
from backends.model.stack import ServiceSpec, Source
from backends.model.substitution import fill
from backends.writers.answer import already, done, failed, reason, unknown

if TYPE_CHECKING:
    from docker import APIClient

REPLICAS: Final = "controlroom.replicas"
"""Label of a service that was stopped: how many tasks it had, so that a start gives it as many."""

_LIMIT: Final = 1 << 20
_VERBS: Final = {"restart": "restarted", "stop": "stopped", "start": "started"}


class _RefusedError(Exception):
    """The manager answered: no. Nothing was changed."""


class SwarmEffector:
    """Changes the wanted number of tasks, or replaces them all, guarded by the version that was read."""

    def __init__(self, source: Source, services: Sequence[ServiceSpec]) -> None:
        self._source = source
        self._names = {spec.name: spec.match[0] for spec in services if spec.source == source.id}

    async def act(self, action: Action, values: Mapping[str, Any], step: Step) -> Receipt:
        """Give the order once. FAILED means nothing happened; UNKNOWN means something may have."""
        if not isinstance(action, DockerVerb):
            return failed("does not take this kind of step")
        service = str(fill(action.service, values))
        if action.verb not in _VERBS:
            return failed(f"cannot {action.verb} a service of a swarm")
        if service not in self._names:
            return failed(f"{service!r} is no service of this stack here; nothing was sent")
        limit = step.connect + step.deadline
        work = asyncio.to_thread(_perform, self._source, action.verb, self._names[service], limit)
        try:
            return await asyncio.wait_for(work, limit + 1.0)
        except TimeoutError:
            return unknown(f"no answer within {limit * 1000:.0f} ms")

    async def warm(self) -> None:
        """Nothing is kept open."""

    async def close(self) -> None:
        """Nothing is kept open."""


def _perform(source: Source, verb: str, name: str, seconds: float) -> Receipt:
    sent = False
    try:
        with LOADING:
            api = connect(source, seconds)
        with closing(api):
            told = _ask(api, name, seconds)
            spec = told["Spec"]
            refusal = _change(spec, verb)
            if refusal is not None:
                return refusal
            sent = True
            return _send(api, name, told["Version"]["Index"], spec, verb, seconds)
    except _RefusedError as error:
        return failed(f"{error}; nothing was sent")
    except (KeyError, TypeError, ValueError):
        return failed("does not speak Docker's language; nothing was sent")
    except Exception as error:  # requests, urllib3 and the SDK each have their own kinds
        text = f"cut off before it answered: {reason(error)}"
        return unknown(text) if sent else failed(f"{text}; nothing was sent")


def _ask(api: APIClient, name: str, seconds: float) -> Any:
    with api.get(_url(api, name), timeout=seconds, stream=True) as answer:
        if answer.status_code != 200:
            raise _RefusedError(f"answered {answer.status_code} when asked for {name}")
        told = json.loads(answer.raw.read(_LIMIT, decode_content=True))
    # The engine takes the beginning of an id for a name, too.
    if told["Spec"]["Name"] != name:
        raise _RefusedError(f"has no service {name}")
    return told


def _send(
    api: APIClient, name: str, version: int, spec: Mapping[str, Any], verb: str, seconds: float
) -> Receipt:
    params = {"version": str(version)}
    with api.post(f"{_url(api, name)}/update", params=params, json=spec, timeout=seconds) as answer:
        if answer.status_code != 200:
            return failed(f"refused to {verb} {name}: answered {answer.status_code}")
    return done(f"{name} {_VERBS[verb]}")


def _url(api: APIClient, name: str) -> str:
    return f"{api.base_url}/v1.41/services/{name}"


def _change(spec: dict[str, Any], verb: str) -> Receipt | None:
    """Change the wanted state in place; what to say when there is nothing to change, or None."""
    name = spec["Name"]
    if verb == "restart":
        template = spec["TaskTemplate"]
        template["ForceUpdate"] = int(template.get("ForceUpdate", 0)) + 1
        return None
    mode, labels = spec["Mode"].get("Replicated"), spec.setdefault("Labels", {})
    if mode is None:
        return failed(f"{name} runs on every node and has no number of tasks; nothing was sent")
    wanted = int(mode.get("Replicas", 0))
    if bool(wanted) == (verb == "start"):
        return already(f"{name} {_VERBS[verb]} already")
    if verb == "stop":
        labels[REPLICAS] = str(wanted)
        mode["Replicas"] = 0
    else:
        mode["Replicas"] = int(labels.pop(REPLICAS, "1"))
    return None
