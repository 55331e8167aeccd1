"""A second person's consent: asked for, given once, by somebody else, and not for long."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from backends.journal.entry import Kind
from backends.journal.identity import name_of, told
from backends.model.clock import Clock
from backends.model.intent import Identity, Intent
from backends.model.safetext import SafeText

VALID: Final = 300.0
"""Seconds a request may be approved, and an approval used."""

KEPT: Final = 2 * VALID
"""Seconds after which its file is removed: until then whoever waits for it is told that it was too late."""

_AHEAD: Final = 5.0
"""Seconds a file's time may lie ahead of this host's clock."""

_CODE: Final = re.compile(r"[0-9a-f]{8}")


class ApprovalError(ValueError):
    """It cannot be approved or used; the message says why."""


class Request(Struct, frozen=True):
    """What somebody wants to do and needs a second person for."""

    code: str
    stack: str
    procedure: str
    params: Mapping[str, str]
    plan: str
    """Hash of exactly what is approved."""
    reason: str
    user: str
    uid: int
    host: str
    at: float
    """Epoch seconds."""
    login: str | None = None
    """Whose login it was, where that is another account: the same person however the account was changed."""

    @property
    def word(self) -> str:
        """What is typed to consent to it, and to nothing else that is put in its place: its procedure, and a
        digest of everything it says."""
        said = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{self.procedure}:{hashlib.sha256(said).hexdigest()[:12]}"

    def is_by(self, user: str, login: str | None) -> bool:
        """Whether the one who asked may be this very person."""
        return bool({self.user, self.login} & {user, login} - {None})


class ApprovalBook:
    """Requests and approvals as files in one folder that all operators of a host can write to.

    Who approved is whoever owns the file, by the name the operating system has for that user; what is
    written in it says to which request, plan and reason, and what else the approver's room knew of them. So
    nobody can approve as another, and a consent that is moved or linked to another request is none. That it
    is used once is seen from the journal: ``used_before``. So what is good for nothing any more may go:
    whoever writes one removes those of theirs that have expired, used or not.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def request(self, intent: Intent, plan: str) -> Request:
        """Ask for an approval of exactly this plan. Raises OSError when it cannot be written."""
        who = intent.operator
        made = Request(
            secrets.token_hex(4), intent.stack, intent.procedure, dict(intent.params), plan,
            str(intent.reason), who.user, who.uid, who.host, self._clock.now().wall, who.login,
        )  # fmt: skip
        self._write(made.code, "request", asdict(made))
        return made

    def pending(self) -> list[Request]:
        """Requests that still can be approved, oldest first."""
        files = self._folder.glob("*.request") if self._folder.is_dir() else ()
        found = []
        for file in files:
            try:
                found.append(self._request(file.stem))
            except ApprovalError:
                continue
        waiting = (each for each in found if not self._path(each.code, "approval").exists())
        return sorted(waiting, key=lambda request: request.at)

    def approve(self, code: str, approver: Identity, shown: Request | None = None) -> Request:
        """Consent as ``approver``, with ``shown`` to exactly what was. Raises ApprovalError, and OSError when
        it cannot be written."""
        request = self._request(code)
        if shown is not None and request != shown:
            raise ApprovalError("the request has changed since it was shown")
        if request.uid == approver.uid or request.is_by(approver.user, approver.login):
            raise ApprovalError(f"{request.login or request.user} asked for it: another person must approve")
        if approver.uid != os.getuid():
            raise ApprovalError(f"this process does not run as {approver.user}")
        given = {
            "code": code, "plan": request.plan, "reason": request.reason, "at": self._clock.now().wall,
            "login": approver.login, "shared": approver.is_shared,
        }  # fmt: skip
        try:
            self._write(code, "approval", given)
        except FileExistsError:
            raise ApprovalError("it is approved already") from None
        return request

    def given(self, code: str) -> str | None:
        """Who has approved it so far, None while nobody has. Raises ApprovalError once it has expired."""
        request = self._request(code)
        if not self._path(code, "approval").exists():
            return None
        return self._approver(request)

    def approver(self, code: str, intent: Intent, plan: str) -> str:
        """Who consents to this intent, in words. Raises ApprovalError."""
        request = self._request(code)
        if (request.stack, request.procedure, request.plan) != (intent.stack, intent.procedure, plan):
            raise ApprovalError("the approval is for something else, or the situation has changed since")
        if request.uid != intent.operator.uid:
            raise ApprovalError(f"the approval was asked for by {request.user}")
        # The request is a file of theirs, and may say by now that somebody else asked, or why.
        who = intent.operator
        return self._approver(replace(request, user=who.user, login=who.login, reason=str(intent.reason)))

    def _request(self, code: str) -> Request:
        data, _ = self._load(code, "request")
        self._fresh(data)
        try:
            return Request(**data)
        except TypeError:
            raise ApprovalError(f"{code} cannot be understood") from None

    def _approver(self, request: Request) -> str:
        """Whose consent to exactly this there is, and whether several people use that account."""
        given, owner = self._load(request.code, "approval")
        user, said = name_of(owner), given.get("login")
        login = str(SafeText(said, 64)) if isinstance(said, str) else None
        if owner == request.uid or request.is_by(user, login):
            raise ApprovalError("the approval does not come from a second person")
        if (given.get("code"), given.get("plan")) != (request.code, request.plan):
            raise ApprovalError("the approval was given to another request")
        if given.get("reason") != request.reason:
            raise ApprovalError("the approval was given for another reason")
        self._fresh(given)
        return told(user, login, is_shared=owner == 0 or given.get("shared") is True)

    def _fresh(self, data: Mapping[str, Any]) -> None:
        at = data.get("at")
        age = self._clock.now().wall - at if isinstance(at, (int, float)) else VALID + 1
        if not -_AHEAD <= age <= VALID:
            raise ApprovalError(f"it is older than {VALID / 60:.0f} minutes")

    def _load(self, code: str, kind: str) -> tuple[dict[str, Any], int]:
        """What the file says, and whose it is. A link is not followed: it would be its target's owner's."""
        if not _CODE.fullmatch(code):
            raise ApprovalError(f"{code!r} is no code of a request")
        try:
            handle = os.open(self._path(code, kind), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, encoding="utf-8") as file:
                owner, data = os.fstat(handle).st_uid, json.load(file)
        except FileNotFoundError:
            raise ApprovalError(f"there is no {kind} {code}") from None
        except (OSError, ValueError) as error:
            raise ApprovalError(f"{kind} {code} cannot be read: {type(error).__name__}") from None
        if not isinstance(data, dict):
            raise ApprovalError(f"{kind} {code} cannot be understood")
        return data, owner

    def _path(self, code: str, kind: str) -> Path:
        return self._folder / f"{code}.{kind}"

    def _write(self, code: str, kind: str, data: Mapping[str, Any]) -> None:
        """Raises FileExistsError when it is there: a file is made once and never changed."""
        self._folder.mkdir(mode=0o770, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(self._path(code, kind), flags, 0o640), "w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.utime(file.fileno(), (data["at"], data["at"]))
            os.fsync(file.fileno())
        self._tidy()

    def _tidy(self) -> None:
        """In a folder of several people each can remove their own alone; the others' stay for them."""
        now = self._clock.now().wall
        for file in self._folder.glob("*"):
            with suppress(OSError):
                is_one = _CODE.fullmatch(file.stem) and file.suffix in (".request", ".approval")
                if is_one and now - file.lstat().st_mtime > KEPT:
                    file.unlink()


def used_before(records: Iterable[Mapping[str, Any]], intent: Intent) -> bool:
    """Whether the approval is not this intent's: by the journal, the first that began by it has used it up.

    ``records`` are the journal's newest, oldest first, with this intent's own among them.
    """
    begun = (
        record.get("operation")
        for record in records
        if record.get("kind") == Kind.INTENT.value and record.get("approval") == intent.approval
    )
    return next(begun, None) != intent.id
