"""What the types cannot say about a procedure in a stack file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import to_builtins

from backends.model.board import SERVICE
from backends.model.condition import Param
from backends.model.substitution import RESERVED, names_in
from backends.stacks import schema
from backends.stacks import schema_do as do
from backends.stacks.check_check import demanded, limited, named_fact
from backends.stacks.check_command import command, places
from backends.stacks.naming import (
    Complaint,
    each_choice,
    known,
    not_said_by,
    path_objection,
    source_of,
    trading_words,
    words_of,
)
from backends.stacks.places import FOLDER
from backends.stacks.schema_check import RequireRow
from backends.stacks.toml_lines import Place

_ANY = Param("", "").pattern
"""What a value must be when the stack file says nothing."""

_COUNTED = ("int", "float", "count", "table")
_UNPROVED = (do.WaitSpec, do.AttestSpec)
_PERSON = 60.0
_ENDING = (do.DockerVerbSpec, do.SystemdVerbSpec)
_KINDS: Mapping[type, tuple[str, ...]] = {
    do.RedisTransitionSpec: ("redis",),
    do.RedisWriteSpec: ("redis",),
    do.RedisUnitSpec: ("redis",),
    do.HttpCallSpec: ("http",),
    do.DockerVerbSpec: ("docker", "swarm"),
    do.DockerExecSpec: ("docker",),
    do.DockerCopySpec: ("docker",),
    do.DockerRemoveSpec: ("docker",),
    do.DockerTagSpec: ("docker",),
    do.DockerPruneSpec: ("docker",),
    do.SqlStatementSpec: ("postgres",),
    do.SystemdVerbSpec: ("systemd",),
    do.ProcessSignalSpec: ("host",),
    do.FileEditSpec: ("files",),
}


def procedures(spec: schema.StackFile) -> Iterator[Complaint]:
    """Everything that is wrong with the file's procedures."""
    for index, procedure in enumerate(spec.procedure):
        for key, text in (*_whole(spec, procedure), *_asks(spec, procedure), *_class(procedure)):
            yield ("procedure", index, *key), text
        for key, text in _ladders(procedure):
            yield ("procedure", index, *key), text
        for number, step in enumerate(procedure.step):
            wrong = (*_step(spec, procedure, step), *_goes_on(procedure, number), *_kept(procedure, number))
            for key, text in (*wrong, *_ajar(spec, procedure, number)):
                yield ("procedure", index, "step", number, *key), text


def _whole(spec: schema.StackFile, procedure: schema.ProcedureSpec) -> Iterator[Complaint]:
    facts = spec.facts
    if not procedure.step:
        yield (), "expected at least one [[procedure.step]]"
    if procedure.risk != "routine" and not procedure.fallback.strip():
        yield (), "fallback is missing; expected what to do by hand when this cannot be proved"
    yield from places(spec, "fallback", procedure.fallback)
    if procedure.risk == "stop" and not procedure.will_not:
        yield (), "will_not is missing; expected what a stop leaves as it is"
    for name in procedure.starts:
        if why := source_of(spec, name, "redis", "postgres"):
            yield ("starts",), why
    for number, name in enumerate(procedure.shows):
        if why := known(name, facts, "fact"):
            yield ("shows", number), why
    others = [other.id for other in spec.procedure if other.id != procedure.id]
    if procedure.reversible_by and (why := known(procedure.reversible_by, others, "procedure")):
        yield ("reversible_by",), why
    stops = [
        other.id
        for other in spec.procedure
        if other.id != procedure.id and other.risk == "stop" and not other.param
    ]
    if procedure.further and (why := known(procedure.further, stops, "other stop without a param")):
        yield ("further",), why


