"""The client of Prometheus: no retry, no proxies, and answers that are bounded in bytes."""

from __future__ import annotations

import io
from functools import partial
from typing import Any, Final

import requests
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from backends.model.stack import Source
from backends.readers.coerce import MisfitError
from backends.whereabouts import peer_of

ANSWER_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of one answer."""


def connect(source: Source) -> tuple[PrometheusConnect, Bounded]:
    """The client of one Prometheus and its connections, for who must close them."""
    session = requests.Session()
    # Proxies and ~/.netrc are about the web.
    session.trust_env = False
    url = source.url.rstrip("/")
    auth = None if source.password is None else partial(_signed, source)
    client = PrometheusConnect(url, session=session, auth=auth)
    # In place of the client's own, which asks again after a failure.
    connections = Bounded(max_retries=0)
    session.mount(url, connections)
    return client, connections


def _signed(source: Source, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """With its credentials as they are now: the session outlives a password."""
    if source.username is None or source.password is None:
        return request
    signed: requests.PreparedRequest = HTTPBasicAuth(source.username, source.password.reveal())(request)
    return signed


class Bounded(HTTPAdapter):
    """Reads no more than a bounded answer, and knows the machine that it came from."""

    peer: str | None = None

    def send(self, request: Any, **options: Any) -> requests.Response:  # type: ignore[override]  # all by name
        """The answer, read whole. MisfitError when it is longer than ``ANSWER_LIMIT``."""
        response = super().send(request, **{**options, "stream": True})
        self.peer = peer_of(response.raw)
        body = response.raw.read(ANSWER_LIMIT + 1, decode_content=True)
        if len(body) > ANSWER_LIMIT:
            response.close()
            raise MisfitError(f"the answer is longer than {ANSWER_LIMIT >> 20} MiB")
        response.raw = io.BytesIO(body)
        return response
