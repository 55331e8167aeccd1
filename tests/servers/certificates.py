"""Certificates of our own, as whoever runs a service at home makes them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def certificates(folder: Path) -> None:
    """One certificate for 127.0.0.1 that is CA, server and client at once: ``ca.pem``, ``cert.pem`` and
    ``key.pem``."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())


def serving(folder: Path) -> ssl.SSLContext:
    """For a server that shows that certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