def _class(procedure: schema.ProcedureSpec) -> Iterator[Complaint]:
    """What a class of risk cannot do without, and what it must not ask for."""
    if procedure.risk == "market" and procedure.challenge is None:
        yield (), "challenge is missing; expected a fact whose live value is typed before the market is moved"
    if procedure.risk in ("restore", "market") and not procedure.require:
        yield (
            (),
            f"expected a [[procedure.require]]: nothing of risk {procedure.risk} runs blindly",
        )
    if procedure.risk != "market" and procedure.challenge is not None:
        yield ("challenge",), f"goes with risk market, but this is {procedure.risk}"
    if procedure.phrase and procedure.risk not in ("restore", "degrade"):
        yield ("phrase",), f"goes with risk restore or degrade, but this is {procedure.risk}"
    if procedure.starts and procedure.risk != "restore":
        yield ("starts",), "goes with a restore: nothing else wants to know what time its stores have"
    if procedure.risk == "stop" and (procedure.require or procedure.needs_approval):
        yield (), "a stop waits for nothing; expected neither require nor needs_approval"
    for key in ("quiet", "further"):
        if getattr(procedure, key) is not None and procedure.risk != "stop":
            yield (key,), f"goes with risk stop, but this is {procedure.risk}"


def _ladders(procedure: schema.ProcedureSpec) -> Iterator[Complaint]:
    """What ways of a stop say of each other."""
    steps = {step.id: step for step in procedure.step}
    targets = {step.target for step in procedure.step}
    for number, step in enumerate(procedure.step):
        place: Place = ("step", number)
        others = [other for other in procedure.step if other.target == step.target and other is not step]
        if procedure.risk != "stop":
            for key in ("unless", "waits_for", "pre_authorised"):
                if getattr(step, key):
                    yield (*place, key), f"goes with risk stop, but this is {procedure.risk}"
        elif isinstance(step.do, _ENDING) and others and not step.pre_authorised:
            yield (*place, "do"), "ends a service by itself: expected pre_authorised, or a stop of its own"
        if step.unless and (step.unless == step.target or step.unless not in targets):
            yield (*place, "unless"), f"there is no other target {step.unless!r}"
        elif step.unless and any(other.unless for other in procedure.step if other.target == step.unless):
            yield (*place, "unless"), f"{step.unless!r} stands in itself; no verdict rests on it"
        if step.unless and any(other.unless != step.unless for other in others):
            yield (*place, "unless"), "all steps of one target stand in for the same one"
        if step.waits_for and (why := known(step.waits_for, steps, "step")):
            yield (*place, "waits_for"), why
        elif step.waits_for and steps[step.waits_for].target == step.target:
            yield (*place, "waits_for"), "expected a step of another target"
    if any(step.pre_authorised for step in procedure.step) and not procedure.warnings:
        yield (), "it ends services: expected warnings that say what can then no longer be done"


def _asks(spec: schema.StackFile, procedure: schema.ProcedureSpec) -> Iterator[Complaint]:
    facts = spec.facts
    for number, row in enumerate(procedure.require):
        for chosen in each_choice(procedure, row):
            for key, text in _require(spec, procedure, chosen):
                yield ("require", number, *key), text
        if procedure.held_for and row.fact in facts and facts[row.fact].on_demand:
            yield ("require", number, "fact"), f"held_for needs what is polled, and {row.fact!r} is not"
    yield from _params(facts, procedure)
    for role, counted in (("challenge", procedure.challenge), ("quiet", procedure.quiet)):
        if counted is None:
            continue
        if why := known(counted, facts, "fact"):
            yield (role,), why
        elif facts[counted].type not in ("int", "count"):
            yield (role,), f"fact {counted!r} is of type {facts[counted].type}; expected a count"
    for name, fact in procedure.seen.items():
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or name in RESERVED:
            yield ("seen", name), "expected a name of small letters that is not taken"
        if why := known(fact, facts, "fact"):
            yield ("seen", name), why


