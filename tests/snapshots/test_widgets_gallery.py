"""How the widgets look together: calm where all is well, loud where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.pilot import Pilot
from textual.screen import ModalScreen

from backends.model.alarm import Priority
from backends.model.clock import Instant
from backends.model.fact import Level
from backends.model.logline import LogLevel, LogLine, Marker
from backends.model.procedure import Receipt, ReceiptKind, Run, StepResult, StepState, Verdict
from backends.model.reading import Quality
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState
from backends.model.stack import Environment
from backends.model.trading import TradingState
from tests.pilot.stage import Ring
from themes.loader import BASE_TCSS, defaults, shelf
from widgets.band import HeadlineView
from widgets.footer import Footer, Hint
from widgets.glyphs import HEALTH, LEVEL, PRIORITY, QUALITY, RUN_STATE, use_ascii
from widgets.grid import Grid
from widgets.grid_layout import Column
from widgets.headline import Headline
from widgets.log_view import LogView
from widgets.pane import Pane
from widgets.row import AnyRow, Cell, Heading, Row
from widgets.spark import spark
from widgets.step_list import StepList

S = SafeText

SERVICES = (
    Column("name", S("CONTAINER"), 20, least=12, flex=1),
    Column("state", S("STATE"), 12, least=9, drop=1),
    Column("health", S("HEALTH"), 11, least=10),
    Column("restarts", S("RST"), 3, align="right", drop=4),
    Column("memory", S("MEMORY"), 7, align="right", drop=2),
    Column("trend", S("TREND"), 12, least=8, drop=3, is_tail=True),
)
FACTS = (
    Column("label", S("RISK KEY"), 20, least=12, flex=2),
    Column("value", S("VALUE"), 14, least=9, flex=1),
    Column("raw", S("RAW"), 12, drop=3),
    Column("level", S("LEVEL"), 9),
    Column("age", S("AGE"), 4, align="right", drop=1),
    Column("quality", S("QUALITY"), 9, drop=2),
)
ALARMS = (
    Column("priority", S("PRIO"), 8),
    Column("title", S("ALARM"), 30, least=10, flex=1),
    Column("since", S("SINCE"), 9, drop=1),
)

VIEW = HeadlineView(
    Environment.LIVE,
    S("trading-platform"),
    TradingState.HALTED,
    S("Kill switch ENGAGED by alice since 03:02:11Z: drawdown drill"),
    trading_age=1.2,
    data_age=0.4,
    is_armed=True,
    wall=1_790_000_211.0,
    alarms={Priority.CRITICAL: 2, Priority.HIGH: 1, Priority.LOW: 1},
    note=S("13/14 sources  ops-1"),
    kill_key=S("F9"),
    kill_label=S("HALT"),
)

RUN = Run(
    "op",
    "trading-platform",
    "halt",
    "Halt trading",
    Instant(0, 0),
    (
        StepResult(
            "redis",
            "Engage the kill switch in Redis",
            StepState.UNKNOWN,
            Receipt(ReceiptKind.UNKNOWN, S("no answer in 500 ms")),
            took=0.5,
        ),
        StepResult(
            "http", "Ask the orchestrator", StepState.VERIFIED, None, S("orchestrator.kill = ENGAGED"), 0.21
        ),
        StepResult("docker", "Stop the gateway", StepState.SKIPPED),
    ),
    Verdict.VERIFIED,
    S("Trading is halted: the orchestrator reads ENGAGED. 14 open orders stay at the venue."),
    rung=2,
)


def services() -> list[Row]:
    def it(
        name: str, state: RunState, health: Health, restarts: int, memory: str, trail: list[float | None]
    ) -> Row:
        return Row(
            name,
            (
                Cell(S(name)),
                Cell(RUN_STATE[state].label, RUN_STATE[state].role),
                Cell(HEALTH[health].label, HEALTH[health].role),
                Cell(S(restarts), "state-warn" if restarts else "muted", is_changed=restarts > 9),
                Cell(S(memory), "text"),
                Cell(spark(trail, 12), "muted"),
            ),
        )

    running = RunState.RUNNING
    wave: list[float | None] = [3, 4, 5, 7, 6, 5, 4, 4, 5, 8, 9, 7]
    return [
        it("gateway", running, Health.HEALTHY, 0, "212 MB", wave),
        it("signal-generation", RunState.RESTARTING, Health.UNHEALTHY, 14, "?", []),
        it("market-data", running, Health.STARTING, 1, "96 MB", [1, 2, None, None, 5, 6]),
        it("console", running, Health.NO_CHECK, 0, "61 MB", [1.0] * 12),
        it("грид-bot", RunState.EXITED, Health.UNKNOWN, 2, "?", []),
        it("漢字-name", running, Health.HEALTHY, 0, "48 MB", [5, 4, 3, 2, 1]),
    ]


def facts() -> list[AnyRow]:
    def it(key: str, value: str, raw: str, level: Level, age: str, quality: Quality) -> Row:
        sign, trust = LEVEL[level], QUALITY[quality]
        badge = sign.badge if level is Level.CRIT else sign.role
        cells = (
            Cell(S(key)),
            Cell(S(value), "text" if level in (Level.OK, Level.INFO) else sign.role),
            Cell(S(raw), "muted"),
            Cell(sign.label, badge),
            Cell(S(age), trust.role),
            Cell(trust.label, trust.role),
        )
        return Row(key, cells)

    return [
        Heading("gates", S("Trading gates"), S("1 of 2 allow")),
        it("Kill switch", "ENGAGED", "ENGAGED", Level.CRIT, "1s", Quality.FRESH),
        it("Circuit breaker", "closed", "CLOSED", Level.OK, "2s", Quality.AGEING),
        Heading("risk", S("Exposure")),
        it("Gross exposure", "1,204,551 USD", "1204551.2", Level.WARN, "1s", Quality.FRESH),
        Heading("sql", S("Orders"), S("postgres: refused since 03:04:05Z"), "state-bad"),
        it("Open positions", "was 7", "–", Level.UNKNOWN, "48s", Quality.BAD),
        it("Last tick", "4.2s", "1790000.2", Level.UNKNOWN, "12s", Quality.STALE),
    ]


def alarms() -> list[Row]:
    def it(key: str, priority: Priority, title: str, since: str) -> Row:
        sign = PRIORITY[priority]
        return Row(key, (Cell(sign.label, sign.badge), Cell(S(title)), Cell(S(since), "muted")))

    return [
        it("a", Priority.CRITICAL, "Kill switch ENGAGED: no new orders leave", "03:02:11Z"),
        it("b", Priority.CRITICAL, "signal-generation restarted 14 times", "03:01:59Z"),
        it("c", Priority.HIGH, "Gross exposure above 1,000,000 USD", "03:03:40Z"),
        it("d", Priority.LOW, "x [/bold] is not running", "02:11:03Z"),
    ]


def log() -> Ring:
    ring = Ring()
    for n in range(60):
        level = (LogLevel.INFO, LogLevel.DEBUG, LogLevel.UNKNOWN, LogLevel.WARNING)[n % 4]
        at = 1_790_000_000.0 + n
        name = ("gateway", "orchestrator", "signal-generation", "market-data", "postgres")[n % 5]
        ring.rows.append(
            LogLine(n, name, at, level, S(f"order accepted id=ord-{n} symbol=AAPL limit=187.42"))
        )
    ring.add("venue rejected order ord-881: insufficient buying power", LogLevel.ERROR)
    ring.add("", marker=Marker.GAP)
    ring.add(
        "signal-generation died (exit 137, out of memory)", marker=Marker.EVENT, service="signal-generation"
    )
    ring.add("", marker=Marker.DROP, count=1234)
    ring.add("position reconciliation failed", LogLevel.CRITICAL)
    ring.add("quote is 4.2 s old", LogLevel.WARNING, Marker.LATE)
    return ring


class Dialog(ModalScreen[None]):
    def compose(self) -> ComposeResult:
        yield Pane(S("Halt trading"), StepList(), subtitle=S("Esc closes; the procedure goes on"))

    def on_mount(self) -> None:
        self.query_one(StepList).show_run(RUN)


class Gallery(App[None]):
    """Four panes, header and footer, frozen."""

    CSS_PATH = BASE_TCSS
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, theme: str) -> None:
        super().__init__()
        for it in shelf().themes.values():
            self.register_theme(it)
        self.theme = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return defaults()

    def compose(self) -> ComposeResult:
        yield Headline()
        with Horizontal():
            yield Pane(S("Containers"), Grid(SERVICES, id="services"), subtitle=S("6, 2 down, 1 warn"))
            yield Pane(S("Risk keys"), Grid(FACTS, id="facts"), subtitle=S("1 source down"))
        with Horizontal():
            yield Pane(S("Logs"), LogView(log()), subtitle=S("following 5"))
            yield Pane(S("Alerts"), Grid(ALARMS, id="alarms"), subtitle=S("4"))
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(Headline).show(VIEW)
        hints = [
            ("z", "zoom"),
            ("Enter", "detail"),
            ("Space", "pause"),
            ("/", "filter"),
            ("?", "help"),
            ("q", "quit"),
        ]
        self.query_one(Footer).show(
            [Hint(S("F9"), S("HALT"), is_emergency=True), *(Hint(S(key), S(label)) for key, label in hints)]
        )
        self.query_one("#services", Grid).show(services())
        self.query_one("#facts", Grid).show(facts())
        self.query_one("#alarms", Grid).show(alarms())
        self.query_one(LogView).tick()
        self.query_one("#services").focus()


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    use_ascii(False)
    yield
    use_ascii(False)


@pytest.mark.parametrize(
    ("theme", "size"),
    [
        ("dark", (80, 24)),
        ("dark", (120, 40)),
        ("dark", (200, 60)),
        ("light", (120, 40)),
        ("contrast", (120, 40)),
        ("mono", (120, 40)),
    ],
    ids=lambda it: it if isinstance(it, str) else f"{it[0]}x{it[1]}",
)
def test_four_panes(snap_compare: Callable[..., bool], theme: str, size: tuple[int, int]) -> None:
    assert snap_compare(Gallery(theme), terminal_size=size)


def test_four_panes_in_ascii(snap_compare: Callable[..., bool]) -> None:
    use_ascii(True)
    assert snap_compare(Gallery("dark"), terminal_size=(120, 40))


def test_a_log_held_still_filtered_and_searched(snap_compare: Callable[..., bool]) -> None:
    app = Gallery("dark")

    def hold() -> None:
        view = app.query_one(LogView)
        view.focus()
        view.show_only(list(range(0, 66, 3)), S('"ORD"'))
        view.highlight(S("ORD"))
        view.jump_to(60)

    async def run_before(pilot: Pilot[None]) -> None:
        hold()
        await pilot.pause()

    assert snap_compare(app, terminal_size=(120, 40), run_before=run_before)


def test_a_run_in_a_dialog_over_the_panes(snap_compare: Callable[..., bool]) -> None:
    app = Gallery("dark")

    async def run_before(pilot: object) -> None:
        await app.push_screen(Dialog())

    assert snap_compare(app, terminal_size=(100, 30), run_before=run_before)


def test_a_terminal_too_small(snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(Gallery("dark"), terminal_size=(60, 12))
