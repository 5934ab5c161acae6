"""Sessions of requests for one host and one token: answers are bounded, and no redirect takes the token elsewhere."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import ProxyManager

from tmpnb_common.bounded_http import BOUNDED_POOLS, within_budget
from tmpnb_common.bounded_reading import Budget, TooLongError


def bounded_session(token: str) -> requests.Session:
    """A session that authorizes itself with a bearer token. Every call opens a connection of its own."""
    session = requests.Session()
    # An Authorization of our own also keeps `requests` from sending what ~/.netrc has for that host.
    session.auth = _Bearer(token)
    session.headers["Connection"] = "close"
    # What is compressed says nothing of what it unpacks to.
    session.headers["Accept-Encoding"] = "identity"
    session.mount("http://", _BoundedAdapter())
    session.mount("https://", _BoundedAdapter())
    return session


def exchange(
    session: requests.Session, method: str, url: str, body: object, *, timeout: tuple[float, float], limit: int
) -> tuple[requests.Response, bytes]:
    """Send JSON and read the answer, whatever its status; a redirect is an answer like any other.

    `timeout` holds the seconds for connecting and those for the rest, `limit` the longest body in bytes.

    Raises:
        TooLongError: the answer does not end within its limit.
        requests.RequestException, urllib3.exceptions.HTTPError: no answer came in time.
    """
    with (
        within_budget(Budget(sum(timeout), limit)),
        session.request(method, url, json=body, timeout=timeout, allow_redirects=False, stream=True) as answer,
    ):
        raw = answer.raw.read(limit + 1, decode_content=False)
    if len(raw) > limit:
        raise TooLongError("the answer is too long")
    return answer, raw


class _BoundedAdapter(HTTPAdapter):
    """Reads answers within the budget of the call."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = BOUNDED_POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = BOUNDED_POOLS
        return manager


class _Bearer(AuthBase):
    """Keeps the token out of every place that shows headers or URLs."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request