def _params(facts: Mapping[str, schema.FactSpec], procedure: schema.ProcedureSpec) -> Iterator[Complaint]:
    for number, param in enumerate(procedure.param):
        place: Place = ("param", number)
        others = {*RESERVED, *procedure.seen, *(other.name for other in procedure.param[:number])}
        if param.name in others:
            yield (*place, "name"), f"{param.name!r} has a meaning already; expected another name"
        if (param.fact is None) != (param.column is None):
            yield place, "fact and column go together"
        if param.fact is not None and (why := _table(facts, param.fact)):
            yield (*place, "fact"), why
        if param.max_auth_age is not None and not param.secret:
            yield (*place, "max_auth_age"), "goes with an ID token, which is secret = true"
        try:
            allowed = re.compile(_ANY if param.pattern is None else param.pattern)
        except re.error as error:
            yield (*place, "pattern"), f"not a regular expression: {error}"
            continue
        for value in param.one_of:
            if not allowed.fullmatch(value):
                yield (*place, "one_of"), f"{value!r} does not match the pattern and could never be chosen"


def _unwatched(spec: schema.StackFile, row: RequireRow) -> str:
    """Why nobody could say for how long it has read the same."""
    fact = spec.facts.get(row.fact)
    if "$" in row.fact:
        return f"needs a fact that is known before, and {row.fact!r} depends on a choice that is not listed"
    if fact is not None and (fact.on_demand or fact.derive is not None):
        return f"needs what a source is polled for, and {row.fact!r} is not"
    return f"needs a single value, but {row.fact!r} is a table" if fact and fact.type == "table" else ""


def _require(spec: schema.StackFile, procedure: schema.ProcedureSpec, row: RequireRow) -> Iterator[Complaint]:
    yield from demanded(spec, row)
    if row.unchanged_for is not None and (why := _unwatched(spec, row)):
        yield ("unchanged_for",), why
    # What is chosen is known when preconditions are weighed; what else steps may name is not.
    chosen = {param.name for param in procedure.param}
    for key in ("fact", "because", "where"):
        yield from _unnamed(getattr(row, key), chosen, (key,))


def _step(
    spec: schema.StackFile, procedure: schema.ProcedureSpec, step: schema.StepSpec
) -> Iterator[Complaint]:
    if not step.proof and not isinstance(step.do, _UNPROVED):
        yield (), "proof is missing; expected a fact that is read back, such as {fact = …, equals = …}"
    if step.once and procedure.risk != "stop":
        yield ("once",), f"goes with risk stop, but this is {procedure.risk}"
    yield from _waiting(procedure, step)
    for number, proof in enumerate(step.proof):
        for chosen in each_choice(procedure, proof):
            for key, text in _proof(spec, chosen, procedure.risk == "stop"):
                yield ("proof", number, *key), text
        yield from _names(procedure, step.each, proof.where, ("proof", number, "where"))
        yield from _names(procedure, step.each, words_of(proof.equals), ("proof", number, "equals"))
    if step.each is not None:
        if why := _table(spec.facts, step.each.fact):
            yield ("each", "fact"), why
        yield from _names(procedure, None, step.each.where, ("each", "where"))
    secret = {param.name for param in procedure.param if param.secret}
    if isinstance(step.do, (do.CommandSpec, do.DockerExecSpec)) and secret & names_in(step.do.argv):
        yield ("do", "argv"), "a secret never stands among arguments: everybody on this host can read them"
    for key, value in to_builtins(step.do).items():
        if key != "text" or not isinstance(step.do, do.SqlStatementSpec):
            yield from _names(procedure, step.each, value, ("do", key))
    yield from _names(procedure, step.each, step.target, ("target",))
    for key, text in _action(spec, procedure, step):
        yield ("do", *key), text


def _waiting(procedure: schema.ProcedureSpec, step: schema.StepSpec) -> Iterator[Complaint]:
    if isinstance(step.do, _UNPROVED) and procedure.risk == "stop":
        yield ("do",), "a stop waits for nobody"
    if isinstance(step.do, do.AttestSpec) and step.deadline < _PERSON:
        yield (), f"deadline is missing or short; a person needs {_PERSON:g} s or more to confirm"


