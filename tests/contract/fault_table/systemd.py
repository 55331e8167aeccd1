"""systemd: programs in the place of its own that hang, fail, or print the wrong thing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from backends.demo.systemd.units import Units
from backends.model.fact import Fact
from backends.model.query import SystemdQuery
from backends.model.stack import SourceKind
from tests.contract.fault_table.subject import Subject
from tests.contract.fault_table.trial import (
    IMPATIENCE,
    MISSING,
    PATIENCE,
    Door,
    Ground,
    Stage,
    Staged,
    Trial,
    reading,
)

_HANG = "exec sleep 20"
_NOISE = r"printf '\000\377\027 not the language you are looking for\n%.0s' 1 2 3"
_HUGE = "yes Id=x | head -c 1000000"
_WRONG = r"""
for each in "$@"; do case $each in
  --property=*) names=$(echo "${each#*=}" | tr , ' ') ;;
  *.service | *.timer)
    for name in $names; do
      case $name in Id) echo "Id=$each" ;; LoadState) echo LoadState=loaded ;; *) echo "$name=[[]]" ;; esac
    done
    echo ;;
esac; done
"""
"""Tells of every unit, and of each of its properties nothing that it could be."""
_EMPTY_ENTRY = """echo '{"__REALTIME_TIMESTAMP": [], "MESSAGE": {}}'"""


def _programs(systemctl: str | None, journalctl: str | None = None, deadline: float = PATIENCE) -> Stage:
    """These scripts; None is no such program."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
        for name, script in (("systemctl", systemctl), ("journalctl", journalctl)):
            if script is not None:
                (ground.folder / name).write_text(f"#!/bin/sh\n{script}\n")
                (ground.folder / name).chmod(0o755)
        url = f"systemd://localhost{ground.folder}"
        async with reading(SourceKind.SYSTEMD, url, subjects, deadline) as staged:
            yield staged

    return stage


def _units(started: bool, journalctl: str | None = None, deadline: float = PATIENCE) -> Stage:
    """The demo's stand-in: it knows no unit, or all of them run, and may have a journal that is faulty."""

    @asynccontextmanager
    async def stage(subjects: Sequence[Subject], ground: Ground) -> AsyncIterator[Staged]:
        units = Units(ground.folder)
        for name in _names(subjects) if started else ():
            units.started(name, 1_700_000_000.0, NRestarts="0", Result="success", ExecMainStatus="0")
        if journalctl is not None:
            (units.programs / "journalctl").write_text(f"#!/bin/sh\n{journalctl}\n")
        async with reading(SourceKind.SYSTEMD, units.url, subjects, deadline) as staged:
            yield staged

    return stage


def _names(subjects: Sequence[Subject]) -> set[str]:
    return {
        subject.query.unit
        for subject in subjects
        if isinstance(subject, Fact) and isinstance(subject.query, SystemdQuery)
    }


def _is_loaded(fact: Fact) -> bool:
    return _shows(fact, "LoadState")


def _shows(fact: Fact, *names: str) -> bool:
    return isinstance(fact.query, SystemdQuery) and fact.query.pattern is None and fact.query.show in names


_IS_WORD = {
    "any word may be a state: its meanings say which is a good one": lambda fact: (
        fact.type.value == "text" and not _is_loaded(fact) and fact.pick is None
    )
}
_IS_SHOWN = {"systemctl alone tells it": lambda fact: fact.query.pattern is None}
_LOADED = {"the unit is loaded": _is_loaded}


def _journal(script: str) -> Trial:
    return Trial(_units(True, script), but=_IS_SHOWN)


_OF_BOTH = {
    "refused": {
        "no program": Trial(_programs(None)),
        "it fails": Trial(_programs("echo 'Failed to connect to bus: Permission denied' >&2; exit 1")),
    },
    "hang": {"it hangs": Trial(_programs(_HANG, deadline=IMPATIENCE))},
    "garbage": {"noise": Trial(_programs(_NOISE))},
    "huge": {"more than it may": Trial(_programs(_HUGE))},
}

FACTS = Door(
    SourceKind.SYSTEMD,
    {
        "refused": _OF_BOTH["refused"] | {"no journal": Trial(_units(True, "exit 1"), but=_IS_SHOWN)},
        "hang": _OF_BOTH["hang"]
        | {"its journal hangs": Trial(_units(True, _HANG, deadline=4.0), but=_IS_SHOWN)},
        "garbage": _OF_BOTH["garbage"] | {"noise in its journal": _journal(_NOISE)},
        "wrong type": {
            "no such values": Trial(_programs(_WRONG, _EMPTY_ENTRY), but=_IS_WORD | _LOADED),
            "an entry that is none": _journal(_EMPTY_ENTRY),
        },
        "huge": _OF_BOTH["huge"] | {"a journal without end": _journal(_HUGE)},
        "missing": {"no such unit": Trial(_units(False), MISSING)},
    },
)

UNITS = Door(
    SourceKind.SYSTEMD,
    _OF_BOTH
    | {
        "wrong type": {"no such values": Trial(_programs(_WRONG))},
        "missing": {"no such unit": Trial(_units(False), MISSING)},
    },
    of_services=True,
)
