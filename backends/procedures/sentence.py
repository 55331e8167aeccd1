"""What came of a stop, in one sentence of the operator's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from backends.model.procedure import Procedure, ReceiptKind, RiskClass, Verdict
from backends.model.safetext import SafeText
from backends.model.stack import Source
from backends.procedures.climb import Climb
from backends.procedures.evidence import Sight
from backends.procedures.rung import Rung

LIMIT = 800


def sentence(
    procedure: Procedure,
    verdict: Verdict,
    climbs: Sequence[Climb],
    sources: Mapping[str, Source],
    took: float,
    unheard: str = "",
) -> SafeText:
    """``HALTED. Kill switch reads ENGAGED by kim, 0.31 s; via rung 2: Orchestrator; Redis: no answer …``

    ``unheard`` is what those did not say that must obey it.
    """
    # A stand-in that was not needed is not worth a word.
    told = [each for each in climbs if each.unless is None or any(rung.tries for rung in each.rungs)]
    parts = [_climb(climb, sources, took) for climb in told]
    if len(told) > 1:
        parts = [f"{climb.target}: {part}" for climb, part in zip(told, parts, strict=True)]
    doubt = f". But {unheard}" if unheard and verdict is Verdict.WRITTEN else ""
    return SafeText(f"{opening(procedure, verdict)}. {' | '.join(parts)}{doubt}", LIMIT)


def opening(procedure: Procedure, verdict: Verdict) -> str:
    """The verdict in the procedure's own word: HALTED, HALTED ALREADY, PARTLY HALTED, NOT HALTED …"""
    is_stop = procedure.risk is RiskClass.STOP
    done = procedure.done or ("HALTED" if is_stop else "DONE")
    not_done = procedure.not_done or f"NOT {done}"
    return {
        Verdict.VERIFIED: done,
        Verdict.ALREADY: f"{done} ALREADY",
        Verdict.WRITTEN: f"{done}, {Verdict.WRITTEN.value}",
        Verdict.PARTIAL: f"PARTLY {done}",
        Verdict.UNCONFIRMED: f"{Verdict.UNCONFIRMED.value}: treat as {not_done}",
    }.get(verdict, not_done)


def _climb(climb: Climb, sources: Mapping[str, Source], took: float) -> str:
    rung = climb.holder
    if rung is None:
        return _not_held(climb, sources)
    receipt = rung.receipt
    seen = next((each for each in climb.rungs if each.matched.is_set()), rung)
    words = _join(each.text for each in seen.evidence)
    by = f" by {receipt.by}" if receipt is not None and receipt.by else ""
    if climb.verdict() is Verdict.ALREADY:
        since = f" since {receipt.since}" if receipt is not None and receipt.since else ""
        is_renewed = receipt is not None and receipt.after != receipt.before
        what = "pressed again: a resume decided before is void" if is_renewed else "nothing was changed"
        return f"{words}{by}{since}; {what}"
    told = "" if rung.acknowledged.is_set() else ", which did not acknowledge"
    parts = [f"{words}{by}, {took:.2f} s", f"via rung {rung.step.way}: {_name(rung, sources)}{told}"]
    before = climb.rungs[: climb.rungs.index(rung)]
    parts += [_answer(each, sources) for each in before if not each.acknowledged.is_set()]
    return "; ".join(parts)


def _not_held(climb: Climb, sources: Mapping[str, Source]) -> str:
    tried = [rung for rung in climb.rungs if rung.tries]
    looks = [each for rung in tried for each in rung.evidence]
    contrary = [each.text for each in looks if each.sight is Sight.CONTRARY]
    others = [each.text for each in looks if each.sight is not Sight.CONTRARY]
    # What only looks was answered by nobody.
    answers = [_answer(rung, sources) for rung in tried if rung.step.action.source]
    return _join(dict.fromkeys((*contrary, *answers, *others)))


def _answer(rung: Rung, sources: Mapping[str, Source]) -> str:
    receipt = rung.receipt
    if receipt is None:
        return f"{_name(rung, sources)}: no answer yet"
    words = "says done" if receipt.kind is ReceiptKind.DONE else receipt.text
    return f"{_name(rung, sources)}: {words}"


def _name(rung: Rung, sources: Mapping[str, Source]) -> str:
    source = sources.get(rung.step.action.source)
    return source.title if source is not None else rung.step.action.source


def _join(parts: Iterable[str]) -> str:
    return "; ".join(parts)
