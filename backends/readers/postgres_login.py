"""Whether a client of this host is let into PostgreSQL: a session of its own, with the room's credential."""

from __future__ import annotations

from typing import Final

from backends.model.fact import Absent, Finding, Found
from backends.model.safetext import SafeText
from backends.model.stack import Source
from backends.program import NotStartedError, environment, run
from backends.readers.extract import broken
from backends.readers.failure import silence, where
from backends.readers.postgres_answer import PORT, refusal

LET_IN: Final = SafeText("let in")

_ANSWER: Final = "1"
_SAID_NO: Final = "FATAL:"
"""Sign that a server answered; without it nothing is known of the password."""


async def login(source: Source, client: str, seconds: float) -> Finding:
    """``let in``, or the server's refusal in plain words; Absent where the room has no password to give, and
    Broken where no server said anything.

    The password stands in the environment of that one process alone. It is not asked for at a terminal, and
    what the host keeps in ``~/.pgpass`` or ``~/.psqlrc`` has no say.
    """
    if source.password is None:
        return Absent()
    env = environment() | {
        "LC_ALL": "C",
        "PGAPPNAME": "controlroom",
        "PGPASSWORD": source.password.reveal(),
        **({"PGUSER": source.username} if source.username else {}),
    }
    # The address cannot hold a password: it was taken out when it was read.
    argv = (client, f"--dbname={source.url}", "--no-password", "--no-psqlrc", "-Atc", f"SELECT {_ANSWER}")
    try:
        ended = await run(argv, seconds, "/", env)
    except NotStartedError as error:
        return broken(f"{error}: it is not installed on this host")
    if ended.code is None:
        return broken(silence(seconds))
    if ended.code == 0:
        # A session that was let in has answered; what merely ends well may be another program.
        is_answered = ended.output.splitlines()[-1:] == [_ANSWER]
        return Found(LET_IN) if is_answered else broken(f"{client} ended without an answer of the server")
    why = SafeText(refusal(ended.output))
    return Found(why) if _SAID_NO in ended.output else broken(f"{where(source.url, PORT)} {why}")
