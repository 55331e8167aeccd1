"""What the types cannot say about a stack file: references, contradictions, and what must not be missing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence

from backends.stacks import address, schema
from backends.stacks.check_check import UNHEARD, checks
from backends.stacks.check_procedure import procedures
from backends.stacks.check_query import query
from backends.stacks.naming import LEVELS, Complaint, known, not_said_by, source_of, word, words_of
from backends.stacks.toml_file import TomlFile
from backends.stacks.toml_lines import Place
from backends.stacks.variant import variants

_RUNTIMES = {"containers": "docker", "swarm": "swarm", "unit": "systemd", "process": "host"}
_NUMBERS = ("int", "float", "count", "table")
_WORDED = ("text", "bool", "int")
_LIMITS = ("warn_above", "crit_above", "warn_below", "crit_below")
NO_PATH = "none"
_HEEDED = {"warn": ("warn", "crit"), "unknown": ("unknown",), "crit": ("crit",)}
"""The levels at which an alarm of ``at`` is raised."""


def check(file: TomlFile, spec: schema.StackFile) -> None:
    """Raises ConfigError for the first thing in ``spec`` that cannot be meant."""
    rules = (
        variants, _unique, _sources, _services, _facts, _trading, _alarms, _watched, _logs, procedures,
        _reassertions, checks, _polled,
    )  # fmt: skip
    for rule in rules:
        for place, text in rule(spec):
            raise file.error(place, text)


def _unique(spec: schema.StackFile) -> Iterator[Complaint]:
    yield from _repeated("service", [item.name for item in spec.service], "name")
    yield from _repeated("fact", [item.id for item in spec.fact], "id")
    yield from _repeated("alarm", [item.id for item in spec.alarm], "id")
    for table in ("check", "checklist", "diagnosis"):
        yield from _repeated(table, [item.id for item in getattr(spec, table)], "id")
    yield from _repeated("procedure", [item.id for item in spec.procedure], "id")
    for index, item in enumerate(spec.procedure):
        for (_, number, *rest), text in _repeated("step", [step.id for step in item.step], "id"):
            yield ("procedure", index, "step", number, *rest), text
    containers = [(i, name) for i, item in enumerate(spec.service) for name in item.containers]
    for position, (index, name) in enumerate(containers):
        if name in [other for _, other in containers[:position]]:
            yield ("service", index, "containers"), f"container {name!r} stands in another service already"


def _repeated(table: str, names: Sequence[str], key: str) -> Iterator[Complaint]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (table, index, key), f"{name!r} is used twice; expected a name of its own"


def _sources(spec: schema.StackFile) -> Iterator[Complaint]:
    for name, source in spec.source.items():
        place: Place = ("source", name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            yield place, "expected a name of small letters, digits and '-'"
        if (source.url is None) == (source.url_of is None):
            yield place, "expected either url or url_of"
        if source.url is not None and (why := address.objection(source.kind, source.url)):
            yield (*place, "url"), why
        if source.url_of is not None:
            if why := known(source.url_of, spec.source, "source"):
                yield (*place, "url_of"), why
            other = spec.source[source.url_of]
            if other.kind != source.kind or other.url is None:
                yield (*place, "url_of"), f"expected a source of kind {source.kind} that has a url itself"
        if source.deadline > source.every:
            yield (*place, "deadline"), f"{source.deadline:g} s is longer than every {source.every:g} s"
        if source.auth != "none" and source.kind != "http":
            yield (*place, "auth"), f"a {source.kind} source has no auth; expected it on an http source"


def _polled(spec: schema.StackFile) -> Iterator[Complaint]:
    """Of what is never polled nobody would know whether it answers."""
    polled = {fact.source for fact in spec.fact if not fact.on_demand}
    polled |= {service.source for service in spec.service}
    for name in spec.source:
        if name not in polled:
            yield (
                ("source", name),
                "nothing is polled from it; expected a service or a fact that is not only on demand",
            )


def _services(spec: schema.StackFile) -> Iterator[Complaint]:
    for index, service in enumerate(spec.service):
        place: Place = ("service", index)
        named = [key for key in _RUNTIMES if getattr(service, key)]
        if len(named) != 1:
            yield (
                place,
                f"expected exactly one of {', '.join(_RUNTIMES)}, got {' and '.join(named) or 'none'}",
            )
            continue
        if why := source_of(spec, service.source, _RUNTIMES[named[0]]):
            yield (*place, "source"), why
    asked = {fact.source for fact in spec.fact if fact.source}
    for index, service in enumerate(spec.service):
        if service.source in asked:
            yield (
                ("service", index, "source"),
                f"facts are read from {service.source!r} too; give them a source of their own with url_of",
            )


def _facts(spec: schema.StackFile) -> Iterator[Complaint]:
    for index, fact in enumerate(spec.fact):
        place: Place = ("fact", index)
        for key, text in (*query(spec, fact), *_typing(fact), *_thresholds(fact), *_words(fact)):
            yield (*place, *key), text


def _typing(fact: schema.FactSpec) -> Iterator[Complaint]:
    has_time = fact.observed is not None or fact.type == "time"
    if fact.max_age is not None and not has_time:
        yield ("max_age",), "needs observed, the answer's own timestamp, or type time"
    if fact.where and fact.type not in ("table", "count"):
        yield ("where",), f"rows are of a table or a count, but this fact is of type {fact.type}"


def _thresholds(fact: schema.FactSpec) -> Iterator[Complaint]:
    limits = {name: value for name in _LIMITS if (value := getattr(fact, name)) is not None}
    for name, value in limits.items():
        if not math.isfinite(value):
            yield (name,), "expected a finite number"
        if fact.type not in _NUMBERS:
            hint = "max_age" if fact.type == "time" else "words in ok, warn and crit"
            yield (name,), f"a threshold needs a number, but this is a {fact.type} fact; expected {hint}"
    orders: tuple[tuple[str, str, Callable[[float, float], bool], str], ...] = (
        ("warn_above", "crit_above", lambda a, b: a > b, "above"),
        ("warn_below", "crit_below", lambda a, b: a < b, "below"),
        ("warn_below", "warn_above", lambda a, b: a > b, "above"),
        ("crit_below", "crit_above", lambda a, b: a > b, "above"),
        ("warn_below", "crit_above", lambda a, b: a > b, "above"),
        ("crit_below", "warn_above", lambda a, b: a > b, "above"),
    )
    for one, other, is_wrong, how in orders:
        if one in limits and other in limits and is_wrong(limits[one], limits[other]):
            # No name in front of the numbers: the place already says the key of the first one.
            yield (one,), f"{limits[one]:g} is {how} {other} {limits[other]:g}"


def _words(fact: schema.FactSpec) -> Iterator[Complaint]:
    seen: dict[str, str] = {}
    for level in LEVELS:
        words = getattr(fact, level)
        if words and fact.type not in _WORDED:
            yield (level,), f"words need a fact of type {', '.join(_WORDED)}, but this one is {fact.type}"
        if words and any(getattr(fact, limit) is not None for limit in _LIMITS):
            yield (level,), "expected either words or thresholds, got both"
        for index, raw in enumerate(words):
            text = word(raw)
            if fact.type == "bool" and text not in ("true", "false"):
                yield (level, index), f"expected true or false, got {text!r}"
            if text in seen:
                yield (level, index), f"{text!r} stands under {seen[text]} already"
            seen[text] = level


def _trading(spec: schema.StackFile) -> Iterator[Complaint]:
    yield from _halt_path(spec)
    yield from _gates(spec)
    facts = spec.facts
    gates = [gate.fact for gate in spec.trading.gate]
    for index, echo in enumerate(spec.trading.echo):
        if why := known(echo.gate, gates, "gate"):
            yield ("trading", "echo", index, "gate"), why
        if why := known(echo.fact, facts, "fact"):
            yield ("trading", "echo", index, "fact"), why
    for index, evidence in enumerate(spec.evidence):
        if why := known(evidence.fact, facts, "fact"):
            yield ("evidence", index, "fact"), why
        yield from _about(spec, ("evidence", index), evidence.service)
        for text in not_said_by(facts[evidence.fact], [evidence.word]):
            yield ("evidence", index, "word"), text


def _halt_path(spec: schema.StackFile) -> Iterator[Complaint]:
    place: Place = ("trading", "halt_path")
    path = spec.trading.halt_path
    if (path == NO_PATH) != (not spec.trading.gate):
        yield place, "'none' goes with no [[trading.gate]], and only with that"
    if path != NO_PATH:
        procedures = {procedure.id: procedure for procedure in spec.procedure}
        if why := known(path, procedures, "procedure"):
            yield place, why
        if procedures[path].risk != "stop":
            yield place, f"procedure {path!r} is of risk {procedures[path].risk}; expected risk stop"


def _gates(spec: schema.StackFile) -> Iterator[Complaint]:
    facts = spec.facts
    names = [gate.fact for gate in spec.trading.gate]
    for index, gate in enumerate(spec.trading.gate):
        place: Place = ("trading", "gate", index)
        if why := known(gate.fact, facts, "fact"):
            yield (*place, "fact"), why
        if gate.fact in names[:index]:
            yield (*place, "fact"), f"{gate.fact!r} is a gate already"
        yield from _about(spec, place, gate.service)
        both = {word(raw) for raw in gate.trading} & {word(raw) for raw in gate.halted}
        if both:
            yield (*place, "halted"), f"{sorted(both)[0]!r} means trading already; expected another word"
        for key in ("trading", "halted"):
            for text in not_said_by(facts[gate.fact], getattr(gate, key)):
                yield (*place, key), text


def _about(spec: schema.StackFile, place: Place, service: str | None) -> Iterator[Complaint]:
    names = [each.name for each in spec.service]
    if service is not None and (why := known(service, names, "service")):
        yield (*place, "service"), why


def _reassertions(spec: schema.StackFile) -> Iterator[Complaint]:
    for index, gate in enumerate(spec.trading.gate):
        if gate.reassert is not None:
            for place, text in _reassertion(spec, gate, gate.reassert):
                yield ("trading", "gate", index, "reassert", *place), text


def _reassertion(
    spec: schema.StackFile, gate: schema.GateRow, how: schema.ReassertRow
) -> Iterator[Complaint]:
    facts = spec.facts
    for key in ("since", "released"):
        name = getattr(how, key)
        if why := known(name, facts, "fact"):
            yield (key,), why
        elif facts[name].type != "time":
            yield (key,), f"fact {name!r} is of type {facts[name].type}; expected type time"
    procedures = {procedure.id: procedure for procedure in spec.procedure}
    if why := known(how.by, procedures, "procedure"):
        yield ("by",), why
        return
    halted = {word(raw) for raw in gate.halted}
    proofs = [p for step in procedures[how.by].step for p in step.proof if p.fact == gate.fact]
    closes = any(proof.equals != [] and set(words_of(proof.equals)) <= halted for proof in proofs)
    if procedures[how.by].risk != "stop" or not closes:
        yield ("by",), f"{how.by!r} is not a stop whose proof is that {gate.fact!r} reads halted"


def _alarms(spec: schema.StackFile) -> Iterator[Complaint]:
    facts = spec.facts
    for index, alarm in enumerate(spec.alarm):
        if why := known(alarm.fact, facts, "fact"):
            yield ("alarm", index, "fact"), why
        yield from _about(spec, ("alarm", index), alarm.service)
        fact = facts[alarm.fact]
        heeded = _HEEDED[alarm.at]
        limits = [getattr(fact, f"{level}_{side}", None) for level in heeded for side in ("above", "below")]
        # With any words listed, one that is not is crit.
        can_be = _lists_words(fact) or fact.missing in heeded or any(it is not None for it in limits)
        if alarm.at != "unknown" and not can_be:
            yield (
                ("alarm", index, "at"),
                f"fact {fact.id!r} is never {alarm.at}; expected words or a threshold",
            )
        for number, raw in enumerate(alarm.words):
            for text in _unheard(fact, word(raw), heeded):
                yield ("alarm", index, "words", number), text


def _unheard(fact: schema.FactSpec, text: str, heeded: Sequence[str]) -> Iterator[str]:
    """Why an alarm that heeds these levels is never raised while its fact reads ``text``."""
    if text not in ("(missing)", "(other)"):
        yield from not_said_by(fact, [text])
    elif text == "(other)" and not _lists_words(fact):
        yield f"fact {fact.id!r} lists no words; expected some, for another one to be seen"
    said: dict[str, str] = {"(missing)": fact.missing, "(other)": "crit"}
    said |= {word(raw): level for level in LEVELS for raw in getattr(fact, level)}
    # When what it reads has grown old, any word is unknown.
    if "unknown" not in heeded and said.get(text, "crit") not in heeded:
        yield f"{text!r} of fact {fact.id!r} is {said[text]}; expected one that is {' or '.join(heeded)}"


def _lists_words(fact: schema.FactSpec) -> bool:
    return any(getattr(fact, level) for level in LEVELS)


def _watched(spec: schema.StackFile) -> Iterator[Complaint]:
    """What is never polled is never known: no switch, no evidence and no alarm rests on it. What was heard is
    known to who polls it alone: no switch and no evidence rests on that."""
    unwatched = {fact.id for fact in spec.fact if fact.on_demand}
    named: list[tuple[Place, str]] = [
        *((("trading", "gate", i, "fact"), row.fact) for i, row in enumerate(spec.trading.gate)),
        *((("trading", "echo", i, "fact"), row.fact) for i, row in enumerate(spec.trading.echo)),
        *((("evidence", i, "fact"), row.fact) for i, row in enumerate(spec.evidence)),
        *((("alarm", i, "fact"), row.fact) for i, row in enumerate(spec.alarm)),
    ]
    for index, gate in enumerate(spec.trading.gate):
        for key in ("since", "released") if gate.reassert is not None else ():
            named.append((("trading", "gate", index, "reassert", key), getattr(gate.reassert, key)))
    for place, name in named:
        if name in unwatched:
            yield place, f"{name!r} is read on demand alone; expected a fact that is polled"
        if name in spec.heard and place[0] != "alarm":
            yield place, f"{name!r} {UNHEARD}"


def _logs(spec: schema.StackFile) -> Iterator[Complaint]:
    for index, pattern in enumerate(spec.logs.patterns):
        try:
            # Of bytes, as lines are: each is compiled once, here.
            groups = re.compile(pattern.encode()).groupindex
        except re.error as error:
            yield ("logs", "patterns", index), f"not a regular expression: {error}"
            continue
        if "level" not in groups:
            yield ("logs", "patterns", index), "expected a group (?P<level>…)"
