"""A second person's consent: asked for, given once, by somebody else, and not for long."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.json import decode
from msgspec.structs import asdict, replace

from backends.journal.entry import Kind
from backends.journal.identity import name_of, told
from backends.model.clock import Clock
from backends.model.intent import Identity, Intent
from backends.model.safetext import SafeText
from backends.state_folder import make_folder

VALID: Final = 300.0
"""Seconds a request may be approved, and an approval used."""

KEPT: Final = 2 * VALID
"""Seconds after which its file is removed: until then whoever waits for it is told that it was too late."""

_AHEAD: Final = 5.0
"""Seconds a file's time may lie ahead of this host's clock."""

_CODE: Final = re.compile(r"[0-9a-f]{8}")

_LARGEST: Final = 64 * 1024
"""Bytes of a file that are read."""

Form = TypeVar("Form", "Request", "Consent")


class ApprovalError(ValueError):
    """It cannot be approved or used; the message says why."""


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to do and needs a second person for. Its texts are safe to show: the file they are
    from may say anything, it is that of whoever asks."""

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
    owner: str = ""
    """Whose file it is, as the operating system says."""

    @property
    def word(self) -> str:
        """What is typed to consent to it, and to nothing else that is put in its place: its procedure, and a
        digest of everything it says."""
        said = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{self.procedure}:{hashlib.sha256(said).hexdigest()[:12]}"

    def is_by(self, user: str, login: str | None) -> bool:
        """Whether the one who asked may be this very person."""
        return bool({self.user, self.login} & {user, login} - {None})


class Consent(Struct, frozen=True):
    """What a second person has agreed to."""

    code: str
    plan: str
    reason: str
    at: float
    """Epoch seconds."""
    params: Mapping[str, str] = {}
    login: str | None = None
    shared: bool = False


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
        given = Consent(
            code, request.plan, request.reason, self._clock.now().wall, request.params,
            approver.login, approver.is_shared,
        )  # fmt: skip
        try:
            self._write(code, "approval", asdict(given))
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
        # The request is a file of theirs, and may say by now that somebody else asked, or why, or for what.
        who = intent.operator
        real = replace(request, user=who.user, login=who.login, reason=str(intent.reason))
        return self._approver(replace(real, params=_safe(intent.params)))

    def _request(self, code: str) -> Request:
        said, owner = self._load(code, "request", Request)
        self._fresh(said.at)
        if said.code != code:
            raise ApprovalError(f"request {code} cannot be understood")
        texts = _safe({name: each for name, each in asdict(said).items() if isinstance(each, str)})
        return replace(said, **{**texts, "params": _safe(said.params), "owner": name_of(owner)})

    def _approver(self, request: Request) -> str:
        """Whose consent to exactly this there is, and whether several people use that account."""
        given, owner = self._load(request.code, "approval", Consent)
        user = name_of(owner)
        login = None if given.login is None else str(SafeText(given.login, 64))
        if owner == request.uid or request.is_by(user, login):
            raise ApprovalError("the approval does not come from a second person")
        if (given.code, given.plan) != (request.code, request.plan):
            raise ApprovalError("the approval was given to another request")
        if given.reason != request.reason:
            raise ApprovalError("the approval was given for another reason")
        if given.params != request.params:
            raise ApprovalError("the approval was given for other values")
        self._fresh(given.at)
        return told(user, login, is_shared=owner == 0 or given.shared)

    def _fresh(self, at: float) -> None:
        if not -_AHEAD <= self._clock.now().wall - at <= VALID:
            raise ApprovalError(f"it is older than {VALID / 60:.0f} minutes")

    def _load(self, code: str, kind: str, form: type[Form]) -> tuple[Form, int]:
        """What the file says, and whose it is. A link is not followed: it would be its target's owner's."""
        if not _CODE.fullmatch(code):
            raise ApprovalError(f"{code!r} is no code of a request")
        try:
            handle = os.open(self._path(code, kind), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                about = os.fstat(handle)
                # What is no ordinary file, or a huge one, is cut off or empty, and so not understood.
                raw = file.read(_LARGEST) if stat.S_ISREG(about.st_mode) else b""
            if about.st_mode & 0o022:
                # Of the journal, too, there are files that one owns and all write to.
                raise ApprovalError(f"others can write to {kind} {code}: it proves nothing")
            return decode(raw, type=form), about.st_uid
        except ApprovalError:
            raise
        except FileNotFoundError:
            raise ApprovalError(f"there is no {kind} {code}") from None
        except OSError as error:
            raise ApprovalError(f"{kind} {code} cannot be read: {type(error).__name__}") from None
        except ValueError:
            raise ApprovalError(f"{kind} {code} cannot be understood") from None

    def _path(self, code: str, kind: str) -> Path:
        return self._folder / f"{code}.{kind}"

    def _write(self, code: str, kind: str, data: Mapping[str, Any]) -> None:
        """Raises FileExistsError when it is there: a file is made once and never changed."""
        make_folder(self._folder, is_sticky=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(self._path(code, kind), flags, 0o600), "w", encoding="utf-8") as file:
            # Whatever the umask: the other one must read it. Nobody but its author may ever write to it.
            os.fchmod(file.fileno(), 0o640)
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


def _safe(texts: Mapping[str, str]) -> dict[str, str]:
    """The same, as it may be shown."""
    return {str(SafeText(name)): str(SafeText(text)) for name, text in texts.items()}


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
