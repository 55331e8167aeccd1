"""The client of Prometheus: no retry, no proxies, and answers that are bounded in bytes."""

from __future__ import annotations

import io
from typing import Any, Final

import requests
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter

from backends.model.stack import Source
from backends.readers.coerce import MisfitError

ANSWER_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of one answer."""


def connect(source: Source) -> tuple[PrometheusConnect, requests.Session]:
    """The client of one Prometheus and its session, for who must close it."""
    session = requests.Session()
    # Proxies and ~/.netrc are about the web.
    session.trust_env = False
    auth = None
    if source.username is not None and source.password is not None:
        auth = (source.username, source.password.reveal())
    url = source.url.rstrip("/")
    client = PrometheusConnect(url, session=session, auth=auth)
    # In place of the client's own, which asks again after a failure.
    session.mount(url, _Bounded(max_retries=0))
    return client, session


class _Bounded(HTTPAdapter):
    def send(self, request: Any, **options: Any) -> requests.Response:  # type: ignore[override]  # all by name
        """The answer, read whole. MisfitError when it is longer than ``ANSWER_LIMIT``."""
        response = super().send(request, **{**options, "stream": True})
        body = response.raw.read(ANSWER_LIMIT + 1, decode_content=True)
        if len(body) > ANSWER_LIMIT:
            response.close()
            raise MisfitError(f"the answer is longer than {ANSWER_LIMIT >> 20} MiB")
        response.raw = io.BytesIO(body)
        return response
