"""A stack file becomes a ``Stack``: decoded strictly, checked against itself, built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from backends.model.alarm import Priority
from backends.model.fact import Fact, Level, ValueType
from backends.model.stack import (
    ROOM,
    AlarmRule,
    EchoSpec,
    Environment,
    GateSpec,
    Generation,
    LogGrammar,
    Reassertion,
    ServiceSpec,
    Source,
    SourceKind,
    Stack,
)
from backends.model.trading import TradingState
from backends.stacks import schema
from backends.stacks.build_check import build_check, build_checklist, build_diagnosis
from backends.stacks.build_procedure import build_procedure
from backends.stacks.build_query import build_query
from backends.stacks.check import check
from backends.stacks.naming import word
from backends.stacks.schema_read import REDIS_OPERATIONS
from backends.stacks.spread import spread
from backends.stacks.toml_file import TomlFile, decode, read_toml
from backends.stacks.variant import generation, named, overlaid

FOLDER: Final = Path(__file__).parent
STACK_FILE: Final = "stack.toml"
_ONLY_READS: Final = f"a fact only reads; expected one of: {', '.join(REDIS_OPERATIONS)}"
_NOTES: Final = {
    "keys": "KEYS stops Redis while it looks; expected scan",
    **dict.fromkeys(("set", "del", "hset", "incr", "lpush", "rpush", "sadd", "zadd", "expire"), _ONLY_READS),
    **dict.fromkeys(("eval", "flushall", "flushdb", "config", "rename", "publish"), _ONLY_READS),
}
"""Said when such a key stands where it is unknown."""


class Described(Struct, frozen=True):
    """A stack file that was found to be sound, before anything local is applied to it."""

    file: TomlFile
    spec: schema.StackFile
    generation: Generation | None = None
    """Which form of the stack this is, when the file describes several."""
    others: tuple[Described, ...] = ()
    """Its other forms."""

    def sources(self) -> dict[str, Source]:
        """The sources with the file's own addresses and no credentials."""
        return {name: self._source(name) for name in self.spec.source}

    def _source(self, name: str) -> Source:
        spec = self.spec.source[name]
        owner = self.spec.source[spec.url_of] if spec.url_of is not None else spec
        return Source(
            id=name,
            kind=SourceKind(spec.kind),
            title=spec.title,
            url=owner.url or "",
            every=spec.every,
            deadline=spec.deadline,
            username=spec.username,
            auth=spec.auth,
            options=spec.options,
        )

    def _runbook(self) -> Path | None:
        path = self.file.path.with_name("runbook.md")
        return path if path.is_file() else None

    def _own(self) -> dict[str, Source]:
        """The room itself as a source, when it derives anything."""
        if all(item.derive is None for item in self.spec.fact):
            return {}
        return {ROOM: Source(ROOM, SourceKind.ROOM, "the room itself", "", every=1.0, deadline=1.0)}

    def build(self, sources: Mapping[str, Source], environment: Environment | None = None) -> Stack:
        """The stack with the given sources; ``environment`` None is the file's own word."""
        spec = self.spec
        return Stack(
            id=spec.stack.id,
            title=spec.stack.title,
            environment=environment or Environment[spec.stack.environment.upper()],
            sources=dict(sources) | self._own(),
            services=tuple(_service(item) for item in spec.service),
            facts={item.id: _fact(item, sources) for item in spec.fact},
            gates=tuple(_gate(item) for item in spec.trading.gate),
            echoes=tuple(EchoSpec(item.gate, item.fact, item.label) for item in spec.trading.echo),
            alarms=tuple(_alarm(item) for item in spec.alarm),
            procedures={item.id: build_procedure(item, sources) for item in spec.procedure},
            checks={item.id: build_check(item) for item in spec.check},
            checklists={item.id: build_checklist(item) for item in spec.checklist},
            diagnoses={item.id: build_diagnosis(item) for item in spec.diagnosis},
            logs=LogGrammar(tuple(spec.logs.patterns), tuple(spec.logs.drop)),
            runbook=self._runbook(),
            environment_facts=tuple(
                (item.fact, word(item.word), Environment[item.means.upper()]) for item in spec.evidence
            ),
            evidence_services={item.fact: item.service for item in spec.evidence if item.service is not None},
            generation=self.generation,
            halt_path=spec.trading.halt_path if spec.trading.gate else None,
            is_several=spec.trading.several,
        )


