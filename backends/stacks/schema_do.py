"""What a step of a stack file may do: one table for each kind."""

# ruff: noqa: RUF012 (msgspec gives every struct a copy of its own)
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from backends.stacks.schema_types import Seconds, Strict, Text


class RedisTransitionSpec(Strict, tag_field="kind", tag="redis-transition"):
    source: str
    key: Text
    state_field: Text
    allowed_from: Annotated[list[str], Meta(min_length=1)]
    target: Text
    set: dict[str, Any] = {}
    set_null: list[str] = []
    """Members set to null, which TOML cannot write."""
    increment: list[str] = []
    create: dict[str, Any] | None = None
    create_null: list[str] = []
    """Members of ``create`` that are null."""
    history_key: str | None = None
    history_entry: dict[str, Any] = {}
    history_null: list[str] = []
    history_limit: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    history_is_ranked: bool = False
    unchanged: dict[str, Any] = {}
    restamp: list[str] = []
    """Members of ``set`` written also when the target is reached already."""


class HttpCallSpec(Strict, tag_field="kind", tag="http"):
    source: str
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str
    body: dict[str, Any] | None = None
    expect: list[Annotated[int, Meta(ge=100, le=599)]] = field(default_factory=lambda: [200])
    already: dict[int, str] = {}
    auth: Literal["none", "bearer", "service-jwt", "internal-token", "user-context"] = "none"


class RedisPart(Strict):
    op: Literal[
        "set", "del", "hset", "hdel", "xadd", "publish", "rpush", "lpush", "ltrim", "sadd", "srem", "zrem",
        "json", "flushdb", "bgsave",
    ]  # fmt: skip
    key: str = ""
    value: Any = None
    fields: dict[str, Any] = {}
    if_absent: bool = False
    if_value: str | None = None
    if_newest: str | None = None
    """The id of a stream's newest entry for del, the text of a list's for lpush: as it was seen."""
    min_receivers: Annotated[int, Meta(ge=0)] = 0
    max_length: Annotated[int, Meta(ge=1)] | None = None
    set_null: list[str] = []
    """For json: members set to null, which TOML cannot write."""
    elapsed: dict[str, str] = {}
    if_null: list[str] = []
    record: bool = False
    """In a unit: what it records is done although its key cannot take it."""


class RedisWriteSpec(RedisPart, tag_field="kind", tag="redis", kw_only=True):
    source: str


class RedisUnitSpec(Strict, tag_field="kind", tag="redis-unit"):
    source: str
    writes: Annotated[list[RedisPart], Meta(min_length=1)]


class DockerVerbSpec(Strict, tag_field="kind", tag="docker"):
    verb: Literal["start", "stop", "restart", "kill", "signal", "connect", "disconnect"]
    service: Text
    source: str = "docker"
    grace: Seconds = 10.0
    network: str | None = None
    signal: Literal["HUP", "USR1", "USR2"] | None = None


class DockerExecSpec(Strict, tag_field="kind", tag="docker-exec"):
    service: Text
    argv: Annotated[list[Text], Meta(min_length=1)]
    source: str = "docker"
    user: str = ""
    output: Text | None = None
    """A file on the room's host for its standard output."""


class DockerCopySpec(Strict, tag_field="kind", tag="docker-copy"):
    service: Text
    path: Annotated[str, Meta(pattern=r"^/")]
    output: Text
    """A new file on the room's host; with .tar at its end an archive, else what path is."""
    source: str = "docker"


class DockerRemoveSpec(Strict, tag_field="kind", tag="docker-remove"):
    container: Text
    source: str = "docker"


class DockerTagSpec(Strict, tag_field="kind", tag="docker-tag"):
    service: Text
    tag: Text
    source: str = "docker"


class DockerPruneSpec(Strict, tag_field="kind", tag="docker-prune"):
    label: Annotated[str, Meta(pattern=r"^[^=\s]+=[^=\s]+$")]
    keep: Annotated[list[Text], Meta(min_length=1)]
    """How tags begin whose images stay."""
    source: str = "docker"


class SystemdVerbSpec(Strict, tag_field="kind", tag="systemd"):
    source: str
    verb: Literal["start", "stop", "restart"]
    unit: Text


class ProcessSignalSpec(Strict, tag_field="kind", tag="process"):
    """To the process with exactly the command line the room showed; ``pid`` tells several apart."""

    source: str
    command: Text
    pid: str = ""
    signal: Literal["TERM", "INT"] = "TERM"


class SqlStatementSpec(Strict, tag_field="kind", tag="sql"):
    source: str
    text: Text
    params: dict[str, Any] = {}
    rows: Annotated[int, Meta(ge=0)] | None = None


class CommandSpec(Strict, tag_field="kind", tag="command"):
    argv: Annotated[list[Text], Meta(min_length=1)]
    source: str = ""
    timeout: Seconds = 60.0
    folder: str | None = None
    env: list[Text] = []
    ok: list[int] = field(default_factory=lambda: [0])
    output: str | None = None
    """A file that takes what it prints. ``{NAME.path}``, here, in ``argv`` and ``folder``, is the folder of
    that files source."""
    given: dict[str, str] = {}
    """Variables of its environment with what they hold, such as ``{NAME.path}``, ``{NAME.host}`` or
    ``{NAME.port}`` of a source."""
    secret: dict[str, str] = {}
    """Variables of its environment that hold the password of the source named."""
    engine: str | None = None
    """The docker source on whose engine it acts: it is told where that is, as the docker command reads it."""
    here: str | None = None
    """A docker source whose engine must be on this machine, else it is not run."""


class FileEditSpec(Strict, tag_field="kind", tag="file"):
    """One key of a YAML, TOML or env file."""

    source: str
    path: Text
    key: Annotated[list[Text], Meta(min_length=1)]
    """The way to it; ``id=X`` is the element of a list whose member ``id`` is X."""
    value: str | int | float | bool | None = None
    remove: bool = False
    create: bool = False
    was: str | None = None


class WaitSpec(Strict, tag_field="kind", tag="wait"):
    seconds: Seconds


class ObserveSpec(Strict, tag_field="kind", tag="observe"):
    """Nothing is done: the step's proof must hold."""


class AttestSpec(Strict, tag_field="kind", tag="attest"):
    text: Text


Do = (
    RedisTransitionSpec
    | HttpCallSpec
    | RedisWriteSpec
    | RedisUnitSpec
    | DockerVerbSpec
    | DockerExecSpec
    | DockerCopySpec
    | DockerRemoveSpec
    | DockerTagSpec
    | DockerPruneSpec
    | SystemdVerbSpec
    | ProcessSignalSpec
    | SqlStatementSpec
    | CommandSpec
    | FileEditSpec
    | WaitSpec
    | ObserveSpec
    | AttestSpec
)
