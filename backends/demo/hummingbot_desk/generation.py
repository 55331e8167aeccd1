"""What a generation of the desk is made of, and in what its parts behave otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Trader(Struct, frozen=True):
    """What one bot runs."""

    controller: str
    connector: str
    is_headless: bool = False
    """Its strategy starts with its container; else somebody types start at its prompt."""
    environment: tuple[str, ...] = ()


class Part(Struct, frozen=True):
    """A service's container."""

    image: str
    cpu: float
    megabytes: int
    is_checked: bool = True
    port: tuple[str, int] | None = None
    """Host address and port that compose publishes."""
    environment: tuple[str, ...] = ()
    container: str = ""
    """Its name without the prefix, where that is not the service's."""


class Monitoring(Struct, frozen=True):
    """What Prometheus and Grafana know."""

    bots: str
    """The service that exports the bots' metrics."""
    plane: str
    """The one that exports those of reports and gates."""
    rules: tuple[str, ...]
    alerts: Mapping[str, str]
    """Those that fire for good, and their summary."""
    missed: str
    """The one that fires while a bot does not run: here at once, and not after minutes."""
    dashboards: Mapping[str, str]
    """Uid to title."""
    sources: tuple[tuple[str, str], ...] = (("prometheus", "Prometheus"),)
    """Uid and name of Grafana's."""


class Generation(Struct, frozen=True):
    id: str
    prefix: str
    project: str
    database: str
    owner: str
    """Who owns the database, as its programs are told."""
    env_file: str
    bot_image: str
    bots: Mapping[str, Trader]
    """Those that exist; bot 2 is reserved and absent, as policy demands."""
    parts: Mapping[str, Part]
    monitoring: Monitoring
    gates: Mapping[str, str]
    """Gate to severity."""
    columns: tuple[str, ...]
    """Of minute.csv, beside those of every generation."""
    risk_scope: tuple[str, ...]
    """The bots that portfolio risk's intents name."""
    paper_exchanges: tuple[str, ...]
    code_folders: tuple[str, ...]
    """Where a bot sees the controllers."""
    has_banner: bool = True
    """A strategy that starts says whether its money is real."""
    has_telemetry: bool = True
    """Bots put their minutes on the bus too."""
    has_own_groups: bool = False
    """Each bot reads intents from a group of its own, and obeys what only names its instance; else all share
    one group and one consumer name, and an intent that reaches the wrong bot is lost."""
    has_heartbeat: bool = False
    """Bots write a heartbeat and their open orders, as files."""
    is_pause_kept: bool = False
    """A pause of the bus holds until it is resumed; else healthy pings undo it."""
    floods: bool = True
    """A bot in a risk hard stop repeats its kill intent every tick."""
    recovers_after: float = float("inf")
    """Seconds after which a hard stop on paper ends by itself."""
    is_kill_frank: bool = False
    """The kill switch answers 500 to a kill that did not succeed, and says which orders are left."""
    writer_without_database: str = ""
    """What becomes of the database's writer then: it ``dies`` before its report, or ``tells`` in it."""
    stamps_integrity: bool = False
    """The event store's integrity report has the time by which metrics call it fresh."""
    password: str | None = None
    """What Redis asks for."""
    failing: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Reports of checks that fail for good, and what they say then."""

    @property
    def services(self) -> tuple[str, ...]:
        return (*self.bots, *self.parts)