def built_in() -> dict[str, Path]:
    """The stack files that come with the program, by stack id."""
    return {path.parent.name: path for path in sorted(FOLDER.glob(f"*/{STACK_FILE}"))}


def describe(path: Path) -> Described:
    """The checked stack file at ``path``. Raises ConfigError with one message for the operator."""
    written = read_toml(path)
    file = named(spread(written))
    spec = decode(file, schema.StackFile, _NOTES)
    check(file, spec)
    if spec.stack.variant is None:
        return Described(file, spec)
    others = tuple(_other(written, spec, name) for name in spec.variant if name != spec.stack.variant)
    return Described(file, spec, generation(spec, spec.stack.variant), others)


def _other(file: TomlFile, spec: schema.StackFile, name: str) -> Described:
    """The file as another generation has it. Checked now: who runs it must not be the first to learn."""
    whole = named(spread(overlaid(file, name)))
    whole.tree["stack"] = {key: value for key, value in whole.tree["stack"].items() if key != "variant"}
    made = decode(whole, schema.StackFile, _NOTES)
    check(whole, made)
    return Described(whole, made, generation(spec, name))


def load_stack(path: Path) -> Stack:
    """The stack at ``path`` with the file's own addresses and no credentials. Raises ConfigError."""
    described = describe(path)
    return described.build(described.sources())


def _service(item: schema.ServiceSpec) -> ServiceSpec:
    return ServiceSpec(
        name=item.name,
        match=tuple(item.containers) or (item.swarm or item.unit or item.process or "",),
        role=item.role,
        source=item.source,
        is_required=item.required,
        has_check=item.has_check,
        note=item.note,
        is_followed=item.followed,
        instance_of=item.instance_of,
        runbook=tuple(item.runbook),
    )


def _fact(item: schema.FactSpec, sources: Mapping[str, Source]) -> Fact:
    words = {
        word(raw): Level(level) for level in ("ok", "info", "warn", "crit") for raw in getattr(item, level)
    }
    return Fact(
        id=item.id,
        label=item.label,
        group=item.group,
        source=item.source or ROOM,
        query=build_query(item, sources),
        type=ValueType(item.type),
        pick=item.pick,
        unit=item.unit,
        every=item.every,
        observed=item.observed,
        max_age=item.max_age,
        meanings=words or None,
        warn_above=item.warn_above,
        crit_above=item.crit_above,
        warn_below=item.warn_below,
        crit_below=item.crit_below,
        missing=Level(item.missing),
        missing_note=item.missing_note,
        note=item.note,
        is_shown=item.shown and not item.on_demand,
        on_demand=item.on_demand,
        where=item.where,
        runbook=tuple(item.runbook),
    )


def _gate(item: schema.GateRow) -> GateSpec:
    return GateSpec(
        fact=item.fact,
        label=item.label,
        trading=frozenset(map(word, item.trading)),
        halted=frozenset(map(word, item.halted)),
        missing=TradingState[item.missing.upper()],
        missing_note=item.missing_note,
        latches=item.latches,
        service=item.service,
        idle=item.idle,
        reassert=(
            Reassertion(item.reassert.by, item.reassert.since, item.reassert.released)
            if item.reassert is not None
            else None
        ),
    )


def _alarm(item: schema.AlarmSpec) -> AlarmRule:
    return AlarmRule(
        id=item.id,
        fact=item.fact,
        at=Level(item.at),
        words=frozenset(map(word, item.words)),
        priority=Priority(item.priority),
        title=item.title,
        cause=item.cause,
        consequence=item.consequence,
        response=item.response,
        service=item.service,
        after=item.after,
        section=item.section,
        runbook=tuple(item.runbook),
    )
