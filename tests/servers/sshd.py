"""A real OpenSSH server on loopback: own host key, own port, one key that may log in as this user."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.demo.process import free_port
from tests.servers.process import Child, UnavailableError, drop_home, listens, make_home


@dataclass
class SshServer:
    port: int
    home: Path
    child: Child

    def command(self, remote: str, *, options: Sequence[str] = ()) -> list[str]:
        """The client's argv that runs ``remote`` with a terminal of its own."""
        return [
            "ssh", "-tt", "-p", str(self.port), "-i", str(self.home / "client"),
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.home / 'known'}",
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-F", "none",
            *options, f"{getpass.getuser()}@127.0.0.1", remote,
        ]  # fmt: skip

    def stop(self) -> None:
        self.child.stop()
        drop_home(self.home)


def start_sshd() -> SshServer:
    """A fresh server; UnavailableError where OpenSSH is not installed."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        raise UnavailableError("OpenSSH is not installed")
    if os.geteuid() == 0:
        # Debian's sshd wants its privilege-separation directory, which systemd makes elsewhere.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    home = make_home("sshd")
    for name in ("host", "client"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True, timeout=20
        )
    keys = home / "keys"
    keys.write_bytes((home / "client.pub").read_bytes())
    keys.chmod(0o600)
    port = free_port()
    config = home / "config"
    config.write_text(
        f"""Port {port}
ListenAddress 127.0.0.1
HostKey {home / "host"}
AuthorizedKeysFile {keys}
PidFile {home / "pid"}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AcceptEnv LANG XDG_*
"""
    )
    child = Child([sshd, "-D", "-e", "-f", config], home / "log")
    server = SshServer(port, home, child)
    try:
        child.wait_ready(lambda: listens(port))
    except UnavailableError:
        server.stop()
        raise
    return server
