"""Images: a further tag for one that runs, and removing those that nothing needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from backends.model.procedure import Receipt
from backends.writers.answer import already, done, failed, unknown
from backends.writers.docker_api import DockerApi
from backends.writers.docker_order import PruneOrder, TagOrder

_AFTERWARDS: Final = 30.0
_NAMED: Final = 5
"""Images a receipt names; it counts the rest."""


def tag(api: DockerApi, order: TagOrder, begin: Callable[[], None]) -> Receipt:
    """Give the image of a container the tag, in the repository the container's image was called by."""
    found = api.find(order.names)
    repository = _repository(found.reference)
    if not repository:
        return failed(f"{found.name} was made from an image without a name; nothing was sent")
    begin()
    path = f"/images/{quote(found.image, safe='')}/tag"
    wait = order.patience.deadline + _AFTERWARDS
    answer = api.send("POST", path, wait, {"repo": repository, "tag": order.tag})
    if answer.status == 201:
        return done(f"{repository}:{order.tag} is the image of {found.name}")
    if 400 <= answer.status < 500:
        return failed(f"refused to tag {repository}: answered {answer.status}{answer.said}")
    return unknown(f"answered {answer.status} when told to tag {repository}{answer.said}")


def prune(api: DockerApi, order: PruneOrder, begin: Callable[[], None]) -> Receipt:
    """Remove what the order describes, one by one and never by force."""
    name, _, value = order.label.partition("=")
    used = {each["ImageID"] for each in api.ask("/containers/json", {"all": "1"}) or ()}
    doomed: list[str] = []
    for image in api.ask("/images/json") or ():
        tags = [each for each in image.get("RepoTags") or () if each != "<none>:<none>"]
        is_kept = any(each.rpartition(":")[2].startswith(order.keep) for each in tags)
        if (image.get("Labels") or {}).get(name) == value and image["Id"] not in used and not is_kept:
            # By tag where there is one: an id with several tags is refused without force.
            doomed += tags or [image["Id"]]
    if not doomed:
        return already("no image to remove")
    begin()
    gone, refused = [], []
    for reference in doomed:
        path = f"/images/{quote(reference, safe='')}"
        answer = api.send("DELETE", path, order.patience.deadline + _AFTERWARDS, {"force": "false"})
        if answer.status in (200, 404):
            gone.append(reference)
        else:
            refused.append(f"{reference} ({answer.status})")
    text = f"{len(gone)} images removed: {_few(gone)}" if gone else "no image removed"
    if refused:
        return unknown(f"{text}; refused: {_few(refused)}")
    return done(text)


def _repository(reference: str) -> str:
    """Without its tag and digest; empty for a bare id."""
    if reference.startswith("sha256:"):
        return ""
    bare = reference.partition("@")[0]
    folder, slash, last = bare.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
