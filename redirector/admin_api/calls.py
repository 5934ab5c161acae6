"""Calls of a redirector's admin API: sent once each, and read into views.

A call that did not get through says which of two things is true: nothing was asked of the redirector
(`UnreachableError`), or it was asked and its answer was lost (`OutcomeUnknownError`), so that only looking can tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, NewConnectionError, ProxyError

from redirector.admin_api.errors import (
    AdminError,
    NotARedirectorError,
    OutcomeUnknownError,
    RefusedError,
    UnreachableError,
)
from tmpnb_common.bounded_reading import TooLongError
from tmpnb_common.bounded_session import bounded_session, exchange
from tmpnb_common.json_object import JsonError, decode

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 40.0
"""Adding a node lets the redirector try it first, so an answer may take a while; the front waits 30 seconds for it."""
BODY_LIMIT = 16 * 2**20
"""Bytes; a thousand nodes with their pools stay far below."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")

View = TypeVar("View")


class AdminCalls:
    """Calls to one redirector. Every call opens a connection of its own: a stale one would make outcomes unknown."""

    def __init__(self, url: str, token: str, *, by: str = "", answer_seconds: float = ANSWER_SECONDS) -> None:
        """Calls to the redirector at `url`, for the operator `by`.

        Raises:
            ValueError: `url` is no http address.
        """
        self.url = checked_url(url)
        self._by = by
        self._answer_seconds = answer_seconds
        self._session = bounded_session(token)
        # A proxy of the environment is meant for the way out, never for this machine.
        self._session.trust_env = urlsplit(self.url).hostname not in LOOPBACK

    def healthy(self) -> bool:
        """Whether the redirector answers its health check with 200 now."""
        try:
            status, _ = self._exchange("GET", "/healthz", None, self._answer_seconds)
        except AdminError:
            return False
        return status == HTTPStatus.OK

    def read(self, view: type[View], path: str) -> View:
        """Ask without changing anything: a lost answer is then no more than an unreachable redirector."""
        try:
            return self.call(view, "GET", path, None)[1]
        except OutcomeUnknownError as problem:
            raise UnreachableError(str(problem)) from problem

    def change(self, view: type[View], method: str, path: str, body: Mapping[str, object]) -> tuple[int, View]:
        """Make a change in the operator's name, and return the status and the answer."""
        try:
            return self.call(view, method, path, {**body, "by": self._by} if self._by else body)
        except NotARedirectorError as problem:
            if HTTPStatus.BAD_REQUEST <= problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            # What stands before a redirector may answer for it after the request went through.
            raise OutcomeUnknownError(str(problem)) from problem

    def call(
        self,
        view: type[View],
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        seconds: float | None = None,
    ) -> tuple[int, View]:
        """The status and the answer of a call that went well."""
        status, raw = self._exchange(method, path, body, seconds or self._answer_seconds)
        if status < HTTPStatus.BAD_REQUEST:
            return status, self._parsed(view, status, raw)
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError) as problem:
            raise NotARedirectorError(f"{self.url} answered with status {status} and no JSON", status) from problem
        code = answer.get("status") if isinstance(answer, dict) else None
        if not isinstance(code, str) or code == "not_found":
            raise NotARedirectorError(f"{self.url} answered with status {status}: is that a redirector's URL?", status)
        raise RefusedError(code, str(answer.get("message") or code))

    def _exchange(self, method: str, path: str, body: Mapping[str, object] | None, seconds: float) -> tuple[int, bytes]:
        try:
            answer, raw = exchange(
                self._session, method, f"{self.url}{path}", body, timeout=(CONNECT_SECONDS, seconds), limit=BODY_LIMIT
            )
        except requests.exceptions.SSLError as problem:
            raise UnreachableError(
                f"the certificate or TLS of {self.url} cannot be trusted; "
                "the file of an authority of your own is named in REQUESTS_CA_BUNDLE"
            ) from problem
        except (requests.exceptions.InvalidURL, LocationValueError) as problem:
            raise UnreachableError(f"{self.url} is no usable address") from problem
        except TooLongError as problem:
            raise OutcomeUnknownError(f"{self.url} sends an endless answer") from problem
        except (requests.RequestException, HTTPError) as problem:
            if _was_never_sent(problem):
                raise UnreachableError(f"no redirector answers at {self.url}: is it running?") from problem
            raise OutcomeUnknownError(f"the connection to {self.url} broke before an answer came") from problem
        except Exception as problem:
            # A stranger's answer: the libraries' parsers raise what they come upon.
            message = f"{self.url} sent what is no HTTP ({type(problem).__name__})"
            raise OutcomeUnknownError(message) from problem
        if answer.is_redirect:
            raise UnreachableError(f"{self.url} redirects elsewhere; name the redirector's own URL")
        return answer.status_code, raw

    def _parsed(self, view: type[View], status: int, raw: bytes) -> View:
        try:
            return decode(view, raw, "the answer")
        except JsonError as problem:
            message = f"{self.url} answered, but not as a redirector does ({problem})"
            raise NotARedirectorError(message, status) from problem


def checked_url(url: str) -> str:
    """A redirector's URL without a trailing slash.

    Raises:
        ValueError: it is no http address, or holds what does not belong there.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{url!r} is no address such as http://127.0.0.1:8000")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address holds no user name, query or fragment")
    return url.rstrip("/")


def _was_never_sent(problem: requests.RequestException | HTTPError) -> bool:
    cause = problem.args[0] if problem.args else None
    return isinstance(problem, requests.ConnectTimeout) or (
        isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError | ProxyError)
    )
