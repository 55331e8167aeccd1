"""A procedure of a stack file becomes the model's."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from backends.model.action import (
    Action,
    Attest,
    Command,
    DockerCopy,
    DockerExec,
    DockerPrune,
    DockerRemove,
    DockerTag,
    DockerVerb,
    FileEdit,
    HttpCall,
    Observe,
    ProcessSignal,
    RedisTransition,
    RedisUnit,
    RedisWrite,
    SqlStatement,
    SystemdVerb,
    Wait,
)
from backends.model.condition import Condition, Each, Param
from backends.model.procedure import Procedure, Proof, RiskClass, Step
from backends.model.stack import Source
from backends.stacks import schema
from backends.stacks import schema_do as do
from backends.stacks.build_check import build_condition
from backends.stacks.docker_env import docker_env, is_here
from backends.stacks.naming import words_of
from backends.stacks.places import SERVER, one_server, with_addresses, with_folders, with_servers
from backends.stacks.schema_check import RequireRow


def build_procedure(item: schema.ProcedureSpec, sources: Mapping[str, Source]) -> Procedure:
    """``sources`` as they are in use: commands, and what is done by hand, name their addresses."""
    return Procedure(
        id=item.id,
        title=item.title,
        risk=RiskClass(item.risk),
        summary=item.summary,
        will_not=tuple(item.will_not),
        fallback=with_addresses(with_folders(item.fallback, sources), sources),
        steps=tuple(_step(step, sources) for step in item.step),
        shows=tuple(item.shows),
        reversible_by=item.reversible_by,
        further=item.further,
        note=item.note,
        done=item.done,
        not_done=item.not_done,
        section=item.section,
        runbook=tuple(item.runbook),
        requires=tuple(map(_required, item.require)),
        held_for=item.held_for,
        params=tuple(_param(row) for row in item.param),
        challenge=item.challenge,
        phrase=item.phrase,
        needs_approval=item.needs_approval,
        warnings=tuple(item.warnings),
        seen=item.seen,
        quiet=item.quiet,
        starts=tuple(item.starts),
    )


def _required(row: RequireRow) -> Condition:
    return replace(build_condition(row, row.id, row.because), unchanged_for=row.unchanged_for)


def _param(row: schema.ParamRow) -> Param:
    made = Param(
        name=row.name,
        label=row.label,
        fact=row.fact,
        column=row.column,
        is_service=row.service,
        one_of=tuple(row.one_of),
        is_secret=row.secret,
        max_auth_age=row.max_auth_age,
    )
    return made if row.pattern is None else replace(made, pattern=row.pattern)


def _step(item: schema.StepSpec, sources: Mapping[str, Source]) -> Step:
    return Step(
        id=item.id,
        title=item.title,
        action=_action(item.do, sources),
        proof=tuple(_proof(row) for row in item.proof),
        connect=item.connect,
        deadline=item.deadline,
        after=item.after,
        target=item.target,
        unless=item.unless,
        waits_for=item.waits_for,
        is_pre_authorised=item.pre_authorised,
        each=None if item.each is None else Each(item.each.fact, tuple(item.each.columns), item.each.where),
        is_idempotent=item.idempotent,
        is_once=item.once,
        goes_on=item.on_failure == "continue",
    )


def _proof(row: schema.ProofRow) -> Proof:
    return Proof(
        fact=row.fact,
        equals=tuple(words_of(row.equals)),
        within=row.within,
        at_most=0.0 if row.zero else row.at_most,
        at_least=row.at_least,
        where=row.where,
        reads=row.reads,
        is_restarted=row.restarted,
        is_missing=row.missing,
        is_newer=row.newer,
        kept=row.kept,
        otherwise=row.otherwise,
    )


def _action(what: do.Do, sources: Mapping[str, Source]) -> Action:  # noqa: PLR0911, PLR0912 (one case a kind of step)
    match what:
        case do.HttpCallSpec():
            return HttpCall(
                what.source, what.method, what.path, what.body, tuple(what.expect), what.already, what.auth
            )
        case do.RedisTransitionSpec():
            return _transition(what)
        case do.RedisWriteSpec():
            return _write(what, what.source)
        case do.RedisUnitSpec():
            return RedisUnit(what.source, tuple(_write(part, what.source) for part in what.writes))
        case do.DockerVerbSpec():
            return DockerVerb(what.source, what.verb, what.service, what.grace, what.network, what.signal)
        case do.DockerExecSpec():
            output = None if what.output is None else with_folders(what.output, sources)
            return DockerExec(what.source, what.service, tuple(what.argv), what.user, output)
        case do.DockerCopySpec():
            return DockerCopy(what.source, what.service, what.path, with_folders(what.output, sources))
        case do.DockerRemoveSpec():
            return DockerRemove(what.source, what.container)
        case do.DockerTagSpec():
            return DockerTag(what.source, what.service, what.tag)
        case do.DockerPruneSpec():
            return DockerPrune(what.source, what.label, tuple(what.keep))
        case do.SystemdVerbSpec():
            return SystemdVerb(what.source, what.verb, what.unit)
        case do.ProcessSignalSpec():
            return ProcessSignal(what.source, what.command, what.pid, what.signal)
        case do.SqlStatementSpec():
            return SqlStatement(what.source, what.text.strip(), what.params, what.rows)
        case do.CommandSpec():
            return command_of(what, sources)
        case do.FileEditSpec():
            return _edit(what)
        case do.WaitSpec():
            return Wait(what.seconds)
        case do.AttestSpec():
            return Attest(what.text)
        case do.ObserveSpec():
            return Observe()


def command_of(what: do.CommandSpec, sources: Mapping[str, Source]) -> Command:
    """The program with every place in its texts filled in; ``$names`` of arguments and paths stay."""
    given = {
        name: with_servers(with_addresses(with_folders(text, sources), sources), sources)
        for name, text in what.given.items()
    }
    return Command(
        source=what.source,
        argv=tuple(with_addresses(with_folders(part, sources), sources) for part in what.argv),
        timeout=what.timeout,
        folder=None if what.folder is None else with_folders(what.folder, sources),
        env=tuple(what.env),
        ok=tuple(what.ok),
        output=None if what.output is None else with_folders(what.output, sources),
        given=given,
        secret=what.secret,
        engine={} if what.engine is None else docker_env(sources[what.engine]),
        stays=_stays(what, sources),
    )


def _stays(what: do.CommandSpec, sources: Mapping[str, Source]) -> str | None:
    if what.here is not None and not is_here(here := sources[what.here]):
        return f"acts on this machine, but {here.title} is at {here.url}"
    told = (sources[name] for text in what.given.values() for name, _ in SERVER.findall(text))
    several = next((source for source in told if not one_server(source)), None)
    return f"takes one host and port, but {several.title} is at {several.url}" if several else None


def _edit(what: do.FileEditSpec) -> FileEdit:
    return FileEdit(
        source=what.source,
        path=what.path,
        key=tuple(what.key),
        value=what.value,
        is_removed=what.remove,
        is_created=what.create,
        was=what.was,
    )


def _transition(what: do.RedisTransitionSpec) -> RedisTransition:
    return RedisTransition(
        source=what.source,
        key=what.key,
        state_field=what.state_field,
        allowed_from=tuple(what.allowed_from),
        target=what.target,
        set=what.set | dict.fromkeys(what.set_null),
        increment=tuple(what.increment),
        create=None if what.create is None else what.create | dict.fromkeys(what.create_null),
        history_key=what.history_key,
        history_entry=what.history_entry | dict.fromkeys(what.history_null),
        history_limit=what.history_limit,
        history_is_ranked=what.history_is_ranked,
        unchanged=what.unchanged,
        restamp=tuple(what.restamp),
    )


def _write(what: do.RedisPart, source: str) -> RedisWrite:
    return RedisWrite(
        source=source,
        op=what.op,
        key=what.key,
        value=what.value,
        fields=what.fields | dict.fromkeys(what.set_null),
        if_absent=what.if_absent,
        if_value=what.if_value,
        if_newest=what.if_newest,
        min_receivers=what.min_receivers,
        max_length=what.max_length,
        elapsed=what.elapsed,
        if_null=tuple(what.if_null),
        is_record=what.record,
    )
