"""The connection to a Docker Engine, over the Docker SDK: the only module that knows it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound
from urllib3.exceptions import HTTPError

from node_agent.errors import EngineError
from node_agent.unix_http import listens
from tmpnb_common.keys import redact

T = TypeVar("T")

CALL_SECONDS = 30
"""Longest that one call may take. Creating and removing wait for the disk, and a busy host's is slow."""

CONFLICT = 409

NO_ANSWER = (DockerException, HTTPError, OSError)
"""What the SDK raises when the engine breaks off: the errors of requests, which are OSErrors, come through as they are,
and while it streams those of urllib3 as well."""


class NotThereError(OSError):
    """The engine's socket is not there, or nobody listens at it."""


class EngineConnection:
    """One engine's clients, one for each time limit. Calls may come from several threads at once."""

    def __init__(self, socket: Path) -> None:
        """A connection that is made at the first call, so that the agent can start before its engine does."""
        self._socket = socket
        self._clients: dict[int, docker.APIClient] = {}
        self._lock = threading.Lock()

    def call(self, purpose: str, call: Callable[[Any], T], *, within: int = CALL_SECONDS, retry: bool = False) -> T:
        """Make a call with the SDK's client.

        Args:
            purpose: what the call does, to follow "cannot" in an error's sentence.
            call: gets the client.
            within: seconds until an engine that is silent counts as away.
            retry: whether to make the call once more if it was not answered, as for calls that may be made twice.

        Raises:
            EngineError: the engine refused, or does not answer.
        """
        try:
            return call(self._client(within))
        except APIError as error:
            raise EngineError(f"cannot {purpose}: {redact(str(error.explanation or error))}") from None
        except NO_ANSWER as error:
            # The next call connects afresh and agrees on a version again: it may be an engine that was upgraded.
            self.close()
            if not retry:
                why = str(error) if isinstance(error, NotThereError) else type(error).__name__
                raise EngineError(f"cannot {purpose}: the engine does not answer ({why})") from None
        return self.call(purpose, call, within=within)

    def close(self) -> None:
        """Close the clients; a later call makes new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, within: int) -> Any:
        with self._lock:
            if within not in self._clients:
                # Asked first because the SDK forgets to close a socket that it could not connect.
                if not listens(self._socket):
                    raise NotThereError(f"nobody listens at {self._socket}, or this user may not reach it")
                self._clients[within] = docker.APIClient(f"unix://{self._socket}", version="auto", timeout=within)
            return self._clients[within]


def or_none(call: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """A call whose result is None where the engine does not have what the call is about."""

    def guarded(client: Any) -> T | None:
        try:
            return call(client)
        except NotFound:
            return None

    return guarded


def passing_over(status: int, call: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """A call for which an error of this HTTP status is none; its result is None then."""

    def guarded(client: Any) -> T | None:
        try:
            return call(client)
        except APIError as error:
            if error.status_code != status:
                raise
            return None

    return guarded
