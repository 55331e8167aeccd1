"""What the types cannot say about a stack file: references, contradictions, and what must not be missing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from backends.model.substitution import RESERVED, names_in
from backends.stacks import address, schema
from backends.stacks.statement import objection
from backends.stacks.toml_file import TomlFile
from backends.stacks.toml_lines import Place

Complaint = tuple[Place, str]
"""Where, and what is wrong there."""

_BOUNDED = ("lrange", "zrange", "zrevrange", "xrevrange")
_ANSWERS = {"redis": "redis", "sql": "postgres", "http": "http"}
_NUMBERS = ("int", "float", "count", "table")
_WORDED = ("text", "bool", "int")
_LEVELS = ("ok", "info", "warn", "crit")
_LIMITS = ("warn_above", "crit_above", "warn_below", "crit_below")
NO_PATH = "none"
_ADDRESS = re.compile(r"\{([a-z0-9-]+)\.url\}")


def check(file: TomlFile, spec: schema.StackFile) -> None:
    """Raises ConfigError for the first thing in ``spec`` that cannot be meant."""
    for rule in (_unique, _sources, _services, _facts, _trading, _alarms, _logs, _procedures):
        for place, text in rule(spec):
            raise file.error(place, text)


def word(raw: schema.Word) -> str:
    """A word as readings show it: flags are ``true`` and ``false``."""
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


def path_objection(path: str) -> str | None:
    """What is wrong with a request path, or None."""
    if not path.startswith("/") or path.startswith("//"):
        return "expected a path that starts with one '/'"
    if not re.fullmatch(r"[!-~]+", path):
        return "expected a path without spaces and control characters; write them as %20"
    return None


def _known(name: str, names: Iterable[str], what: str) -> str | None:
    options = list(names)
    if name in options:
        return None
    near = get_close_matches(name, options, n=1)
    return f"there is no {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _unique(spec: schema.StackFile) -> Iterator[Complaint]:
    yield from _repeated("service", [item.name for item in spec.service], "name")
    yield from _repeated("fact", [item.id for item in spec.fact], "id")
    yield from _repeated("alarm", [item.id for item in spec.alarm], "id")
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
            if why := _known(source.url_of, spec.source, "source"):
                yield (*place, "url_of"), why
            other = spec.source[source.url_of]
            if other.kind != source.kind or other.url is None:
                yield (*place, "url_of"), f"expected a source of kind {source.kind} that has a url itself"
        if source.deadline > source.every:
            yield (*place, "deadline"), f"{source.deadline:g} s is longer than every {source.every:g} s"
        if source.auth != "none" and source.kind != "http":
            yield (*place, "auth"), f"a {source.kind} source has no auth; expected it on an http source"


def _services(spec: schema.StackFile) -> Iterator[Complaint]:
    for index, service in enumerate(spec.service):
        if why := _source_of(spec, service.source, "docker"):
            yield ("service", index, "source"), why


def _source_of(spec: schema.StackFile, name: str, kind: str) -> str | None:
    if why := _known(name, spec.source, "source"):
        return why
    found = spec.source[name].kind
    return None if found == kind else f"source {name!r} is of kind {found}; expected kind {kind}"


def _facts(spec: schema.StackFile) -> Iterator[Complaint]:
    for index, fact in enumerate(spec.fact):
        place: Place = ("fact", index)
        for key, text in (*_query(spec, fact), *_typing(fact), *_thresholds(fact), *_words(fact)):
            yield (*place, *key), text


def _query(spec: schema.StackFile, fact: schema.FactSpec) -> Iterator[Complaint]:
    asked = [name for name in _ANSWERS if getattr(fact, name) is not None]
    if len(asked) != 1:
        yield (), f"expected exactly one of redis, sql, http, got {' and '.join(asked) or 'none'}"
        return
    if why := _source_of(spec, fact.source, _ANSWERS[asked[0]]):
        yield ("source",), why
    if fact.redis is not None:
        yield from ((("redis", *key), text) for key, text in _redis(fact.redis))
    elif fact.sql is not None:
        if why := objection(fact.sql):
            yield ("sql",), why
    elif fact.http is not None:
        if why := path_objection(fact.http.path):
            yield ("http", "path"), why
        if fact.http.body == "prometheus" and fact.pick is None:
            yield (), "a prometheus answer needs pick, the name of the metric"


def _redis(read: schema.RedisRead) -> Iterator[Complaint]:
    asked = [name for name in schema.REDIS_OPERATIONS if getattr(read, name) is not None]
    if len(asked) != 1:
        yield (), f"expected exactly one operation of {', '.join(schema.REDIS_OPERATIONS)}, got {len(asked)}"
        return
    operation = asked[0]
    if not getattr(read, operation):
        yield (operation,), "expected a key, got nothing"
    if (read.field is not None) != (operation in ("hget", "info")):
        yield (), "field goes with hget and info, and they need it"
    is_bounded = (read.start < 0) == (read.stop < 0) and read.stop >= read.start
    if operation in _BOUNDED and not (is_bounded and read.stop - read.start < 1000):
        yield (), f"{operation} needs bounds: start and stop, at most 1000 items apart"


def _typing(fact: schema.FactSpec) -> Iterator[Complaint]:
    has_time = fact.observed is not None or fact.type == "time"
    if fact.max_age is not None and not has_time:
        yield ("max_age",), "needs observed, the answer's own timestamp, or type time"


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
    for level in _LEVELS:
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
    facts = {fact.id: fact for fact in spec.fact}
    gates = [gate.fact for gate in spec.trading.gate]
    for index, echo in enumerate(spec.trading.echo):
        if why := _known(echo.gate, gates, "gate"):
            yield ("trading", "echo", index, "gate"), why
        if why := _known(echo.fact, facts, "fact"):
            yield ("trading", "echo", index, "fact"), why
    for index, evidence in enumerate(spec.evidence):
        if why := _known(evidence.fact, facts, "fact"):
            yield ("evidence", index, "fact"), why
        for text in _not_said_by(facts[evidence.fact], [evidence.word]):
            yield ("evidence", index, "word"), text


def _halt_path(spec: schema.StackFile) -> Iterator[Complaint]:
    place: Place = ("trading", "halt_path")
    path = spec.trading.halt_path
    if (path == NO_PATH) != (not spec.trading.gate):
        yield place, "'none' goes with no [[trading.gate]], and only with that"
    if path != NO_PATH:
        procedures = {procedure.id: procedure for procedure in spec.procedure}
        if why := _known(path, procedures, "procedure"):
            yield place, why
        if procedures[path].risk != "stop":
            yield place, f"procedure {path!r} is of risk {procedures[path].risk}; expected risk stop"


def _gates(spec: schema.StackFile) -> Iterator[Complaint]:
    facts = {fact.id: fact for fact in spec.fact}
    names = [gate.fact for gate in spec.trading.gate]
    for index, gate in enumerate(spec.trading.gate):
        place: Place = ("trading", "gate", index)
        if why := _known(gate.fact, facts, "fact"):
            yield (*place, "fact"), why
        if gate.fact in names[:index]:
            yield (*place, "fact"), f"{gate.fact!r} is a gate already"
        both = {word(raw) for raw in gate.trading} & {word(raw) for raw in gate.halted}
        if both:
            yield (*place, "halted"), f"{sorted(both)[0]!r} means trading already; expected another word"
        for key in ("trading", "halted"):
            for text in _not_said_by(facts[gate.fact], getattr(gate, key)):
                yield (*place, key), text


def _not_said_by(fact: schema.FactSpec, words: Iterable[schema.Word]) -> Iterator[str]:
    """A word that the fact does not list: a slip that would make a switch or a proof never match."""
    known = [word(raw) for level in _LEVELS for raw in getattr(fact, level)]
    if not known and fact.type == "bool":
        known = ["true", "false"]
    for raw in words:
        if known and word(raw) not in known:
            yield f"{word(raw)!r} is no word of fact {fact.id!r}; expected one of: {', '.join(known)}"


def _alarms(spec: schema.StackFile) -> Iterator[Complaint]:
    facts = {fact.id: fact for fact in spec.fact}
    for index, alarm in enumerate(spec.alarm):
        if why := _known(alarm.fact, facts, "fact"):
            yield ("alarm", index, "fact"), why
        fact = facts[alarm.fact]
        has_words = any(getattr(fact, level) for level in _LEVELS)
        has_limit = fact.crit_above is not None or fact.crit_below is not None
        if alarm.at == "crit" and not (has_words or has_limit or fact.missing == "crit"):
            yield (
                ("alarm", index, "at"),
                f"fact {fact.id!r} is never crit; expected words or a threshold",
            )


def _logs(spec: schema.StackFile) -> Iterator[Complaint]:
    for index, pattern in enumerate(spec.logs.patterns):
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            yield ("logs", "patterns", index), f"not a regular expression: {error}"
            continue
        if "level" not in groups:
            yield ("logs", "patterns", index), "expected a group (?P<level>…)"


def _procedures(spec: schema.StackFile) -> Iterator[Complaint]:
    facts = {fact.id: fact for fact in spec.fact}
    for index, procedure in enumerate(spec.procedure):
        place: Place = ("procedure", index)
        if not procedure.step:
            yield place, "expected at least one [[procedure.step]]"
        if procedure.risk != "routine" and not procedure.fallback.strip():
            yield place, "fallback is missing; expected what to do by hand when this cannot be proved"
        for name in named_sources(procedure.fallback):
            if why := _known(name, spec.source, "source"):
                yield (*place, "fallback"), why
        if procedure.risk == "stop" and not procedure.will_not:
            yield place, "will_not is missing; expected what a stop leaves as it is"
        for number, name in enumerate(procedure.shows):
            if why := _known(name, facts, "fact"):
                yield (*place, "shows", number), why
        others = [other.id for other in spec.procedure if other.id != procedure.id]
        if procedure.reversible_by and (why := _known(procedure.reversible_by, others, "procedure")):
            yield (*place, "reversible_by"), why
        for number, step in enumerate(procedure.step):
            for key, text in _step(spec, procedure, step):
                yield (*place, "step", number, *key), text


def _step(
    spec: schema.StackFile, procedure: schema.ProcedureSpec, step: schema.StepSpec
) -> Iterator[Complaint]:
    if not step.proof:
        yield (), "proof is missing; expected a fact that is read back, such as {fact = …, equals = …}"
    for number, proof in enumerate(step.proof):
        for key, text in _proof(spec, proof, procedure.risk == "stop"):
            yield ("proof", number, *key), text
    do = step.do
    wanted = ", ".join(f"${name}" for name in sorted(RESERVED))
    for part in ("path", "body", "set", "create", "history_entry"):
        for name in sorted(names_in(getattr(do, part, None)) - RESERVED):
            yield ("do", part), f"${name} has no value; expected one of: {wanted}"
    if isinstance(do, schema.HttpCallSpec):
        if why := _source_of(spec, do.source, "http"):
            yield ("do", "source"), why
        if why := path_objection(do.path):
            yield ("do", "path"), why
    else:
        if why := _source_of(spec, do.source, "redis"):
            yield ("do", "source"), why
        yield from _transition(do)


def _proof(spec: schema.StackFile, proof: schema.ProofRow, is_stop: bool) -> Iterator[Complaint]:
    facts = {fact.id: fact for fact in spec.fact}
    if why := _known(proof.fact, facts, "fact"):
        yield ("fact",), why
    words = words_of(proof)
    if not words:
        yield ("equals",), "expected a word to read back, got nothing"
    for text in _not_said_by(facts[proof.fact], words):
        yield ("equals",), text
    # Through an echo too: it speaks the words of its gate.
    gates = {proof.fact, *(echo.gate for echo in spec.trading.echo if echo.fact == proof.fact)}
    trading = {word(raw) for gate in spec.trading.gate if gate.fact in gates for raw in gate.trading}
    for text in sorted(trading & set(words)):
        if is_stop:
            yield ("equals",), f"{text!r} allows trading; a stop cannot be proved by it"


def _transition(do: schema.RedisTransitionSpec) -> Iterator[Complaint]:
    if do.target in do.allowed_from:
        yield ("do", "allowed_from"), f"holds the target {do.target!r}; being there already is no change"
    for key in ("set", "create"):
        written = (getattr(do, key) or {}).get(do.state_field, do.target)
        if written != do.target:
            yield ("do", key, do.state_field), f"{written!r} is not the target {do.target!r}"
    if do.create is not None and do.state_field not in do.create:
        yield ("do", "create"), f"{do.state_field} is missing; expected the whole object"


def named_sources(text: str) -> list[str]:
    """The sources whose address ``text`` names: ``{orchestrator.url}``."""
    return _ADDRESS.findall(text)


def with_addresses(text: str, urls: Mapping[str, str]) -> str:
    """``text`` with ``{NAME.url}`` replaced by the address that is in use."""
    return _ADDRESS.sub(lambda found: urls[found[1]].rstrip("/"), text)


def words_of(proof: schema.ProofRow) -> list[str]:
    """The words a proof accepts."""
    return [word(raw) for raw in (proof.equals if isinstance(proof.equals, list) else [proof.equals])]