def _goes_on(procedure: schema.ProcedureSpec, number: int) -> Iterator[Complaint]:
    """A look after which nothing comes may fail: nothing is allowed by it."""
    step, is_last = procedure.step[number], number == len(procedure.step) - 1
    is_harmless = is_last and isinstance(step.do, do.ObserveSpec)
    if procedure.risk == "restore" and step.on_failure == "continue" and not is_harmless:
        yield (
            ("on_failure",),
            "a restore ends at its first failure, still halted; only a last observe may go on",
        )


def _ajar(spec: schema.StackFile, procedure: schema.ProcedureSpec, at: int) -> Iterator[Complaint]:
    """After a wait a restore ends at whatever has turned false: trading must not be on by then, half-way."""
    steps = procedure.step
    is_between = isinstance(steps[at].do, _UNPROVED) and any(map(_acts, steps[at:]))
    proofs = [each for step in steps[:at] for row in step.proof for each in each_choice(procedure, row)]
    if procedure.risk == "restore" and is_between and any(trading_words(spec, proof) for proof in proofs):
        yield ("do",), "trading is on by then; expected to wait before that, or after all that acts"


def _kept(procedure: schema.ProcedureSpec, at: int) -> Iterator[Complaint]:
    """A stop's steps run side by side: only elsewhere one comes before another."""
    earlier = [] if procedure.risk == "stop" else [step for step in procedure.step[:at] if step.each is None]
    read = {step.id: {proof.fact for proof in step.proof} for step in earlier}
    for number, proof in enumerate(procedure.step[at].proof):
        if proof.kept is not None and proof.fact not in read.get(proof.kept, ()):
            yield (
                ("proof", number, "kept"),
                f"no step {proof.kept!r} before this one reads {proof.fact!r}, once",
            )


def _action(
    spec: schema.StackFile, procedure: schema.ProcedureSpec, step: schema.StepSpec
) -> Iterator[Complaint]:
    what = step.do
    kinds = _KINDS.get(type(what))
    source = getattr(what, "source", "")
    if kinds is not None and (why := source_of(spec, source, *kinds)):
        yield ("source",), why
    if isinstance(what, do.HttpCallSpec) and (why := path_objection(what.path)):
        yield ("path",), why
    if isinstance(what, do.RedisTransitionSpec):
        yield from _transition(what)
    if isinstance(what, (do.DockerVerbSpec, do.DockerExecSpec, do.DockerCopySpec, do.DockerTagSpec)):
        yield from _container(spec, procedure, step, what)
    if isinstance(what, do.FileEditSpec):
        yield from _edit(what)
    if isinstance(what, do.CommandSpec):
        yield from command(spec, what)


def _container(
    spec: schema.StackFile,
    procedure: schema.ProcedureSpec,
    step: schema.StepSpec,
    what: do.DockerVerbSpec | do.DockerExecSpec | do.DockerCopySpec | do.DockerTagSpec,
) -> Iterator[Complaint]:
    """What is done to, or in, the container of a service."""
    services = [service.name for service in spec.service]
    chosen = [f"${param.name}" for param in procedure.param if param.service]
    # A column is checked when it is acted upon: the writer takes services of the stack only.
    chosen += [f"${column}" for column in (step.each.columns if step.each is not None else ())]
    if what.service not in chosen and (why := known(what.service, services, "service")):
        yield ("service",), why
    if isinstance(what, do.DockerVerbSpec):
        if (what.verb in ("connect", "disconnect")) != (what.network is not None):
            yield ("network",), "goes with connect and disconnect, and they need it"
        if (what.verb == "signal") != (what.signal is not None):
            yield ("signal",), "goes with the verb signal, and that needs it"
    if isinstance(what, (do.DockerExecSpec, do.DockerCopySpec)) and what.output is not None:
        yield from places(spec, "output", what.output)
        if not what.output.startswith("/") and not FOLDER.match(what.output):
            yield ("output",), "expected a full path, or one below {SOURCE.path}"


