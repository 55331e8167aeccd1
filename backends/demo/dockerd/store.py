"""What an engine keeps beside containers: images under their tags, volumes, networks."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from backends.demo.dockerd.container import ConflictError, Container
from backends.demo.dockerd.spec import digest

_PROJECT = "com.docker.compose.project"
_FIRST = 10
"""Last part of the first address given out."""


class Image(Struct):
    id: str
    tags: list[str]
    labels: Mapping[str, str]
    size: int


class Volume(Struct):
    name: str
    size: int
    labels: Mapping[str, str]


class Network(Struct):
    name: str
    labels: Mapping[str, str]
    is_internal: bool = False
    given: int = _FIRST

    @property
    def id(self) -> str:
        return digest(f"network {self.name}")

    def address(self) -> str:
        """The next that is free."""
        self.given += 1
        return f"172.28.0.{self.given}"


class Store(Struct):
    created: int
    """Nanoseconds since the epoch: when all of it was made."""
    images: dict[str, Image] = field(default_factory=dict)
    """By id."""
    volumes: dict[str, Volume] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)

    def take(self, container: Container) -> None:
        """Keep what the container needs, and connect it."""
        spec = container.spec
        labels = {_PROJECT: spec.project, "com.docker.compose.service": spec.service}
        tag = spec.image if ":" in spec.image.rpartition("/")[2] else f"{spec.image}:latest"
        is_built = spec.image.startswith(spec.project)
        self.add_image(spec.image_id, tag, labels if is_built else {}, spec.load.memory)
        for mount in spec.mounts:
            if mount.name:
                short = mount.name.removeprefix(f"{spec.project}_")
                of_project = {_PROJECT: spec.project, "com.docker.compose.volume": short}
                self.volumes.setdefault(mount.name, Volume(mount.name, spec.load.memory, of_project))
        network = self.networks.setdefault(
            spec.network_name,
            Network(spec.network_name, {_PROJECT: spec.project, "com.docker.compose.network": spec.network}),
        )
        container.networks.setdefault(network.name, network.address())

    def add_image(self, ident: str, tag: str, labels: Mapping[str, str], size: int) -> None:
        image = self.images.setdefault(ident, Image(ident, [], labels, size))
        if tag not in image.tags:
            for other in self.images.values():
                other.tags = [known for known in other.tags if known != tag]
            image.tags.append(tag)

    def image(self, reference: str) -> Image | None:
        """By id or tag."""
        wanted = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        named = (each for each in self.images.values() if wanted in each.tags)
        return self.images.get(reference) or next(named, None)

    def untag(self, reference: str, used: set[str]) -> list[dict[str, str]]:
        """Take one tag away, and the image with its last. Raises LookupError, ConflictError."""
        image = self.image(reference)
        if image is None:
            raise LookupError(f"No such image: {reference}")
        if len(image.tags) > 1 and reference in image.tags:
            image.tags.remove(reference)
            return [{"Untagged": reference}]
        if image.id in used:
            raise ConflictError(f"conflict: unable to remove repository reference {reference} (must force)")
        del self.images[image.id]
        return [*({"Untagged": tag} for tag in image.tags), {"Deleted": image.id}]
