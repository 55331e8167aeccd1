"""What is wrong with a server's certificate is told: one that ran out at midnight is no wrong CA."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backends.readers.docker_client import explain
from backends.readers.failure import network_reason

PLACE = "desk.test:6379"


def certificate(folder: Path, begins: timedelta, host: str) -> Path:
    """A file with a certificate of two days, its own CA, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "desk")])
    start = datetime.now(UTC) + begins
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[int]:
    """The port of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("begins", "host", "is_known", "said"),
    [
        (timedelta(days=-3), "127.0.0.1", True, "has expired"),
        (timedelta(days=1), "127.0.0.1", True, "is not valid yet: compare the clocks"),
        (timedelta(days=-1), "10.0.0.1", True, "is for another host"),
        (timedelta(days=-1), "127.0.0.1", False, "is not trusted"),
    ],
    ids=["ran out", "of tomorrow", "of another host", "of another CA"],
)
async def test_what_is_wrong_with_a_certificate_is_said(
    tmp_path: Path, begins: timedelta, host: str, is_known: bool, said: str
) -> None:
    path = certificate(tmp_path, begins, host)
    trust = ssl.create_default_context(cafile=str(path) if is_known else None)
    async with serving(path) as port:
        with pytest.raises(ssl.SSLCertVerificationError) as met:
            await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    assert network_reason(met.value, PLACE) == f"the certificate of {PLACE} {said}"
    docker = explain(met.value, f"tcp://{PLACE}", 1.0)
    assert str(docker) == f"the certificate of Docker at tcp://{PLACE} {said}"