def _edit(what: do.FileEditSpec) -> Iterator[Complaint]:
    if not re.search(r"(\.ya?ml|\.toml|\.env)$", what.path) or ".." in what.path.split("/"):
        yield ("path",), "expected the path of a .yaml, .yml, .toml or .env file, without '..'"
    if (what.value is None) != what.remove:
        yield ("value",), "expected either a value or remove = true"
    if what.was is None and not (what.remove or what.create or what.path.endswith(".env")):
        yield (), "was is missing; expected what the operator saw, such as $enabled with seen = {enabled = …}"


def _names(
    procedure: schema.ProcedureSpec, each: schema.EachSpec | None, template: Any, place: Place
) -> Iterator[Complaint]:
    """Names in ``template`` that nothing gives a value."""
    wanted = {*RESERVED, *(param.name for param in procedure.param), *procedure.seen}
    wanted |= set(each.columns if each is not None else ())
    yield from _unnamed(template, wanted, place)


def _unnamed(template: Any, wanted: set[str], place: Place) -> Iterator[Complaint]:
    for name in sorted(names_in(template) - wanted):
        options = ", ".join(f"${option}" for option in sorted(wanted))
        expected = f"one of: {options}" if options else "no name, for nothing is chosen"
        yield place, f"${name} has no value; expected {expected}"


def _proof(spec: schema.StackFile, proof: schema.ProofRow, is_stop: bool) -> Iterator[Complaint]:
    words = words_of(proof.equals)
    limits = (proof.at_most, proof.at_least)
    is_said = proof.zero or proof.restarted or proof.missing or proof.newer or limits != (None, None)
    is_said = is_said or proof.kept is not None
    if not (words or is_said):
        yield ("equals",), "expected a word to read back, got nothing"
    if proof.restarted and not proof.fact.startswith(SERVICE):
        yield ("restarted",), f"needs a service: fact = {SERVICE}NAME"
    yield from _read(spec, proof, words)
    if is_stop and proof.at_least is not None and proof.at_least <= 0 and proof.at_most is None:
        yield ("at_least",), "any count is; a stop cannot be proved by it"
    for text in trading_words(spec, proof) if is_stop else ():
        yield ("equals",), f"{text!r} allows trading; a stop cannot be proved by it"


def _read(spec: schema.StackFile, row: schema.ProofRow, words: list[str]) -> Iterator[Complaint]:
    fact = yield from named_fact(spec, row.fact)
    if fact is None:
        return
    for text in not_said_by(fact, words):
        yield ("equals",), text
    if row.newer and fact.observed is None and (fact.type != "time" or fact.max_age is None):
        yield ("newer",), f"fact {fact.id!r} says no time of its own; expected observed, or max_age on a time"
    if row.kept is not None and fact.type not in _COUNTED:
        yield ("kept",), f"needs a number, but {fact.id!r} is {fact.type}"
    if row.kept is not None and row.at_least is not None:
        yield ("kept",), "expected either kept or at_least, got both"
    yield from limited(row, fact)


def _table(facts: Mapping[str, schema.FactSpec], name: str) -> str | None:
    if why := known(name, facts, "fact"):
        return why
    kind = facts[name].type
    return None if kind == "table" else f"fact {name!r} is of type {kind}; expected a table"


def _acts(step: schema.StepSpec) -> bool:
    return not isinstance(step.do, (*_UNPROVED, do.ObserveSpec))


def _transition(what: do.RedisTransitionSpec) -> Iterator[Complaint]:
    if what.target in what.allowed_from:
        yield ("allowed_from",), f"holds the target {what.target!r}; being there already is no change"
    for key in ("set", "create"):
        written = (getattr(what, key) or {}).get(what.state_field, what.target)
        if written != what.target:
            yield (key, what.state_field), f"{written!r} is not the target {what.target!r}"
    if what.create is not None and what.state_field not in what.create:
        yield ("create",), f"{what.state_field} is missing; expected the whole object"
