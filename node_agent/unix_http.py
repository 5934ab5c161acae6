"""HTTP over a UNIX socket, bounded in size and time whatever the other side does."""

from __future__ import annotations

import errno
import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BODY = 1 << 20
"""More than any answer that the agent asks for."""


class NoAnswerError(Exception):
    """Nobody listens, or what came was late, cut off or no HTTP. The text says which and holds no path."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `body` is cut at `MAX_BODY`."""

    status: int
    body: bytes


def request(
    path: Path,
    method: str,
    target: str,
    *,
    within: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request to whoever listens at `path`; the whole exchange takes at most `within` seconds.

    Raises:
        NoAnswerError: there is no whole answer.
    """
    connection = _Connection(path, time.monotonic() + within)
    try:
        connection.request(method, target, body=body, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.read(MAX_BODY))
    except TimeoutError as error:
        raise NoAnswerError("no answer in time") from error
    except http.client.HTTPException as error:
        raise NoAnswerError(f"what came is no HTTP ({type(error).__name__})") from error
    except OSError as error:
        raise NoAnswerError(error.strerror or type(error).__name__) from error
    finally:
        connection.close()


class _DeadlineSocket(socket.socket):
    """A socket whose reads and writes share one deadline, so that an answer in drops cannot outlast it."""

    deadline: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._limit()
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._limit()
        super().sendall(*args, **kwargs)

    def _limit(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, deadline: float) -> None:
        super().__init__("localhost")
        self._path = path
        self._deadline = deadline

    def connect(self) -> None:
        opened = _DeadlineSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.deadline = self._deadline
        self.sock = opened
        opened.settimeout(max(0.001, self._deadline - time.monotonic()))
        opened.connect(str(self._path))


def listens(path: Path) -> bool:
    """Whether a server listens there, be it too busy at the moment to take one more connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) in (0, errno.EAGAIN)
